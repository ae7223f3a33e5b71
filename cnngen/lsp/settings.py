"""What a client may set, read from its JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cnngen.editor import Settings
from cnngen.errors import CnnGenError
from cnngen.language.values import parse_shape

_SHAPE = re.compile(r"[0-9]+x[0-9]+x[0-9]+")


def read_settings(raw: object) -> Settings:
    """Settings from `{"input": "28x28x1", "classes": 10, "space": "paper", "seed": 0}`.

    All may be missing or null; they may also stand under `cnngen`. Raises `CnnGenError`
    for what is wrong in them.
    """
    given = raw if isinstance(raw, Mapping) else {}
    inner = given.get("cnngen")
    given = inner if isinstance(inner, Mapping) else given
    shape = given.get("input") or None
    classes = given.get("classes") or None
    space = given.get("space") or "paper"
    seed = given.get("seed") or 0
    if shape is not None and not (isinstance(shape, str) and _SHAPE.fullmatch(shape)):
        raise CnnGenError("cnngen.input is no shape such as 32x32x3")
    if classes is not None and not (_is_count(classes) and classes >= 1):
        raise CnnGenError("cnngen.classes is no number from 1")
    if not _is_count(seed) or seed < 0:
        raise CnnGenError("cnngen.seed is no number from 0")
    if not isinstance(space, str):
        raise CnnGenError("cnngen.space is no name of a space")
    try:
        input_shape = parse_shape(shape) if shape else None
    except ValueError as error:
        raise CnnGenError(f"each number of cnngen.input must be {error}") from None
    return Settings(input_shape, classes, space, seed)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
