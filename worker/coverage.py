"""What good looks like, counted for groups of people (R-22): who met, what was put off, what was kept.

Never about one person. A group of fewer than five pairs is folded into the others; when the others are fewer than
five too they are counted nowhere, so that nothing follows from subtracting one line from another.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from worker.domain.model import Address, Commitment, Pair, Person, Session, Standing
from worker.store import Store
from worker.store.figures import Figures

#: R-22: no group smaller than this is shown.
LEAST = 5
DEADLINE = timedelta(hours=48)
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Quarter:
    """Three months of the calendar."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"

    @property
    def first(self) -> date:
        return date(self.year, self.number * 3 - 2, 1)

    @property
    def last(self) -> date:
        return quarter_of(self.first + timedelta(days=100)).first - timedelta(days=1)

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)


def quarter_of(day: date) -> Quarter:
    """The quarter a day lies in."""
    return Quarter(day.year, (day.month + 2) // 3)


@dataclass(slots=True)
class Figures_:
    """One pair's part in a quarter; summed, a group's."""
