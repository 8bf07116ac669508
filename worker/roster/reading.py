"""Helpers of the sources that read a directory: reading page by page, and the findings about the records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from worker.domain.counts import format_count
from worker.errors import InvalidResponse, Unavailable
from worker.providers.base import Finding
from worker.roster.base import RosterRecord

#: How often the request of a page is repeated when it gets no answer.
_REPEATS = 2

#: One page of a list, as the service sent it.
Page = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DirectoryReading:
    """The records of a directory that was read to its end."""

    records: Sequence[RosterRecord]
    #: the number of entries that are left out, by kind, such as `guests`
    left_out: Mapping[str, int] = field(default_factory=dict)


def iter_pages(name: str, request_page: Callable[[str], Page], next_field: str) -> Iterator[Page]:
    """Yield all pages of a list. Raises ProviderErrors.

    `name`: the directory's name, for messages. `request_page`: a function that returns the page at a token or link; for
    an empty text it returns the first page. `next_field`: the field of a page that holds the token or link of the next
    page.
    """
    seen_tokens = {""}
    token = ""
    while True:
        page = _read_page(partial(request_page, token))
        yield page
        token = str(page.get(next_field) or "")
        if not token:
            return
        if token in seen_tokens:
            raise InvalidResponse(f"{name}: the list of people does not end.")
        seen_tokens.add(token)


def _read_page(request_page: Callable[[], Page]) -> Page:
    """Return the result of `request_page`. Raises the errors that `request_page` raises.

    When the service did not answer, and did not ask us to wait, the request is repeated at once. Otherwise one lost
    answer among hundreds would end the reading of a large company. Repeating is safe, because the request changes
    nothing.
    """
    for _ in range(_REPEATS):
        try:
            return request_page()
        except Unavailable as error:
            if error.retry_after:
                raise
    return request_page()


def list_reading_findings(name: str, reading: DirectoryReading, manager_remedy: str) -> list[Finding]:
    """Return findings about the records of a directory: their number, and how many values they have and lack.

    `name`: the directory's name. `manager_remedy`: the remedy when no record has a manager.
    """
    active = [record for record in reading.records if record.is_active]
    if not active:
        return [
            Finding(f"{name} lists people", ok=False, remedy="Nobody was read: check the settings that select people.")
        ]
    managed_count = sum(bool(record.managers) for record in active)
    people = f"{_format_people(len(active))}: {managed_count:,} with a manager, {len(active) - managed_count:,} without"
    inactive_count = len(reading.records) - len(active)
    findings = [Finding(f"{name} lists {people}; {inactive_count:,} more can't sign in, and count as former", ok=True)]
    if reading.left_out:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(reading.left_out.items()))
        findings.append(Finding(f"{name} has other entries, which are left out: {kinds}", ok=True))
    value_counts = {
        "a country": sum(bool(record.country) for record in active),
        "a department": sum(bool(record.group) for record in active),
        "a language": sum(bool(record.locale) for record in active),
        "a time zone": sum(bool(record.time_zone) for record in active),
    }
    values = ", ".join(f"{value} for {_format_known(count)}" for value, count in value_counts.items())
    findings.append(Finding(f"{name} has {values}; calendars, [roster] and the people file may have more", ok=True))
    if not managed_count:
        findings.append(
            Finding(f"{name} names nobody's manager, so there are no pairs", ok=True, remedy=manager_remedy)
        )
    if several_count := sum(len(record.managers) > 1 for record in active):
        statement = f"{name} names several managers of {_format_people(several_count)}: such pairs stay as they are"
        findings.append(Finding(statement, ok=True, remedy="Keep one manager of each. `longarc people` lists them."))
    return findings


def _format_people(count: int) -> str:
    return format_count(count, "person", "people")


def _format_known(count: int) -> str:
    return _format_people(count) if count else "nobody"
