"""Reasons as values: stored without a language, and put into sentences for each reader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

#: The values that a reason may hold: names, zones and counts; a day; an instant. Never the content of a calendar.
ReasonValue = str | int | date | datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: the code of its sentence in `worker.domain.reason_texts`, and the values that the sentence shows."""

    code: str
    values: Mapping[str, ReasonValue] = field(default_factory=dict, hash=False)


#: Reasons in the order in which a reader sees them.
Reasons = tuple[Reason, ...]
