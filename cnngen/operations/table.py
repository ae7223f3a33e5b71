"""Tables that are keyed by operations and refuse those they lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from cnngen.errors import CnnGenError
from cnngen.operations.operation import Operation

Entry = TypeVar("Entry", covariant=True)


class OperationTable(Mapping[type[Operation], Entry], Generic[Entry]):
    """One consumer's knowledge of each operation, by the operation's class.

    An operation without an entry is refused, a subclass of one that has an entry too. The
    owner, as `the torch backend`, is what messages call it.
    """

    def __init__(
        self,
        owner: str,
        entries: Mapping[type[Operation], Entry],
        error: type[CnnGenError] = CnnGenError,
    ) -> None:
        self.owner = owner
        self._entries = dict(entries)
        self._error = error

    def of(self, operation: Operation) -> Entry:
        """The entry of an operation. Raises `CnnGenError`, or the table's own kind of it, for
        an operation that has none."""
        try:
            return self._entries[type(operation)]
        except KeyError:
            name = type(operation).__name__
            raise self._error(f"{self.owner} has no entry for the operation {name}") from None

    def lacking(self, operations: Iterable[type[Operation]]) -> list[str]:
        """The names of those of the operations that have no entry."""
        return [kind.__name__ for kind in operations if kind not in self._entries]

    def __getitem__(self, kind: type[Operation]) -> Entry:
        return self._entries[kind]

    def __iter__(self) -> Iterator[type[Operation]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<OperationTable of {self.owner}>"
