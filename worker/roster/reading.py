"""What the sources of directories share: reading page by page, and the findings about what was read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from worker.errors import InvalidResponse, Unavailable
from worker.providers.base import Finding
from worker.roster.base import RosterRecord

#: How often a page is asked for again when its answer got lost.
_REPEATS = 2

#: One page of a list, as the service sent it.
Page = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DirectoryReading:
    """The records of a directory that was read to its end."""

    records: Sequence[RosterRecord]
    left_out: Mapping[str, int] = field(default_factory=dict)  #: who is no person of the company: how many, by kind


def iter_pages(name: str, request_page: Callable[[str], Page], next_field: str) -> Iterator[Page]:
    """Yield all pages of a list. Raises ProviderErrors.

    `name`: that of the directory, for messages. `request_page`: returns the page at a token or link; the first one for
    an empty text. `next_field`: the field of a page that leads to the next one.
    """
    seen = {""}
    token = ""
    while True:
        page = _read_page(partial(request_page, token))
        yield page
        token = str(page.get(next_field) or "")
        if not token:
            return
        if token in seen:
            raise InvalidResponse(f"{name}: the list of people comes to no end.")
        seen.add(token)


def _read_page(request_page: Callable[[], Page]) -> Page:
    """Return what `request_page` returns. Raises its errors.

    When the service did not answer, and did not ask to wait, the request is repeated at once. Reading changes nothing,
    and without this one lost answer among hundreds would end the reading of a large company.
    """
    for _ in range(_REPEATS):
        try:
            return request_page()
        except Unavailable as error:
            if error.retry_after:
                raise
    return request_page()


def describe_reading(name: str, reading: DirectoryReading, manager_remedy: str) -> list[Finding]:
    """Return findings about what a directory told: counts, and what it lacks. `name`: that of the directory."""
    active = [record for record in reading.records if record.is_active]
    if not active:
        return [Finding(f"{name} lists people", False, "Nobody was read: fix what is asked for in the settings.")]
    managed = sum(bool(record.managers) for record in active)
    people = f"{_count_people(len(active))}: {managed:,} with a manager, {len(active) - managed:,} without"
    inactive_count = len(reading.records) - len(active)
    findings = [Finding(f"{name} lists {people}; {inactive_count:,} more can't sign in, and count as gone", True)]
    if reading.left_out:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(reading.left_out.items()))
        findings.append(Finding(f"{name} also lists who is left out: {kinds}", True))
    told = {
        "a country": sum(bool(record.country) for record in active),
        "a department": sum(bool(record.group) for record in active),
        "a language": sum(bool(record.locale) for record in active),
        "a time zone": sum(bool(record.time_zone) for record in active),
    }
    known = ", ".join(f"{what} of {count:,}" for what, count in told.items())
    findings.append(Finding(f"{name} tells {known}; calendars, [roster] and the people file may tell more", True))
    if not managed:
        findings.append(Finding(f"{name} names nobody's manager, so there are no pairs", True, manager_remedy))
    if several := sum(len(record.managers) > 1 for record in active):
        what = f"{name} names several managers of {_count_people(several)}: such pairs stay as they are"
        findings.append(Finding(what, True, "Keep one manager of each. `longarc people` lists them."))
    return findings


def _count_people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
