"""Finds out with one request which of the calendars in a folder have changed.

A folder is the collection in which calendars lie, such as `https://host/calendars/` for
`https://host/calendars/{user}/`. It is listed (PROPFIND with Depth 1) with the sync token and the ctag of each calendar
in it, which are compared with the marks in cursors. A mark is compared as it is: a token that only looks different
counts as a change.

A list costs the server something for each entry, about a third of a request on Radicale. So a folder is listed only for
enough of its calendars: at least two, and at least a fraction of all that the last list named. A folder that tells
nothing of use is not listed again for a day: its server refuses, gives no tokens, or doesn't list our calendars. The
calendars are read one by one meanwhile.
"""

import logging
from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta
from math import inf
from urllib.parse import unquote, urlsplit

from worker.clock import Clock
from worker.domain.model import Address
from worker.errors import ProviderError, Transient
from worker.logs import Action
from worker.providers.caldav.client import DavClient, Multistatus
from worker.providers.caldav.collection import MARK_PROPERTIES, list_marks

log = logging.getLogger(__name__)

#: The URL of a calendar and the mark of one state of it.
CalendarState = tuple[str, str]

#: How many entries of a list may come on each calendar that is compared.
ENTRIES_PER_CALENDAR = 5
#: How long a folder is not listed that tells nothing of use, and one whose server is out of order. The length of a list
#: counts for the longer time.
PAUSE, PAUSE_AFTER_FAULT = timedelta(days=1), timedelta(minutes=10)
#: The kinds of marks that a list tells; the third kind is a hash of all etags.
_LISTED_KINDS = frozenset({"sync", "ctag"})


class StateComparison:
    """Compares states of calendars with the current ones. Several threads may use it at once."""

    def __init__(self, dav: DavClient, clock: Clock) -> None:
        self._dav = dav
        self._clock = clock
        #: By folder: for how many calendars at least it is listed, and until when that counts.
        self._least_counts: dict[str, tuple[float, datetime]] = {}

    def select_current(self, states: Mapping[Address, Set[CalendarState]]) -> set[Address]:
        """Return the people of whose states all are certainly current. Raises nothing: what can't be compared is not
        current."""
        comparable = {who: wanted for who, wanted in states.items() if all(map(_is_comparable, wanted))}
        # Somebody with a calendar in a folder that is not listed is left out, which may leave too few in another.
        folders = self._choose_folders(comparable.values())
        comparable = {who: wanted for who, wanted in comparable.items() if _list_folders(wanted) <= folders}
        current: set[CalendarState] = set()
        for folder in sorted(self._choose_folders(comparable.values())):
            wanted = {state for listed in comparable.values() for state in listed if split_url(state[0])[0] == folder}
            current |= self._list_current(folder, wanted)
        return {who for who, wanted in comparable.items() if wanted <= current}

    def _choose_folders(self, groups: Iterable[Set[CalendarState]]) -> set[str]:
        """Return the folders with so many of these calendars that it is worth to list them."""
        urls: dict[str, set[str]] = {}
        for url in {url for states in groups for url, _ in states}:
            urls.setdefault(split_url(url)[0], set()).add(url)
        return {folder for folder, calendars in urls.items() if len(calendars) >= self._get_least_count(folder)}

    def _get_least_count(self, folder: str) -> float:
        now = self._clock()
        count, until = self._least_counts.get(folder, (0, now))
        return max(2, count if now < until else 0)

    def _list_current(self, folder: str, states: Set[CalendarState]) -> set[CalendarState]:
        """Return those of the states in this folder that are current. Pauses the folder when it can't tell."""
        try:
            answer = self._dav.propfind(folder, MARK_PROPERTIES, depth=1)
        except Transient:
            self._pause(folder, PAUSE_AFTER_FAULT, "can't be listed just now")
            return set()
        except ProviderError:
            self._pause(folder, PAUSE, "can't be listed")
            return set()
        marks = _collect_marks(answer)
        listed = {(url, mark): marks.get(split_url(url)[1], set()) for url, mark in states}
        if any(_get_kind(mark) == _get_kind(other) for (_, mark), others in listed.items() for other in others):
            self._least_counts[folder] = len(answer.entries) / ENTRIES_PER_CALENDAR, self._clock() + PAUSE
        else:
            self._pause(folder, PAUSE, "does not list the states of our calendars")
        return {state for state, others in listed.items() if state[1] in others}

    def _pause(self, folder: str, duration: timedelta, reason: str) -> None:
        self._least_counts[folder] = inf, self._clock() + duration
        log.info("%s %s; its calendars are read one by one", folder, reason, extra={"action": Action.FOLDER_UNLISTED})


def split_url(url: str) -> tuple[str, str]:
    """Return the URL of the folder of a calendar, and the calendar's name in it, not quoted. Both are empty when there
    is no such folder: the calendar is the root of its host, or its URL has a query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    if parts.query or parts.fragment or not parts.path.strip("/"):
        return "", ""
    folder, _, name = url.rstrip("/").rpartition("/")
    return f"{folder}/", unquote(name)


def _is_comparable(state: CalendarState) -> bool:
    """Return whether a list of the calendar's folder can tell if this state is the current one."""
    url, mark = state
    return _get_kind(mark) in _LISTED_KINDS and bool(split_url(url)[0])


def _list_folders(states: Iterable[CalendarState]) -> set[str]:
    return {split_url(url)[0] for url, _ in states}


def _collect_marks(answer: Multistatus) -> dict[str, set[str]]:
    """Return the marks of each calendar directly in the folder, by name. Where a name is listed twice, only the marks
    that both have count."""
    marks: dict[str, set[str]] = {}
    for entry in answer.entries:
        if entry.name and entry.is_direct:
            found = set(list_marks(entry))
            marks[entry.name] = marks.get(entry.name, found) & found
    return marks


def _get_kind(mark: str) -> str:
    return mark.partition(":")[0]
