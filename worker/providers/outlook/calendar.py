"""Calendars in Microsoft 365, through Microsoft Graph.

Our key is in one property of ours on the organizer's event. A guest's copy does not carry it: there our event is known
by its `iCalUId`, which all copies share, or, where only times are told, by the time it has. `organizers` says who may
have invited somebody, so that this costs one request and not one for each person there is.

Nothing is looked for by that property where there is another way: it is not indexed, and on a large mailbox such a
question is never answered. What changed is told with the `transactionId` that we gave it; what is ahead is listed by
its start.

The service may call a person by another address than the one invited, by an X500 string or by a bare name. `identities`
turns each of them into the person's address, and learns those that an event of ours shows.

The time of those who organize is read from their calendars, that of everybody else by `getSchedule` through an
organizer's mailbox: so an app needs access to organizers alone.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from worker.clock import utcnow
from worker.domain.model import Address, BusyTime, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.errors import (
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    Permanent,
    ProviderError,
    Transient,
    Unavailable,
)
from worker.providers.base import Finding, Habits
from worker.providers.identities import InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.providers.outlook import auth, checks, delta, mail, schedule
from worker.providers.outlook import events as graphevents
from worker.providers.outlook.client import DeltaTokenExpired, DuplicateTransaction, Graph, Json, TooSlow
from worker.providers.outlook.mailbox_settings import MailboxSettings

log = logging.getLogger(__name__)

#: Who hears of what an operator should know, once for each cause: the cause, and the words.
NoticeListener = Callable[[str, str], None]
#: Who may have invited a person to one of our events.
Organizers = Callable[[Address], Collection[Address]]

_PAGE = 500
_OWN_EVENT_FIELDS = f"{graphevents.EVENT_FIELDS},subject,body,isOnlineMeeting,isReminderOn,reminderMinutesBeforeStart"
_NO_TEAMS = (
    "Microsoft 365 made an event of {who} without the Teams meeting that was asked for: Teams is not available to this "
    "person. Give the person Teams, or write `teams = false` under [calendars.outlook]."
)
_CANCEL_COMMENT = "This time is free again."
#: So many changes are looked up one by one; where there are more, a full pass costs less.
_MOST_LOOKUPS = 20
#: How far back an event of ours is looked for in a mailbox that is too large to be searched.
_SEARCH_BACK = timedelta(days=400)


def build_calendar(section: Mapping[str, Any]) -> "OutlookCalendar":
    """The provider as its section of the settings describes it.

    `endpoint`, `authority`, `tenant`, `client_id` and what goes with them: see `graphauth.tokens`. `teams`: whether
    events with video get a Teams link. `organizers`: who may have invited somebody. `limiter`: limits
    requests to each mailbox. `identities`: who an address belongs to. `notices`: hears what an operator should know.
    `local`: everybody whose calendar is here. `zones`: a zone by address, which goes before what mailboxes say.
    `timeout`: seconds. `ca_file`: certificates to trust.
    """
    return OutlookCalendar(
        build_graph(section),
        organizers=section.get("organizers") or (lambda _: ()),
        zones=dict(section.get("zones") or {}),
        teams=bool(section.get("teams", True)),
        notices=section.get("notices") or (lambda _cause, _words: None),
        local=section.get("local") or (),
    )


def build_mailer(section: Mapping[str, Any]) -> "mail.GraphMailer":
    """The mailer, by the same connection. `sender`: whose mailbox mail goes out from. `exactly_once`, `as_author`:
    see `worker.providers.outlook.mail`."""
    return mail.GraphMailer(
        build_graph(section),
        str(section.get("sender") or ""),
        exactly_once=bool(section.get("exactly_once", False)),
        as_author=bool(section.get("as_author", False)),
    )


def build_graph(section: Mapping[str, Any]) -> Graph:
    """Graph, as the section says how to reach it. Raises AuthRevoked when that can't be."""
    return Graph(
        str(section["endpoint"]),
        auth.build_tokens(section),
        section.get("limiter") or Limiter(),
        timeout=float(section.get("timeout") or 30),
        ca_file=str(section.get("ca_file") or ""),
        identities=section.get("identities") or InMemoryIdentities(),
    )


@dataclass(frozen=True, slots=True)
class _EventWithUid:
    """An event on somebody's calendar, and what it has in common with its copies."""

    event: Event
    uid: str


