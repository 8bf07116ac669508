"""Free/busy, the settings of mailboxes, and what the service tells of calendars and their owners."""

from datetime import UTC, datetime, timedelta

from tests.doubles.graph import odata, query
from tests.doubles.graph.calendars import Answer, Calendars, Request, moment
from tests.doubles.graph.odata import Prefers
from tests.doubles.graph.state import Item, Json, Mailbox, Refusal, World
from worker.providers import windows_zones

_DIGITS = {"free": 0, "workingElsewhere": 4, "tentative": 1, "busy": 2, "oof": 3, "unknown": 2}
_CALENDAR = {
    *("id", "name", "color", "isDefaultCalendar", "canShare", "canEdit", "canViewPrivateItems", "owner", "changeKey"),
    *(
        "allowedOnlineMeetingProviders",
        "defaultOnlineMeetingProvider",
        "isRemovable",
        "isTallyingResponses",
        "hexColor",
    ),
}


class Schedules:
    """What the service tells about people's time as a whole."""

    def __init__(self, world: World, calendars: Calendars) -> None:
        self.world, self._calendars = world, calendars

    def schedule(self, request: Request, blind: set[str]) -> Answer:
        """The free/busy of up to twenty people."""
        given = self._calendars.parameters("getSchedule", "calendar", request.body)
        people = given.get("schedules")
        if not isinstance(people, list) or not 1 <= len(people) <= 20 or not all(isinstance(o, str) for o in people):
            raise Refusal(400, "ErrorInvalidParameter", "The number of schedules is out of range: from 1 to 20.")
        for name in ("starttime", "endtime"):
            if name not in given:
                raise Refusal(400, "ErrorInvalidParameter", f"The parameter '{name}' is missing.")
        start, end = moment(given["starttime"]), moment(given["endtime"])
        if not timedelta() < end - start < timedelta(days=62):
            words = "The time window must be of less than 62 days, and not empty. FreeBusyViewOptions.TimeWindow"
            raise Refusal(400, "ErrorInvalidTimeInterval", words)
        minutes = given.get("availabilityviewinterval", 30)
        if not isinstance(minutes, int):
            raise Refusal(500, "ErrorInternalServerError", "An internal server error occurred.")
        if not 5 <= minutes <= 1440 or timedelta(minutes=minutes) > end - start:
            words = "The interval has to be from 5 to 1440 minutes, and not longer than the time window."
            raise Refusal(400, "ErrorInvalidMergedFreeBusyInterval", words)
        steps = _steps(start, end, timedelta(minutes=minutes))
        told = [self._of(one, steps, request.prefers, blind) for one in people]
        return Answer(200, {"@odata.context": f"{self._calendars.base}/$metadata", "value": told})

    def _of(self, who: str, steps: list[tuple[datetime, datetime]], prefers: Prefers, blind: set[str]) -> Json:
        mailbox = self.world.whose(who)
        if mailbox is None or mailbox.address in blind:
            words = "Unable to resolve e-mail address to an Active Directory object."
            error = {"message": f"{words} Address: {who}", "responseCode": "ErrorMailRecipientNotFound"}
            return {"scheduleId": who, "scheduleItems": [], "availabilityView": "", "error": error}
        items = [one for one in mailbox.inside(steps[0][0], steps[-1][1]) if not one.cancelled]
        return {
            "scheduleId": who,
            "availabilityView": "".join(_digit(items, *step) for step in steps),
            "scheduleItems": [_item(one, prefers) for one in items],
            "workingHours": settings_of(mailbox)["workingHours"],
        }

    def calendar(self, request: Request) -> Answer:
        return Answer(200, query.selected(calendar_of(request.mailbox), request.query.get("$select", ""), _CALENDAR))

    def calendars(self, request: Request) -> Answer:
        query.number(request.query, "$top", 10, 1)
        select = request.query.get("$select", "")
        return Answer(200, {"value": [query.selected(calendar_of(request.mailbox), select, _CALENDAR)]})

    @staticmethod
    def settings(request: Request) -> Answer:
        return Answer(200, settings_of(request.mailbox))


def calendar_of(box: Mailbox) -> Json:
    """The one calendar of a mailbox."""
    return {
        "id": box.calendar_id,
        "name": "Calendar",
        "isDefaultCalendar": True,
        "canEdit": True,
        "canShare": True,
        "canViewPrivateItems": True,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "owner": {"name": box.address, "address": box.shown or box.address},
    }


def settings_of(box: Mailbox) -> Json:
    """The zone and the hours of a mailbox."""
    name = windows_zones.find_windows_name(box.zone, datetime(2027, 1, 1, tzinfo=UTC))
    working = {
        "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        "startTime": "08:30:00.0000000",
        "endTime": "17:00:00.0000000",
        "timeZone": {"name": name},
    }
    return {"timeZone": name, "workingHours": working, **box.settings}


def _steps(start: datetime, end: datetime, interval: timedelta) -> list[tuple[datetime, datetime]]:
    """The window in intervals, the last of them what is left."""
    count = -((start - end) // interval)
    return [(start + n * interval, min(start + (n + 1) * interval, end)) for n in range(count)]


def _digit(items: list[Item], start: datetime, end: datetime) -> str:
    """How an interval counts: as the busiest in it."""
    shown = [_DIGITS.get(str(one.properties.get("showAs", "busy")), 2) for one in items if one.overlaps(start, end)]
    busiest = max((one for one in shown if one != 4), default=0)
    return str(busiest or (4 if 4 in shown else 0))


def _item(item: Item, prefers: Prefers) -> Json:
    private = item.properties.get("sensitivity") in ("private", "confidential")
    told: Json = {
        "status": item.properties.get("showAs", "busy"),
        "isPrivate": private,
        "start": odata.stamp(item.start, prefers),
        "end": odata.stamp(item.end, prefers),
    }
    return told if private else {**told, "subject": item.properties.get("subject", "")}
