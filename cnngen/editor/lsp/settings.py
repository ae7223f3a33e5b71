"""Reads the settings of a client from JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from cnngen.editor import TextSettings
from cnngen.errors import CnnGenError
from cnngen.language.values import parse_shape

_SHAPE = re.compile(r"[0-9]+x[0-9]+x[0-9]+")


def read_settings(raw: object) -> TextSettings:
    """Read settings from `{"input": "28x28x1", "classes": 10, "space": "paper", "seed": 0}`.

    Each may be missing or null, and all may be nested under `cnngen`. Raises `CnnGenError` for
    an invalid value.
    """
    given = raw if isinstance(raw, Mapping) else {}
    inner = given.get("cnngen")
    given = inner if isinstance(inner, Mapping) else given
    settings = TextSettings()
    match given.get("input"):
        case None | "":
            pass
        case str() as text if _SHAPE.fullmatch(text):
            settings = replace(settings, input_shape=_shape(text))
        case _:
            raise CnnGenError("cnngen.input is not a shape such as 32x32x3")
    match given.get("classes"):
        case None:
            pass
        case int() as classes if classes >= 1 and classes is not True:
            settings = replace(settings, classes=classes)
        case _:
            raise CnnGenError("cnngen.classes is not a whole number from 1")
    match given.get("space"):
        case None | "":
            pass
        case str() as space:
            settings = replace(settings, space=space)
        case _:
            raise CnnGenError("cnngen.space is not the name of a space")
    match given.get("seed"):
        case None:
            pass
        case int() as seed if seed >= 0 and not isinstance(seed, bool):
            settings = replace(settings, seed=seed)
        case _:
            raise CnnGenError("cnngen.seed is not a whole number from 0")
    return settings


def _shape(text: str) -> tuple[int, int, int]:
    try:
        return parse_shape(text)
    except ValueError as error:
        raise CnnGenError(f"each number of cnngen.input must be {error}") from None