_CalendarView = (
    list[_EventWithUid] | Permanent | Transient
)  #: what is on a calendar, or why it can't be read, for good or just now


class OutlookCalendar:
    """A CalendarProvider on Microsoft Graph."""

    def __init__(
        self,
        graph: Graph,
        *,
        organizers: Organizers = lambda _: (),
        zones: Mapping[Address, str] | None = None,
        teams: bool = True,
        notices: NoticeListener = lambda _cause, _words: None,
        local: Collection[Address] = (),
    ) -> None:
        self._graph = graph
        self._identities = graph.identities
        self._notices = notices
        self._local = local
        self._unsearchable: set[Address] = set()  #: mailboxes that are too large to be searched by our property
        self._organizers = organizers
        self._teams = teams
        self.mailboxes = MailboxSettings(graph, zones or {})

    def close(self) -> None:
        """Let go of the connections."""
        self._graph.close()

    # --- free/busy --------------------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        asked = list(dict.fromkeys(people))
        inviting = {who: frozenset(self._organizers(who)) for who in asked}
        organizing: set[Address] = {self._graph.own} - {""}
        for who in asked:
            organizing |= inviting[who]
        views = self._read_views(sorted(organizing), window)
        ours = [seen for view in views.values() if isinstance(view, list) for seen in view if seen.event.key]
        seen = {who: _to_free_busy(views[who], ours, window) for who in asked if who in views}
        seen |= {who: waiting for who in asked if (waiting := _make_temporary_unknown(who, inviting[who], views))}
        through = [who for who, view in views.items() if isinstance(view, list)]
        told = schedule.read_free_busy(self._graph, [who for who in asked if who not in seen], window, through)
        for who, free_busy in told.items():
            events = [self._assign_guest(one.event, who, inviting[who]) for one in ours]
            seen[who] = schedule.mark_our_events(free_busy, who, events, window)
        return {who: seen[who] for who in asked}

    def _assign_guest(self, event: Event, who: Address, inviting: Collection[Address]) -> Event:
        """The event, with `who` for its one guest where that one goes by a name that nobody here has."""
        unnamed = len(event.answers) == 1 and not {who, *self._local} & event.answers.keys()
        if not (unnamed and self._local and event.organizer in inviting):
            return event
        return replace(event, answers=dict.fromkeys([who], *event.answers.values()))

    def _read_views(self, people: Sequence[Address], window: Span) -> dict[Address, _CalendarView]:
        """What is on these calendars in that window; of many of them the first pages in one request."""
        given: dict[str, Any] = {
            **_make_list_query(),
            "startDateTime": _format_instant(window.start),
            "endDateTime": _format_instant(window.end),
        }
        if len(people) == 1:
            return {who: self._parse_view(who, self._graph.iter_all(who, "calendarView", **given)) for who in people}
        pages = self._graph.get_each(people, "calendarView", **given)
        return {who: self._complete_view(who, pages[who]) for who in people}

    def _complete_view(self, who: Address, page: Json | ProviderError) -> _CalendarView:
        """One of many calendars; when it can't be read just now, that is its own affair."""
        try:
            return self._parse_view(who, self._iter_rest(who, page))
        except Transient as error:
            return error

    def _iter_rest(self, who: Address, page: Json | ProviderError) -> Iterator[Json]:
        """Raises what came instead of the page."""
        if isinstance(page, ProviderError):
            raise page
        yield from self._graph.iter_rest(who, page)

    def _parse_view(self, who: Address, items: Iterable[Json]) -> _CalendarView:
        try:
            return [self._parse_item(who, item) for item in items]
        except (NotFound, Forbidden, InvalidResponse) as error:
            return error

    def _iter_window(self, who: Address, window: Span) -> Iterator[_EventWithUid]:
        """What is on the calendar in that window, occurrences one by one."""
        given: dict[str, Any] = {
            "startDateTime": _format_instant(window.start),
            "endDateTime": _format_instant(window.end),
        }
        yield from self._iter_events(who, "calendarView", **given)

    def _iter_events(self, who: Address, path: str, **query: object) -> Iterator[_EventWithUid]:
        asked: dict[str, Any] = {**_make_list_query(), **query}
        for item in self._graph.iter_all(who, path, **asked):
            yield self._parse_item(who, item)

    def _parse_item(self, who: Address, item: Json) -> _EventWithUid:
        return _EventWithUid(self._parse_event(item, who), str(item.get("iCalUId") or item["id"]))

    def _parse_event(self, item: Json, who: Address, key: str | None = None) -> Event:
        """The event, everybody on it by their addresses."""
        if item.get("isOrganizer"):
            self._learn_form(who, graphevents.form_of(item.get("organizer")))
        return graphevents.parse_event(item, who, self.mailboxes.get_zone(who), key, primary=self._identities.primary)

    def _learn_form(self, person: Address, form: str) -> None:
        """Keep one more name by which the service calls that person."""
        if form and self._identities.primary(form) != person:
            self._identities.learn(person, form)

    # --- what changed -----------------------------------------------------------------------------------------------

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        at = delta.parse_cursor(cursor)
        if at is not None and at.is_covering(window):
            try:
                told = delta.follow_round(self._graph, calendar, at)
            except DeltaTokenExpired:
                log.info("a new round begins", extra={"action": "graph_round", "calendar": calendar})
            else:
                if (changes := self._list_changes_since(calendar, told, window)) is not None:
                    return changes
        return self._list_everything(calendar, window)

    def _list_everything(self, calendar: Address, window: Span) -> CalendarChanges:
        """The plain view and our events behind it; the new round begins first, so that nothing gets lost in between."""
        try:
            cursor = delta.begin_round(self._graph, calendar, window).cursor
        except DeltaTokenExpired as error:
            raise Unavailable(f"{calendar}: the service forgets what it has just told.") from error
        listed = {seen.event.ref.id: seen for seen in self._iter_window(calendar, window)}
        listed |= {seen.event.ref.id: seen for seen in self._iter_ours_after(calendar, window.end)}
        return CalendarChanges(self._add_keys(calendar, listed.values()), (), cursor, full=True)

    def _list_changes_since(self, calendar: Address, told: delta.DeltaChanges, window: Span) -> CalendarChanges | None:
        """What a round told; None when so much was told that to list everything costs less."""
        series = {str(item.get("seriesMasterId") or "") for item in told.items} - {""}
        series |= {str(item["id"]) for item in told.items if item.get("type") == "seriesMaster"}
        singles = [item for item in told.items if not item.get("seriesMasterId") and item["id"] not in series]
        asked = [str(item["id"]) for item in singles if _can_be_ours(item)] + sorted(told.removed)
        if len(asked) > _MOST_LOOKUPS:
            return None
        found = {one: self._look_up(calendar, one) for one in asked}
        ours = {one: seen for one, seen in found.items() if seen and (seen.event.key or one not in told.removed)}
        gone = sorted(found.keys() - ours.keys())
        listed = [*ours.values()]  # also those that were moved out of the window
        listed += [self._parse_item(calendar, item) for item in singles if item["id"] not in found]
        for master in sorted(series - told.removed):
            occurrences = self._list_occurrences(calendar, master, window)
            listed += occurrences
            gone += [] if occurrences else [master]
        return CalendarChanges(self._add_keys(calendar, listed), tuple(gone), told.round.cursor, full=False)

    def _look_up(self, calendar: Address, event_id: str) -> _EventWithUid | None:
        """The event of that id with its key; None when it is gone."""
        item = self._get_item(calendar, event_id)
        return self._parse_item(calendar, item) if item else None

    def _list_occurrences(self, calendar: Address, master: str, window: Span) -> list[_EventWithUid]:
        """A series inside the window; nothing when it is gone."""
        given = {"startDateTime": _format_instant(window.start), "endDateTime": _format_instant(window.end)}
        try:
            return list(self._iter_events(calendar, f"events/{quote(master, safe='')}/instances", **given))
        except NotFound:
            return []

    def _iter_ours_after(self, calendar: Address, instant: datetime) -> Iterator[_EventWithUid]:
        """Every event of ours that begins then or later."""
        listed = self._iter_events(calendar, "events", filter=graphevents.filter_starting_from(instant))
        return (seen for seen in listed if seen.event.key)

    def _add_keys(self, calendar: Address, listed: Collection[_EventWithUid]) -> tuple[Event, ...]:
        """The events, those with their key that another organizer invited the owner to for us.

        The copies that one organizer's event has are known by what they have in common, not by what the service calls
        the organizer.
        """
        theirs = [seen for seen in listed if not (seen.event.key or seen.event.series)]
        theirs = [seen for seen in theirs if seen.event.organizer not in ("", calendar)]
        keys: dict[str, str] = {}
        for organizer in sorted(set(self._organizers(calendar)) - {calendar}):
            copies = [
                seen for seen in theirs if seen.event.organizer in (organizer, *self._get_unknown_organizer(seen.event))
            ]
            if not copies:
                continue
            around = Span(min(one.event.span.start for one in copies), max(one.event.span.end for one in copies))
            try:
                keys |= {seen.uid: seen.event.key for seen in self._iter_window(organizer, around) if seen.event.key}
            except (NotFound, Forbidden) as error:
                log.warning("an organizer can't be asked: %s", error, extra={"action": "organizer_unreadable"})
        return tuple(replace(seen.event, key=seen.event.key or keys.get(seen.uid)) for seen in listed)

    def _get_unknown_organizer(self, event: Event) -> set[str]:
        """The organizer, when nobody here is known by that name."""
        return {event.organizer} - set(self._local)

    # --- our events -------------------------------------------------------------------------------------------------

    def find(self, calendar: Address, key: str) -> Event | None:
        found = self._find_all(calendar, key)
        return found[0] if found else None

    def _find_all(self, calendar: Address, key: str) -> list[Event]:
        """The event of that key; several, the oldest first, when the service let more than one come to be."""
        items = sorted(self._search_items(calendar, key), key=lambda one: str(one.get("createdDateTime")))
        events = [self._parse_event(item, calendar) for item in items]
        return [one for one in events if one.key == key and not one.cancelled]

    def _search_items(self, calendar: Address, key: str) -> list[Json]:
        """What may be the event of that key. A mailbox that is too large to be searched is listed instead, from then
        on at once."""
        if calendar not in self._unsearchable:
            try:
                return list(
                    self._graph.iter_all(
                        calendar, "events", filter=graphevents.filter_by_key(key), **_make_list_query()
                    )
                )
            except TooSlow:
                self._unsearchable.add(calendar)
        return list(
            self._graph.iter_all(
                calendar,
                "events",
                filter=graphevents.filter_starting_from(utcnow() - _SEARCH_BACK),
                **_make_list_query(),
            )
        )

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        if len(draft.guests) > graphevents.GUEST_LIMIT:
            raise Permanent(f"{calendar}: an event may have {graphevents.GUEST_LIMIT} guests at most.")
        try:
            made = self._graph.post(calendar, "events", graphevents.compose_event(draft, teams=self._teams))
        except DuplicateTransaction as taken:
            return self._find_existing(calendar, draft.key, taken)
        except Unavailable as error:
            found = self._find_after_failure(calendar, draft.key) if error.uncertain else None
            if found is None:
                raise
            return found
        self._learn_guest(draft, made, fresh=True)
        if self._teams and draft.video and made.get("isOnlineMeeting") is False:
            self._notices(f"teams:{calendar}", _NO_TEAMS.format(who=calendar))
        return self._parse_event(made, calendar, draft.key)

    def _learn_guest(self, draft: EventDraft, item: Json, *, fresh: bool) -> None:
        """Learn what the service calls the one guest of an event of ours. On one that is not fresh people may have put
        somebody else: there a form counts only when it is no address, or goes with the guest's name."""
        seen = graphevents.find_only_guest(item)
        if len(draft.guests) != 1 or seen is None:
            return
        [guest], (form, name) = draft.guests, seen
        if fresh or "@" not in form or name.casefold() == guest.name.casefold():
            self._learn_form(guest.email, form)

    def _find_existing(self, calendar: Address, key: str, taken: DuplicateTransaction) -> Event:
        """The event that has this key already. Raises Conflict when it was cancelled."""
        found = self._find_after_failure(calendar, key)
        if found is None and taken.existing:  # what was made a moment ago may not be found yet, but can be read
            item = self._get_item(calendar, taken.existing)
            found = self._parse_item(calendar, item).event if item else None
        if found is None or found.key != key or found.cancelled:
            raise Conflict(f"{calendar}: the event {key} was cancelled.")
        return found

    def _find_after_failure(self, calendar: Address, key: str) -> Event | None:
        """The event, after an attempt whose outcome nobody heard of; one, whatever came of several attempts."""
        try:
            found = self._find_all(calendar, key)
        except ProviderError:
            return None
        for surplus in found[1:]:
            self.cancel(replace(surplus.ref, etag=""))
        return found[0] if found else None

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        item = self._get_own_item(ref)
        if item is None:
            raise NotFound(f"{ref.calendar}: the event {draft.key} is gone.")
        self._learn_guest(draft, item, fresh=False)
        there = self._parse_event(item, ref.calendar)
        changed = graphevents.compose_patch(item, draft, there, primary=self._identities.primary)
        if not changed:  # it is that already; an earlier attempt got through
            return there
        if not graphevents.is_same_version(ref.etag, there):
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        made = self._graph.patch(ref.calendar, _make_event_path(ref.id), changed, etag=graphevents.etag_of(item))
        return self._parse_event(made, ref.calendar, there.key)

    def cancel(self, ref: EventRef) -> None:
        item = self._get_own_item(ref)
        if item is None:
            return
        if ref.etag and not graphevents.is_same_version(ref.etag, self._parse_event(item, ref.calendar)):
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        try:
            if item.get("attendees"):
                self._graph.post(ref.calendar, f"{_make_event_path(ref.id)}/cancel", {"comment": _CANCEL_COMMENT})
            else:
                self._graph.delete(
                    ref.calendar, _make_event_path(ref.id), etag=graphevents.etag_of(item) if ref.etag else ""
                )
        except NotFound:
            return

    def _get_own_item(self, ref: EventRef) -> Json | None:
        """The event as it stands; None when it is gone. Raises Forbidden when it is not ours."""
        item = self._get_item(ref.calendar, ref.id)
        if item is None or item.get("isCancelled"):
            return None
        if graphevents.key_of(item) is None or item.get("isOrganizer") is False:
            raise Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        return item

    def _get_item(self, calendar: Address, event_id: str) -> Json | None:
        try:
            return self._graph.get(
                calendar, _make_event_path(event_id), select=_OWN_EVENT_FIELDS, expand=graphevents.EXPAND_KEY
            )
        except NotFound:
            return None

    # --- the owner ---

    def habits(self, person: Address) -> Habits:
        """The owner's time zone and working hours, as the mailbox has them."""
        return self.mailboxes.habits(person)

    # --- proving ----------------------------------------------------------------------------------------------------

    def check(self, person: Address) -> list[Finding]:
        reports = sorted(who for who in self._local if who != person and person in self._organizers(who))
        return checks.check_calendar(self._graph, person, teams=self._teams, reports=reports)


