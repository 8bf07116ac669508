"""Finds out with one request which of the calendars in a folder have changed.

A folder is the collection that contains the calendars, such as `https://host/calendars/` for the calendar
`https://host/calendars/{user}/`. Its list (PROPFIND with Depth 1) has the sync token and the ctag of each calendar,
which are compared with the marks in cursors; a mark stands for one state of a calendar. Marks are compared as text. If
a server writes the same token in two ways, its calendars are only read more often than necessary.

A list costs the server more, the more entries it has: on Radicale, each entry costs about a third of a request. So a
folder is listed only when enough of its calendars are compared: at least two, and at least one for every five entries
(`ENTRIES_PER_CALENDAR`) of the last list. When a list is useless (the server refuses the request, sends no
tokens, or doesn't list our calendars), the folder is not listed again for a day, and its calendars are read one by one.
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

#: How many entries a list may have at most for each calendar that is compared. At this limit, a list costs Radicale
#: 5/3 requests for each calendar, which is more than the requests that it replaces, but it is a single request.
ENTRIES_PER_CALENDAR = 5
#: How long a folder is not listed after a useless list. The length of a useful list is remembered for the same time.
PAUSE = timedelta(days=1)
#: How long a folder is not listed after a temporary fault of its server.
PAUSE_AFTER_FAULT = timedelta(minutes=10)
#: The kinds of marks that a list contains. It does not contain the third kind, a hash of all etags.
_LISTED_KINDS = frozenset({"sync", "ctag"})


class StateComparison:
    """Compares known states of calendars with the current ones. Several threads may use one instance at once."""

    def __init__(self, dav: DavClient, clock: Clock) -> None:
        self._dav = dav
        self._clock = clock
        #: By folder: how many of its calendars must be compared for the folder to be listed, and until when that holds.
        self._min_counts: dict[str, tuple[float, datetime]] = {}

    def select_people_with_current_states(self, states: Mapping[Address, Set[CalendarState]]) -> set[Address]:
        """Return the people whose states are all certainly current. `states`: for each person, the known states of the
        calendars to compare. A state that can't be compared counts as not current; no error is raised."""
        comparable = {
            person: known_states for person, known_states in states.items() if all(map(_is_comparable, known_states))
        }
        # People with a calendar in a folder that is not listed are left out. Without them, another folder may have too
        # few calendars to be listed, so the folders are chosen again below.
        folders = self._choose_folders(comparable.values())
        comparable = {
            person: known_states for person, known_states in comparable.items() if _get_folders(known_states) <= folders
        }
        all_states = {state for known_states in comparable.values() for state in known_states}
        current_states: set[CalendarState] = set()
        for folder in sorted(self._choose_folders(comparable.values())):
            states_in_folder = {(url, mark) for url, mark in all_states if split_folder_and_name(url)[0] == folder}
            current_states |= self._select_current_states(folder, states_in_folder)
        return {person for person, known_states in comparable.items() if known_states <= current_states}

    def _choose_folders(self, groups: Iterable[Set[CalendarState]]) -> set[str]:
        """Return the folders that contain enough of these calendars to be listed."""
        urls_by_folder: dict[str, set[str]] = {}
        for url in {url for states in groups for url, _ in states}:
            urls_by_folder.setdefault(split_folder_and_name(url)[0], set()).add(url)
        return {folder for folder, urls in urls_by_folder.items() if len(urls) >= self._get_min_count(folder)}

    def _get_min_count(self, folder: str) -> float:
        """Return how many calendars of the folder must be compared for the folder to be listed; infinite in a pause."""
        now = self._clock()
        count, until = self._min_counts.get(folder, (0, now))
        return max(2, count if now < until else 0)

    def _select_current_states(self, folder: str, states: Set[CalendarState]) -> set[CalendarState]:
        """List the folder, and return those of `states` that are current. All of `states` are of calendars in this
        folder. Pauses the folder when its list is useless."""
        try:
            answer = self._dav.propfind(folder, MARK_PROPERTIES, depth=1)
        except Transient:
            self._pause(folder, PAUSE_AFTER_FAULT, "can't be listed just now")
            return set()
        except ProviderError:
            self._pause(folder, PAUSE, "can't be listed")
            return set()
        marks_by_name = _collect_marks(answer)
        listed_marks = {(url, mark): marks_by_name.get(split_folder_and_name(url)[1], set()) for url, mark in states}
        is_useful = any(_get_kind(mark) in map(_get_kind, marks) for (_, mark), marks in listed_marks.items())
        if is_useful:
            self._min_counts[folder] = len(answer.entries) / ENTRIES_PER_CALENDAR, self._clock() + PAUSE
        else:
            self._pause(folder, PAUSE, "does not list the states of our calendars")
        return {(url, mark) for (url, mark), marks in listed_marks.items() if mark in marks}

    def _pause(self, folder: str, duration: timedelta, reason: str) -> None:
        self._min_counts[folder] = inf, self._clock() + duration
        log.info("%s %s; its calendars are read one by one", folder, reason, extra={"action": Action.FOLDER_UNLISTED})


def split_folder_and_name(url: str) -> tuple[str, str]:
    """Return the URL of a calendar's folder, and the calendar's unquoted name in the folder. Both are empty for a
    calendar without a folder: one at the root of its host, or one whose URL has a query or a fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    if parts.query or parts.fragment or not parts.path.strip("/"):
        return "", ""
    folder, _, name = url.rstrip("/").rpartition("/")
    return f"{folder}/", unquote(name)


def _is_comparable(state: CalendarState) -> bool:
    """Return whether a list of the calendar's folder can show that this state is the current one."""
    url, mark = state
    return _get_kind(mark) in _LISTED_KINDS and bool(split_folder_and_name(url)[0])


def _get_folders(states: Iterable[CalendarState]) -> set[str]:
    """Return the URLs of the folders that contain the calendars of these states."""
    return {split_folder_and_name(url)[0] for url, _ in states}


def _collect_marks(answer: Multistatus) -> dict[str, set[str]]:
    """Return the marks of each calendar directly in the listed folder, by the calendar's name. A name that is listed
    twice has only the marks that both entries have."""
    marks: dict[str, set[str]] = {}
    for entry in answer.entries:
        if entry.name and entry.is_direct:
            entry_marks = set(list_marks(entry))
            marks[entry.name] = marks.get(entry.name, entry_marks) & entry_marks
    return marks


def _get_kind(mark: str) -> str:
    """Return the kind of a mark: `sync`, `ctag` or `etags`."""
    return mark.partition(":")[0]
