"""Modules that plugins and notebooks import under the names they had in 0.1."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOVED = {
    "cnngen.adjacency": "cnngen.network.adjacency",
    "cnngen.campaign": "cnngen.runs.campaign",
    "cnngen.cost": "cnngen.network.cost",
    "cnngen.course": "cnngen.training.progress",
    "cnngen.data": "cnngen.training.data",
    "cnngen.emit": "cnngen.backend.program",
    "cnngen.energy": "cnngen.training.energy",
    "cnngen.index": "cnngen.runs.parquet_index",
    "cnngen.modes": "cnngen.backend.mode_process",
    "cnngen.nasbench": "cnngen.space.nasbench101",
    "cnngen.picture": "cnngen.network.picture",
    "cnngen.protocol": "cnngen.training.protocol",
    "cnngen.record": "cnngen.runs.record",
    "cnngen.resolution": "cnngen.space.resolution",
    "cnngen.runner": "cnngen.backend.model_access",
    "cnngen.sampling": "cnngen.space.sampling",
    "cnngen.shapes": "cnngen.operations.shapes",
    "cnngen.signals": "cnngen.backend.untrained",
    "cnngen.store": "cnngen.runs.store",
    "cnngen.studio": "cnngen.editor.studio",
    "cnngen.table": "cnngen.runs.table",
    "cnngen.testing": "cnngen.backend.testing",
    "cnngen.verification": "cnngen.comparison.equality",
}
"""Old name, new name: those that the documentation has named."""


class _Finder:
    """Imports a moved module as the module that it has become.

    A finder and a loader by its methods: to derive from `importlib.abc` would take as long
    as all else that `import cnngen` does.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        import warnings

        new = MOVED[spec.name]
        warnings.warn(f"{spec.name} is now {new}", DeprecationWarning, stacklevel=2)
        module = ModuleType(spec.name, f"Now `{new}`.")
        module.__dict__.update(
            {name: value for name, value in vars(import_module(new)).items() if name[:2] != "__"}
        )
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the module is complete."""


def install() -> None:
    """Let the old names be imported."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