def _to_free_busy(view: _CalendarView, ours: Collection[_EventWithUid], window: Span) -> FreeBusy:
    """An organizer's time, our events in it known by their key or by what copies have in common."""
    if not isinstance(view, list):
        return FreeBusy(known=False, reason=str(view), temporary=isinstance(view, Transient))
    keys = {seen.uid: seen.event.key for seen in ours}
    found = [
        BusyTime(seen.event.span.clip(window), seen.event.show, seen.event.key or keys.get(seen.uid))
        for seen in view
        if seen.event.show is not None and not seen.event.cancelled and seen.event.span.overlaps(window)
    ]
    return FreeBusy(tuple(sorted(found, key=lambda busy: (busy.span, busy.show, busy.key or ""))))


def _make_temporary_unknown(
    who: Address, inviting: Collection[Address], views: Mapping[Address, _CalendarView]
) -> FreeBusy | None:
    """Unknown for now, when a calendar can't be read just now without which nobody can tell what of this person's time
    is ours; None when there is none such."""
    lacking = next((views[one] for one in (who, *sorted(inviting)) if isinstance(views.get(one), Transient)), None)
    return FreeBusy(known=False, reason=str(lacking), temporary=True) if lacking else None


def _can_be_ours(item: Json) -> bool:
    """Whether an entry of a round may be an event of ours: it has a transaction id of ours, or has none and is the
    owner's own."""
    transaction = str(item.get("transactionId") or "")
    return (
        transaction.startswith(graphevents.TRANSACTION_PREFIX) if transaction else item.get("isOrganizer") is not False
    )


def _make_list_query() -> dict[str, Any]:
    """What is asked of a list of events."""
    return {"top": _PAGE, "select": graphevents.EVENT_FIELDS, "expand": graphevents.EXPAND_KEY}


def _make_event_path(event_id: str) -> str:
    return f"events/{quote(event_id, safe='')}"


def _format_instant(instant: Any) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
