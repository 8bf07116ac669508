"""The requests about events of a calendar, which Graph carries out or refuses: lists, views, changes, writes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.graph import odata, query, series
from tests.doubles.graph.odata import Preferences, describe_event, find_item, format_id
from tests.doubles.graph.schema import Schema, SchemaError
from tests.doubles.graph.state import JOIN_BLOCK, Item, Json, Mailbox, Refusal, World
from worker.providers import windows_zones

_LINK_NUMBERS = count(1)  #: for links to further pages, and for Teams links
_READ_ONLY = {"id", "iCalUId", "changeKey", "createdDateTime", "type", "isOrganizer", "organizer", "webLink", "uid"}
_TIME_PROPERTIES = {"start", "end", "isAllDay"}
#: The values that a new event gets for properties that the request leaves out.
_DEFAULTS: Json = {
    "subject": "",
    "body": {"contentType": "html", "content": ""},
    "showAs": "busy",
    "sensitivity": "normal",
    "isReminderOn": True,
    "reminderMinutesBeforeStart": 15,
    "isOnlineMeeting": False,
    "allowNewTimeProposals": True,
    "responseRequested": True,
    "importance": "normal",
}


@dataclass
class Request:
    """One request to a mailbox."""

    method: str
    mailbox: Mailbox
    path: list[str]  #: the segments after the mailbox, in the form that `service._normalize_path` returns
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    preferences: Preferences


@dataclass
class Answer:
    """The status, JSON body and headers with which a request is answered."""

    status: int
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Calendars:
    """Answers the requests about events. Its public methods return an Answer, or raise Refusal."""

    def __init__(self, world: World, schema: Schema, base: str) -> None:
        self.world, self.schema, self.base = world, schema, base
        self.duplicate_status = 400  #: for a transaction id that was used for another event
        self.expired_token_status = 410  #: for an unknown delta token; or 400
        self.unindexed = False  #: a filter by an extended property times out, as in a large mailbox
        #: "offered": online meetings are made with the event; "later": by `add_teams_meeting`; "missing": never.
        self.teams = "offered"
        self.guards_replays = True  #: False: transaction ids are ignored, as happens to two simultaneous requests
        self._pages: dict[str, tuple[list[Json], str]] = {}  #: by skip token: the entries left, and the delta token

    def parse_entity(self, kind: str, given: Any) -> Json:
        """Return the body of a request for an entity, with enumeration values in canonical case. Raises Refusal."""
        try:
            self.schema.check_entity(kind, given)
        except SchemaError as error:
            raise Refusal(400, "RequestBodyRead", str(error)) from None
        canonical: Json = self.schema.canonicalize(kind, given)
        return canonical

    def parse_parameters(self, name: str, on: str, given: Any) -> Json:
        """Return the parameters of an action on the type `on`, by their names in lower case. Raises Refusal."""
        given = {} if given is None else given
        if not isinstance(given, dict):
            raise Refusal(400, "RequestBodyRead", "An object was expected.")
        try:
            self.schema.check_action(name, on, given)
        except SchemaError as error:
            raise Refusal(400, "RequestBodyRead", str(error)) from None
        return {one.casefold(): value for one, value in given.items()}

    # --- lists and views --------------------------------------------------------------------------------------------

    def list_events(self, request: Request) -> Answer:
        """List single events and series masters, without occurrences."""
        return self._make_page(request, [one for one in request.mailbox.items.values() if one.master is None])

    def list_view(self, request: Request) -> Answer:
        """List single events and occurrences in a window."""
        start, end = odata.parse_window(request.query)
        return self._make_page(request, list(request.mailbox.list_between(start, end)))

    def list_instances(self, request: Request) -> Answer:
        master = find_item(request.mailbox, request.path[1])
        if not isinstance(master, Item) or not master.is_master:
            raise Refusal(400, "ErrorInvalidRequest", "The event is not a series.")
        start, end = odata.parse_window(request.query)
        return self._make_page(
            request, [one for one in request.mailbox.list_between(start, end) if one.master is master]
        )

    def _make_page(self, request: Request, items: list[Item]) -> Answer:
        """Return the page of these items that the query options ask for."""
        options, preferences = request.query, request.preferences
        if "$search" in options:
            raise query.make_refusal("The query parameter '$search' is not supported on events.")
        query.select({}, options.get("$select", ""), odata.EVENT_PROPERTIES)
        query.expand({}, options.get("$expand", ""))
        clause = options.get("$filter", "")
        if self.unindexed and "singleValueExtendedProperties" in clause:
            raise Refusal(504, "UnknownError", "")
        matches = query.parse_filter(clause, query.EVENT_FIELDS)
        size = query.parse_number(options, "$top", default=preferences.page_size, lowest=1)
        skip = query.parse_number(options, "$skip", default=0, lowest=0, highest=10**9)

        def make_row(item: Item) -> query.Row:
            return query.Row(describe_event(item, preferences), item.extended_properties)

        chosen = [one for one in items if matches(make_row(one))]
        chosen = query.order(chosen, options.get("$orderby", ""), query.EVENT_FIELDS, make_row)
        page: Json = {"@odata.context": f"{self.base}/$metadata#events"}
        if query.is_count_wanted(options):
            page["@odata.count"] = len(chosen)
        page["value"] = [self._describe(one, request) for one in chosen[skip : skip + size]]
        if skip + size < len(chosen):
            rest = "&".join(f"{name}={_quote_value(value)}" for name, value in options.items() if name != "$skip")
            path = "/".join(request.path)
            link = f"{self.base}/users/{request.mailbox.name}/{path}?{rest}&$skip={skip + size}"
            page["@odata.nextLink"] = link
        return Answer(200, page)

    def _describe(self, item: Item, request: Request) -> Json:
        described = query.select(
            describe_event(item, request.preferences), request.query.get("$select", ""), odata.EVENT_PROPERTIES
        )
        return described | query.expand(item.extended_properties, request.query.get("$expand", ""))

    # --- delta ------------------------------------------------------------------------------------------------------

    def list_changes(self, request: Request) -> Answer:
        """Answer a delta request: the whole window at first, with a delta token the changes since that token.

        A delta token holds the change number of the mailbox, and the start and end of the window.
        """
        options, mailbox = request.query, request.mailbox
        for name in ("$select", "$expand", "$filter", "$orderby", "$search", "$top"):
            if name in options:
                raise Refusal(400, "ErrorInvalidUrlQuery", f"The following parameters are not supported: {name}.")
        if "$skiptoken" in options:
            if options["$skiptoken"] not in self._pages:
                raise self._make_token_refusal()
            return self._make_delta_page(request, *self._pages.pop(options["$skiptoken"]))
        since = -1  # the whole window: every change number is higher
        if "$deltatoken" not in options:
            start, end = odata.parse_window(options)
        else:
            found = re.fullmatch(r"t(\d+)_(-?\d+)_(-?\d+)", options["$deltatoken"])
            if not found or int(found[1]) < mailbox.oldest_token or int(found[1]) > mailbox.change_number:
                raise self._make_token_refusal()
            since = int(found[1])
            start, end = (datetime.fromtimestamp(int(found[n]), UTC) for n in (2, 3))
        token = f"t{mailbox.change_number}_{int(start.timestamp())}_{int(end.timestamp())}"
        return self._make_delta_page(request, list(self._list_changed(request, since, start, end)), token)

    def _make_token_refusal(self) -> Refusal:
        if self.expired_token_status == 410:
            refusal = Refusal(410, "resyncRequired", "Resync required.")
            refusal.headers["Location"] = f"{self.base}/me/calendarView/delta?$deltatoken="
            return refusal
        return Refusal(400, "SyncStateNotFound", "The sync state generation is not found; generation=1;[highest=9]")

    def _list_changed(self, request: Request, since: int, start: datetime, end: datetime) -> Iterator[Json]:
        """Yield the events that changed after the change number `since`, then those that were removed.

        With -1 for `since`, all events in the window come, and nothing is removed. A changed series comes as its
        master and all occurrences in the window. The first single event comes twice.
        """
        mailbox, preferences = request.mailbox, request.preferences
        gone = [one for one, when in mailbox.removed.items() if when > since >= 0]
        repeated = None
        for item in sorted(mailbox.items.values(), key=lambda one: one.created):
            if item.is_master and item.changed_at > since:
                inside = [one for one in mailbox.list_between(start, end) if one.master is item]
                if inside or since >= 0:
                    yield describe_event(item, preferences)
                    yield from (odata.describe_occurrence(one, preferences) for one in inside)
            elif item.master is None and not item.is_master and item.changed_at > since:
                if item.overlaps(start, end):
                    repeated = repeated or describe_event(item, preferences)
                    yield describe_event(item, preferences)
                elif since >= 0:
                    gone.append(item.id)
        for one in gone:
            removed = {"@odata.type": "#microsoft.graph.event", "@removed": {"reason": "deleted"}}
            yield {**removed, "id": format_id(one, preferences)}
        if repeated:  # Graph may return the same event more than once
            yield repeated

    def _make_delta_page(self, request: Request, rest: list[Json], token: str) -> Answer:
        size = request.preferences.page_size
        page: Json = {"@odata.context": f"{self.base}/$metadata#Collection(event)", "value": rest[:size]}
        link = f"{self.base}/users/{request.mailbox.name}/calendarView/delta"
        if len(rest) > size:
            skip_token = f"s{next(_LINK_NUMBERS)}"
            self._pages[skip_token] = (rest[size:], token)
            page["@odata.nextLink"] = f"{link}?$skiptoken={skip_token}"
        else:
            page["@odata.deltaLink"] = f"{link}?$deltatoken={token}"
        return Answer(200, page)

    # --- single events ----------------------------------------------------------------------------------------------

    def create(self, request: Request) -> Answer:
        given = self.parse_entity("event", request.body)
        transaction = given.get("transactionId")
        if transaction and self.guards_replays and (again := self._answer_repeated(request, transaction, given)):
            return again
        start, end, days = self._parse_times(given)
        item = Item(request.mailbox, "", request.mailbox.address, start, end, created_from=given)
        item.uid = f"040000008200E00074C5B7101A82E008{item.created:08d}"
        item.put_at(start, end, days)
        item.transaction_id = transaction
        item.properties = {**_DEFAULTS, **_list_kept_properties(given)}
        item.attendees = [_parse_attendee(one, self.world) for one in given.get("attendees") or ()]
        if item.properties.get("recurrence"):
            series.check(item.properties["recurrence"], item.start.astimezone(_find_zone(given["start"])).date())
        if len(item.attendees) > 500:
            raise Refusal(400, "ErrorInvalidRequest", "Too many attendees.")
        self.set_extended_properties(item, given)
        self._add_online_meeting(item, given)
        request.mailbox.add(item)
        if item.properties.get("recurrence"):
            series.expand(item)
        self.world.deliver(item, restores_deleted=True)
        self._copy_series(item)
        return Answer(201, describe_event(item, request.preferences))

    def _copy_series(self, item: Item) -> None:
        """Add the occurrences of a series to the copies of its guests."""
        if not item.is_master:
            return
        for box in self.world.mailboxes.values():
            copy = box.find_by_uid(item.uid)
            if copy is not None and copy is not item:
                copy.properties["recurrence"] = item.properties["recurrence"]
                series.expand(copy)

    def _answer_repeated(self, request: Request, transaction: str, given: Json) -> Answer | None:
        """Answer a creation whose transaction id was used before; None for a new id."""
        created = next((one for one in request.mailbox.items.values() if one.transaction_id == transaction), None)
        if created is None:
            return None
        if created.created_from == given:
            return Answer(201, describe_event(created, request.preferences))
        words = (
            "Your request can't be completed. The TransactionId specified in the request has already been used to "
            "create a different event."
        )
        existing = {"@event.existingEventId": format_id(created.id, request.preferences)}
        raise Refusal(self.duplicate_status, "ErrorDuplicateTransactionId", words, **existing)

    def read(self, request: Request) -> Answer:
        return Answer(200, self._describe(find_item(request.mailbox, request.path[1]), request))

    def change(self, request: Request) -> Answer:
        item = find_item(request.mailbox, request.path[1])
        given = self.parse_entity("event", request.body)
        self._check_etag(request, item)
        if "transactionId" in given:
            raise Refusal(400, "ErrorInvalidRequest", "The property 'transactionId' can't be changed.")
        if (_TIME_PROPERTIES & given.keys() or "attendees" in given) and not item.is_organizer:
            raise Refusal(403, "ErrorAccessDenied", "Only the organizer may change this.")
        kept = _list_kept_properties(given)
        if kept.get("recurrence") and (item.master is None):
            series.check(kept["recurrence"], item.start.astimezone(ZoneInfo(item.mailbox.zone)).date())
        moved = self._move(item, given)
        item.properties |= kept
        item.is_exception = item.master is not None
        if item.join_link and "body" in given and item.join_link not in given["body"].get("content", ""):
            item.properties["joinBlockLost"] = True  # a mark for tests: nothing puts the link back into the body
        self.set_extended_properties(item, given)
        self._add_online_meeting(item, given)
        if "attendees" in given:
            self._set_attendees(item, given["attendees"] or [])
        request.mailbox.record_change(item)
        if item.master is None and item.properties.get("recurrence"):
            series.expand(item)
        if item.is_organizer and item.attendees and item.master is None:
            self.world.deliver(item, restores_deleted=moved)
            self._copy_series(item)
        return Answer(200, describe_event(item, request.preferences))

    def _move(self, item: Item, given: Json) -> bool:
        """Give an event the times in the request; return whether they differ from its times before."""
        if not _TIME_PROPERTIES & given.keys():
            return False
        complete = {
            **{side: _format_current_time(item, side) for side in ("start", "end")},
            "isAllDay": bool(item.days),
            **given,
        }
        old = (item.start, item.end)
        item.put_at(*self._parse_times(complete))
        if old == (item.start, item.end):
            return False
        self.world.reset_answers(item)
        return True

    def _set_attendees(self, item: Item, wanted: list[Json]) -> None:
        """Replace the attendees. Those who stay keep their answers, those who go lose their copies."""
        known = {one["address"]: one for one in item.attendees}
        listed = [_parse_attendee(one, self.world) for one in wanted]
        item.attendees = [known.get(one["address"], one) for one in listed]
        self.world.uninvite(item, known.keys() - {one["address"] for one in listed})

    def delete(self, request: Request) -> Answer:
        item = find_item(request.mailbox, request.path[1])
        self._check_etag(request, item)
        if item.is_organizer:
            self.world.cancel(item)
        else:
            request.mailbox.delete_item(item)  # the organizer's event stays, and shows no answer
        return Answer(204)

    def act(self, request: Request, action: str) -> Answer:
        """Carry out an action on an event: `cancel`, or a guest's answer such as `accept`."""
        item = find_item(request.mailbox, request.path[1])
        given = self.parse_parameters(action, "event", request.body)
        if action == "cancel":
            if not item.is_organizer or not item.attendees:
                words = "Your request can't be completed. You need to be an organizer to cancel a meeting."
                raise Refusal(400, "ErrorInvalidRequest", words)
            self.world.cancel(item)
            return Answer(202)
        self._respond(item, action, given)
        return Answer(202)

    def _respond(self, item: Item, action: str, given: Json) -> None:
        if item.is_organizer:
            raise Refusal(400, "ErrorInvalidRequest", "You can't respond to this meeting because you're the organizer.")
        proposed = given.get("proposednewtime")
        if proposed and not (item.properties.get("allowNewTimeProposals", True) and given.get("sendresponse", True)):
            raise Refusal(400, "ErrorInvalidRequest", "New times can't be proposed for this meeting.")
        slot = {side: parse_time(proposed.get(side)) for side in ("start", "end")} if proposed else None
        names = {"accept": "accepted", "decline": "declined", "tentativelyAccept": "tentativelyAccepted"}
        self.world.respond(item, names[action], slot)

    @staticmethod
    def _check_etag(request: Request, item: Item) -> None:
        wanted = request.headers.get("if-match", "")
        if wanted and wanted not in ("*", item.etag):
            raise Refusal(412, "ErrorIrresolvableConflict", "The send or update operation could not be performed.")

    def _parse_times(self, given: Json) -> tuple[datetime, datetime, tuple[date, date] | None]:
        """Return start and end in UTC, and for an all-day event its first day and the day after its last."""
        try:
            start, end = given["start"], given["end"]
        except KeyError as error:
            raise Refusal(400, "ErrorPropertyValidationFailure", f"{error} is required.") from None
        first, last = parse_time(start), parse_time(end)
        days = None
        if given.get("isAllDay"):
            local = [datetime.fromisoformat(one["dateTime"][:19]) for one in (start, end)]
            if any(one.time() != datetime.min.time() for one in local) or start.get("timeZone") != end.get("timeZone"):
                words = "The Event.Start property for an all-day event needs to be set to midnight."
                raise Refusal(400, "ErrorInvalidRequest", words)
            days = (local[0].date(), local[1].date())
        if first > last or (days and days[0] >= days[1]):
            raise Refusal(400, "ErrorPropertyValidationFailure", "The end is before the start.")
        return first, last, days

    @staticmethod
    def set_extended_properties(item: Item, given: Json) -> None:
        for one in given.get("singleValueExtendedProperties") or ():
            if not query.EXTENDED_ID.fullmatch(str(one.get("id") or "")):
                raise Refusal(400, "ErrorInvalidProperty", "PropertyId values may only be in one of the known formats.")
            item.extended_properties[one["id"]] = str(one.get("value"))

    def _add_online_meeting(self, item: Item, given: Json) -> None:
        if not given.get("isOnlineMeeting") or item.join_link:
            return
        if self.teams == "missing":  # Graph reports no error
            item.properties |= {"isOnlineMeeting": False, "onlineMeetingProvider": "unknown"}
        elif self.teams == "offered":
            add_teams_meeting(item)


