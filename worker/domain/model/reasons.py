"""Why something is as it is, as a value: kept as it was found, worded for whoever reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

#: What a reason may speak of: names, zones and counts; a day; an instant. Never what a calendar holds.
ReasonValue = str | int | date | datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing to be said: which sentence (`worker.domain.reason_texts` has them), and what goes into it."""

    code: str
    values: Mapping[str, ReasonValue] = field(default_factory=dict, hash=False)


#: Reasons in the order in which they are told.
Reasons = tuple[Reason, ...]
