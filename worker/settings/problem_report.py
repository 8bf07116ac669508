"""Collects the faults of a file or a directory, and reports many faults of one kind as one problem, with a count.

A fault is a single wrong place. A problem is what the operator reads: one fault, or many faults of one kind.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.errors import Problem, Problems

#: The most problems that are reported in full. Further problems are only counted.
MAX_PROBLEMS = 200
#: The most faults with the same text that are reported one by one. More of them become one problem with a count.
MAX_EQUAL_FAULTS = 3
#: The most faults of one kind with different values that are reported one by one. More of them become one problem.
MAX_SIMILAR_FAULTS = 10
#: The most places that a problem names after the first, when it stands for many faults.
MAX_NAMED_PLACES = 5

#: In place of a column: the fault concerns a whole row, or the whole file.
WHOLE_ROW = ""

_QUOTED_VALUE = re.compile(r"`[^`]*`")
_COUNT = re.compile(r"\d[\d,]*")


@dataclass(frozen=True, slots=True)
class _Fault:
    place: str
    what: str  #: what is wrong
    remedy: str

    def describe(self) -> str:
        """Return the place, followed by the wrong value if the fault quotes one."""
        value = _QUOTED_VALUE.search(self.what)
        return f"{self.place} ({value[0]})" if value else self.place


@dataclass(slots=True)
class _FaultGroup:
    """The faults of one column that differ only in the values that they quote."""

    column: str  #: our name of the column, or `WHOLE_ROW`
    first_faults: list[_Fault] = field(default_factory=list)
    first_texts: set[str] = field(default_factory=set)  #: the distinct texts of the first faults
    count: int = 0  #: of all faults


class ProblemReport:
    """The faults of one file or directory, grouped by kind, in the order in which the kinds were first found."""

    def __init__(self, name: str, entries: str = "rows") -> None:
        """`name` names the file or directory in messages. `entries` is the plural word for its entries."""
        self.name = name
        self._entries = entries
        self.labels: dict[str, str] = {}  #: maps our names of columns to their names in the file
        self._groups: dict[tuple[str, str], _FaultGroup] = {}

    @property
    def has_faults(self) -> bool:
        """Whether there is any fault."""
        return bool(self._groups)

    @property
    def count(self) -> int:
        """The number of faults, including those that no problem names."""
        return sum(group.count for group in self._groups.values())

    @property
    def columns(self) -> list[str]:
        """The columns with a fault, in the order in which they were first found."""
        return list(dict.fromkeys(group.column for group in self._groups.values()))

    def add_fault(self, place: int | str, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        """Add a fault. `place` is the number of a line, or a text such as `user 10394`.

        `column` is our name of the column, or `WHOLE_ROW` when the fault concerns the whole row, or the whole file.
        `what` says what is wrong, and `remedy` what to write instead. A callable remedy is called only if it is needed.
        """
        place = f"line {place}" if isinstance(place, int) else place
        kind = _COUNT.sub("0", _QUOTED_VALUE.sub("``", what))
        group = self._groups.setdefault((column, kind), _FaultGroup(column))
        group.count += 1
        if len(group.first_faults) <= MAX_SIMILAR_FAULTS:
            group.first_texts.add(what)
            group.first_faults.append(_Fault(place, what, remedy if isinstance(remedy, str) else remedy()))

    def build_problems(self) -> list[Problem]:
        """Return the problems to report: at most MAX_PROBLEMS, and one that counts the others."""
        problems = [problem for group in self._groups.values() for problem in self._build_group_problems(group)]
        if len(problems) > MAX_PROBLEMS:
            what = f"There are {len(problems) - MAX_PROBLEMS:,} more problems."
            problems[MAX_PROBLEMS:] = [Problem(self.name, what, "Fix these first.")]
        return problems

    def raise_problems(self) -> None:
        """Raise Problems when there is any fault."""
        if problems := self.build_problems():
            raise Problems(problems)

    def _build_group_problems(self, group: _FaultGroup) -> list[Problem]:
        """Return a problem for each fault of the group, or one problem for all when there are many."""
        is_uniform = len(group.first_texts) == 1
        column = f", {self.labels.get(group.column, group.column)}" if group.column else ""
        if group.count <= (MAX_EQUAL_FAULTS if is_uniform else MAX_SIMILAR_FAULTS):
            faults = group.first_faults
            return [Problem(self._locate(fault.place) + column, fault.what, fault.remedy) for fault in faults]
        first, *others = group.first_faults[: MAX_NAMED_PLACES + 1]
        places = [fault.place if is_uniform else fault.describe() for fault in others]
        unnamed_count = group.count - 1 - len(others)
        more = f" and {unnamed_count:,} more" if unnamed_count else ""
        where = f"{self.name}: {group.count:,} {self._entries}, first in {first.place}{column}"
        named_places = ", ".join(places)
        if first.place.startswith("line "):
            named_places = f"lines {named_places.replace('line ', '')}"
        return [Problem(where, f"{first.what} Also in {named_places}{more}.", first.remedy)]

    def _locate(self, place: str) -> str:
        if not place:
            return self.name
        return f"{self.name}:{place}" if place.startswith("line ") else f"{self.name}: {place}"