def add_teams_meeting(item: Item) -> None:
    """Give an event its Teams meeting, unless it has one, and put the link to it into the body."""
    item.join_link = item.join_link or f"https://teams.example/l/meetup-join/{next(_LINK_NUMBERS)}"
    body = item.properties["body"]
    if item.join_link not in body["content"]:
        item.properties["body"] = {**body, "content": body["content"] + JOIN_BLOCK.format(link=item.join_link)}


def _list_kept_properties(given: Json) -> Json:
    """Return the properties that are stored as the request gives them. Raises Refusal."""
    refused = _READ_ONLY & given.keys()
    if refused:
        raise Refusal(400, "ErrorInvalidPropertySet", f"The property '{sorted(refused)[0]}' is read-only.")
    parsed_elsewhere = {*_TIME_PROPERTIES, "attendees", "singleValueExtendedProperties", "transactionId"}
    kept = {name: value for name, value in given.items() if name not in parsed_elsewhere}
    if "body" in kept and (kept["body"] or {}).get("contentType") not in ("html", "text"):
        raise Refusal(400, "ErrorInvalidRequest", "The body has no contentType.")
    if "body" in kept:
        kept["body"] = {**kept["body"], "content": str(kept["body"].get("content") or "")}
    for name, default in _DEFAULTS.items():
        if name in kept and kept[name] is None:
            kept[name] = default
    return kept


