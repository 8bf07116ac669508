"""Finds out with one request which of the calendars in a folder have changed.

A folder is the collection in which calendars lie, such as `https://host/calendars/` for
`https://host/calendars/{user}/`. It is listed (PROPFIND with Depth 1) with the sync token and the ctag of each calendar
in it, which are compared with the marks in cursors. Marks are compared as text: a token that is written in another way
counts as a change.

A list costs the server time for each entry: on Radicale about a third of a request. So a folder is listed only when
enough of its calendars are compared: at least two, and at least one for every `ENTRIES_PER_CALENDAR` entries of the
last list. When a list is useless (the server refuses it, gives no tokens, or doesn't list our calendars), the folder is
not listed again for a day, and its calendars are read one by one.
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

#: The most entries that a list may have for each calendar that is compared.
ENTRIES_PER_CALENDAR = 5
#: For how long a folder is not listed: after a useless list, and after a temporary fault of its server. The length of a
#: useful list is remembered for `PAUSE`.
PAUSE, PAUSE_AFTER_FAULT = timedelta(days=1), timedelta(minutes=10)
#: The kinds of marks that a list contains. The third kind of mark is a hash of all etags.
_LISTED_KINDS = frozenset({"sync", "ctag"})


class StateComparison:
    """Compares states of calendars with the current ones. Several threads may use it at once."""

    def __init__(self, dav: DavClient, clock: Clock) -> None:
        self._dav = dav
        self._clock = clock
        #: By folder: how many of its calendars have to be compared for a list, at least, and until when that holds.
        self._min_counts: dict[str, tuple[float, datetime]] = {}

    def select_current(self, states: Mapping[Address, Set[CalendarState]]) -> set[Address]:
        """Return the people whose states are all certainly current. A state that can't be compared counts as not
        current; no error is raised."""
        comparable = {who: of_person for who, of_person in states.items() if all(map(_is_comparable, of_person))}
        # People with a calendar in a folder that is not listed are left out; another folder may then have too few.
        folders = self._choose_folders(comparable.values())
        comparable = {who: of_person for who, of_person in comparable.items() if _list_folders(of_person) <= folders}
        all_states = {state for of_person in comparable.values() for state in of_person}
        current: set[CalendarState] = set()
        for folder in sorted(self._choose_folders(comparable.values())):
            current |= self._list_current(folder, {state for state in all_states if split_url(state[0])[0] == folder})
        return {who for who, of_person in comparable.items() if of_person <= current}

    def _choose_folders(self, groups: Iterable[Set[CalendarState]]) -> set[str]:
        """Return the folders that hold enough of these calendars to be listed."""
        urls: dict[str, set[str]] = {}
        for url in {url for states in groups for url, _ in states}:
            urls.setdefault(split_url(url)[0], set()).add(url)
        return {folder for folder, calendars in urls.items() if len(calendars) >= self._get_min_count(folder)}

    def _get_min_count(self, folder: str) -> float:
        now = self._clock()
        count, until = self._min_counts.get(folder, (0, now))
        return max(2, count if now < until else 0)

    def _list_current(self, folder: str, states: Set[CalendarState]) -> set[CalendarState]:
        """Return those of the states in this folder that are current. Pauses the folder when its list is useless."""
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
            self._min_counts[folder] = len(answer.entries) / ENTRIES_PER_CALENDAR, self._clock() + PAUSE
        else:
            self._pause(folder, PAUSE, "does not list the states of our calendars")
        return {state for state, others in listed.items() if state[1] in others}

    def _pause(self, folder: str, duration: timedelta, reason: str) -> None:
        self._min_counts[folder] = inf, self._clock() + duration
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
    """Return the marks of each calendar directly in the folder, by name. When a name is listed twice, only the marks
    that both entries have count."""
    marks: dict[str, set[str]] = {}
    for entry in answer.entries:
        if entry.name and entry.is_direct:
            entry_marks = set(list_marks(entry))
            marks[entry.name] = marks.get(entry.name, entry_marks) & entry_marks
    return marks


def _get_kind(mark: str) -> str:
    return mark.partition(":")[0]
