"""Reasons of decisions, stored as codes and values. `worker.domain.reason_texts` turns them into sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

#: The values that a reason may hold: names, zones and counts; a day; an instant. Never the content of a calendar.
ReasonValue = str | int | date | datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a decision."""

    code: str  #: a key of `worker.domain.reason_texts.SENTENCES`
    values: Mapping[str, ReasonValue] = field(default_factory=dict, hash=False)  #: the values that the sentence shows


#: Several reasons, in the order in which they are shown.
Reasons = tuple[Reason, ...]
