"""The requests about free/busy, mailbox settings, and the calendar of a mailbox."""

from datetime import UTC, datetime, timedelta

from tests.doubles.graph import odata, query
from tests.doubles.graph.calendars import Answer, Calendars, Request, parse_time
from tests.doubles.graph.odata import Preferences
from tests.doubles.graph.state import Item, Json, Mailbox, Refusal, World
from worker.providers import windows_zones

_ELSEWHERE = 4
#: The digits of `availabilityView`.
_DIGITS = {"free": 0, "tentative": 1, "busy": 2, "oof": 3, "workingElsewhere": _ELSEWHERE, "unknown": 2}
_CALENDAR_PROPERTIES = {
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
    """Answers the requests about free/busy, mailbox settings and calendars.

    Its public methods return an Answer, or raise Refusal.
    """

    def __init__(self, world: World, calendars: Calendars) -> None:
        self.world, self._calendars = world, calendars

    def list_free_busy(self, request: Request, without_free_busy: set[str]) -> Answer:
        """Return the free/busy of up to twenty people. `without_free_busy`: people whose free/busy can't be read."""
        given = self._calendars.parse_parameters("getSchedule", "calendar", request.body)
        people = given.get("schedules")
        if (
            not isinstance(people, list)
            or not 1 <= len(people) <= 20
            or not all(isinstance(one, str) for one in people)
        ):
            raise Refusal(400, "ErrorInvalidParameter", "The number of schedules is out of range: from 1 to 20.")
        for name in ("starttime", "endtime"):
            if name not in given:
                raise Refusal(400, "ErrorInvalidParameter", f"The parameter '{name}' is missing.")
        start, end = parse_time(given["starttime"]), parse_time(given["endtime"])
        if not timedelta() < end - start < timedelta(days=62):
            words = "The time window must be of less than 62 days, and not empty. FreeBusyViewOptions.TimeWindow"
            raise Refusal(400, "ErrorInvalidTimeInterval", words)
        minutes = given.get("availabilityviewinterval", 30)
        if not isinstance(minutes, int):
            raise Refusal(500, "ErrorInternalServerError", "An internal server error occurred.")
        if not 5 <= minutes <= 1440 or timedelta(minutes=minutes) > end - start:
            words = "The interval has to be from 5 to 1440 minutes, and not longer than the time window."
            raise Refusal(400, "ErrorInvalidMergedFreeBusyInterval", words)
        steps = _split_window(start, end, timedelta(minutes=minutes))
        schedules = [
            self._describe_schedule(address, steps, request.preferences, without_free_busy) for address in people
        ]
        return Answer(200, {"@odata.context": f"{self._calendars.base}/$metadata", "value": schedules})

    def _describe_schedule(
        self,
        address: str,
        steps: list[tuple[datetime, datetime]],
        preferences: Preferences,
        without_free_busy: set[str],
    ) -> Json:
        mailbox = self.world.find_recipient(address)
        if mailbox is None or mailbox.address in without_free_busy:
            words = "Unable to resolve e-mail address to an Active Directory object."
            error = {"message": f"{words} Address: {address}", "responseCode": "ErrorMailRecipientNotFound"}
            return {"scheduleId": address, "scheduleItems": [], "availabilityView": "", "error": error}
        items = [one for one in mailbox.list_between(steps[0][0], steps[-1][1]) if not one.is_cancelled]
        return {
            "scheduleId": address,
            "availabilityView": "".join(_find_digit(items, *step) for step in steps),
            "scheduleItems": [_describe_item(one, preferences) for one in items],
            "workingHours": describe_settings(mailbox)["workingHours"],
        }

    def get_calendar(self, request: Request) -> Answer:
        return Answer(
            200,
            query.select(describe_calendar(request.mailbox), request.query.get("$select", ""), _CALENDAR_PROPERTIES),
        )

    def list_calendars(self, request: Request) -> Answer:
        query.parse_number(request.query, "$top", default=10, lowest=1)  # raises Refusal for an invalid number
        select = request.query.get("$select", "")
        return Answer(200, {"value": [query.select(describe_calendar(request.mailbox), select, _CALENDAR_PROPERTIES)]})

    @staticmethod
    def get_settings(request: Request) -> Answer:
        return Answer(200, describe_settings(request.mailbox))


def describe_calendar(mailbox: Mailbox) -> Json:
    """Return the only calendar of a mailbox, as JSON of Graph."""
    return {
        "id": mailbox.calendar_id,
        "name": "Calendar",
        "isDefaultCalendar": True,
        "canEdit": True,
        "canShare": True,
        "canViewPrivateItems": True,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "owner": {"name": mailbox.address, "address": mailbox.shown or mailbox.address},
    }


def describe_settings(mailbox: Mailbox) -> Json:
    """Return the mailbox settings: time zone and working hours."""
    name = windows_zones.find_windows_name(mailbox.zone, datetime(2027, 1, 1, tzinfo=UTC))
    working = {
        "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        "startTime": "08:30:00.0000000",
        "endTime": "17:00:00.0000000",
        "timeZone": {"name": name},
    }
    return {"timeZone": name, "workingHours": working, **mailbox.settings}


def _split_window(start: datetime, end: datetime, interval: timedelta) -> list[tuple[datetime, datetime]]:
    """Split the window into intervals. The last one may be shorter."""
    count = -((start - end) // interval)  # rounded up
    return [(start + n * interval, min(start + (n + 1) * interval, end)) for n in range(count)]


def _find_digit(items: list[Item], start: datetime, end: datetime) -> str:
    """Return the digit of an interval: that of the busiest event in it."""
    busy = _DIGITS["busy"]
    digits = [_DIGITS.get(str(one.properties.get("showAs", "busy")), busy) for one in items if one.overlaps(start, end)]
    # somebody who works elsewhere is less busy than all others but those who are free
    busiest = max((one for one in digits if one != _ELSEWHERE), default=_DIGITS["free"])
    return str(busiest or (_ELSEWHERE if _ELSEWHERE in digits else _DIGITS["free"]))


def _describe_item(item: Item, preferences: Preferences) -> Json:
    private = item.properties.get("sensitivity") in ("private", "confidential")
    described: Json = {
        "status": item.properties.get("showAs", "busy"),
        "isPrivate": private,
        "start": odata.format_time(item.start, preferences),
        "end": odata.format_time(item.end, preferences),
    }
    return described if private else {**described, "subject": item.properties.get("subject", "")}