def _parse_attendee(one: Json, world: World) -> Json:
    """Return an attendee as an Item holds it. An address that begins with `/` is an X.500 address of a mailbox."""
    address = str(((one or {}).get("emailAddress") or {}).get("address") or "")
    mailbox = world.find_recipient(address) if address.startswith("/") else None
    if "@" not in address and mailbox is None:
        raise Refusal(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
    mailbox = mailbox or world.find_recipient(address)
    address = mailbox.address if mailbox and mailbox.address != address.casefold() else address
    name = str(one["emailAddress"].get("name") or address)
    kind = one.get("type") or "required"
    return {"address": address.casefold(), "shown": address, "name": name, "type": kind, "response": "none"}


def parse_time(given: Any) -> datetime:
    """Return the instant in UTC that a request gives as local time and zone. Raises Refusal."""
    if not isinstance(given, dict) or not isinstance(given.get("dateTime"), str):
        raise Refusal(400, "ErrorInvalidRequest", "A time is missing.")
    name = str(given.get("timeZone") or "UTC")
    known = windows_zones.find_iana_name(name)
    if known is None:
        raise Refusal(400, "TimeZoneNotSupportedException", odata.describe_unknown_zone(name))
    text = given["dateTime"]
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?", text):
        raise Refusal(400, "ErrorInvalidRequest", f"The time '{text}' carries an offset or is not one.")
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=ZoneInfo(known)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal(400, "ErrorInvalidRequest", f"The time '{text}' is not one.") from None


def _find_zone(given: Json) -> ZoneInfo:
    return ZoneInfo(windows_zones.find_iana_name(str(given.get("timeZone") or "UTC")) or "UTC")


def _format_current_time(item: Item, side: str) -> Json:
    """Return the start or end of an event, as a request would give it."""
    if item.days:
        day = item.days[0 if side == "start" else 1]
        name = windows_zones.find_windows_name(item.mailbox.zone, item.start)
        return {"dateTime": f"{day:%Y-%m-%d}T00:00:00", "timeZone": name}
    instant = item.start if side == "start" else item.end
    return {"dateTime": f"{instant:%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}


def _quote_value(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="$(),'=")
