"""Collects the faults of a file or a directory, and says a systematic fault once, with a count."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.errors import Problem, Problems

#: Problems beyond this number are only counted.
MAX_PROBLEMS = 200
#: Up to how many faults with the same text are reported one by one; more are reported once, with a count.
MAX_EQUAL_FAULTS = 3
#: Up to how many faults of one kind, which differ in the value, are reported one by one; more are reported once.
MAX_SIMILAR_FAULTS = 10
#: How many places a fault that is reported once names.
MAX_NAMED_PLACES = 5

_QUOTED_VALUE = re.compile(r"`[^`]*`")
_COUNT = re.compile(r"\d[\d,]*")


@dataclass(frozen=True, slots=True)
class _Fault:
    place: str
    what: str
    remedy: str

    def describe(self) -> str:
        """Return the place, with the value that is wrong."""
        value = _QUOTED_VALUE.search(self.what)
        return f"{self.place} ({value[0]})" if value else self.place


@dataclass(slots=True)
class _FaultGroup:
    """The faults of one column that differ only in the values that they quote."""

    column: str
    faults: list[_Fault] = field(default_factory=list)  #: the first ones
    texts: set[str] = field(default_factory=set)  #: of the first ones
    count: int = 0


class ProblemReport:
    """The faults of one file or directory, by kind, in the order in which the kinds were first found."""

    def __init__(self, name: str, people: str = "rows") -> None:
        """`name` is what messages call the file or directory, and `people` what they count in it."""
        self.name = name
        self._people = people
        self.labels: dict[str, str] = {}  #: what the file itself calls a column
        self._groups: dict[tuple[str, str], _FaultGroup] = {}

    @property
    def has_problems(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._groups)

    @property
    def count(self) -> int:
        """How many faults there are."""
        return sum(group.count for group in self._groups.values())

    def add_problem(self, place: int | str, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        """Add a fault. `place` is a line, or such as `user 10394`; a callable remedy is computed when it is shown."""
        place = f"line {place}" if isinstance(place, int) else place
        kind = _COUNT.sub("0", _QUOTED_VALUE.sub("``", what))
        group = self._groups.setdefault((column, kind), _FaultGroup(column))
        group.count += 1
        if len(group.faults) <= MAX_SIMILAR_FAULTS:
            group.texts.add(what)
            group.faults.append(_Fault(place, what, remedy if isinstance(remedy, str) else remedy()))

    def build_problems(self) -> list[Problem]:
        """Return the faults: each systematic one once, and at most MAX_PROBLEMS."""
        problems = [problem for group in self._groups.values() for problem in self._describe_group(group)]
        if len(problems) > MAX_PROBLEMS:
            what = f"There are {len(problems) - MAX_PROBLEMS:,} more problems."
            problems[MAX_PROBLEMS:] = [Problem(self.name, what, "Fix these first.")]
        return problems

    def raise_problems(self) -> None:
        """Raises Problems when there are any."""
        if problems := self.build_problems():
            raise Problems(problems)

    def _describe_group(self, group: _FaultGroup) -> list[Problem]:
        is_uniform = len(group.texts) == 1
        column = f", {self.labels.get(group.column, group.column)}" if group.column else ""
        if group.count <= (MAX_EQUAL_FAULTS if is_uniform else MAX_SIMILAR_FAULTS):
            return [Problem(self._locate(fault.place) + column, fault.what, fault.remedy) for fault in group.faults]
        first, *others = group.faults[: MAX_NAMED_PLACES + 1]
        places = [fault.place if is_uniform else fault.describe() for fault in others]
        uncounted = group.count - 1 - len(others)
        more = f" and {uncounted:,} more" if uncounted else ""
        where = f"{self.name}: {group.count:,} {self._people}, first in {first.place}{column}"
        named = ", ".join(places)
        if first.place.startswith("line "):
            named = f"lines {named.replace('line ', '')}"
        return [Problem(where, f"{first.what} Also in {named}{more}.", first.remedy)]

    def _locate(self, place: str) -> str:
        if not place:
            return self.name
        return f"{self.name}:{place}" if place.startswith("line ") else f"{self.name}: {place}"
