"""The made-up company of the demo: its people, the settings of each pair, and the other events on the calendars.

The dates are fixed, so that every run is the same. The demo begins in September 2026. During it the clocks change in
Berlin, London and New York.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from examples.northlight.caldav_program import CalendarEntry
from worker.domain.model import Address, PairId

START = datetime(2026, 9, 7, 6, tzinfo=UTC)
WEEKS = 20
COMPANY = "Northlight"

HELEN = "helen.ashby@northlight.example"
MARA = "mara.winter@northlight.example"
EMILY = "emily.carter@northlight.example"
ARJUN = "arjun.mehta@northlight.example"
GRACE = "grace.okoro@northlight.example"
OPERATOR = "longarc-operator@northlight.example"  #: looks after Longarc
NOAH = "noah.brandt@northlight.example"
LIAM = "liam.walsh@northlight.example"  #: joins later

#: The columns of the people file. The groups `*(…)` have no meaning: without them the formatter would write each name
#: on a line of its own. The arguments of calls below are grouped for the same reason.
COLUMNS = (
    *("email", "name", "manager", "time_zone", "country", "working_hours", "locale", "start", "minutes", "format"),
    *("review", "transition_until", "prefer", "trust"),
)

PeopleRow = Mapping[str, str]  #: a row of the people file: texts by column


def _make_row(email: Address, name: str, manager: Address, zone: str, country: str, **more: str) -> PeopleRow:
    """Return a row; `more` holds further columns: `start` is the report's first day with the manager, `trust` whether
    the brief may suggest the hardest questions, `review` how the monthly review takes place."""
    # all in English, with the date format of the country
    locale = f"en-{country[:2]}" if country[:2] in ("GB", "IN", "AU", "US") else "en-GB"
    columns = {
        "email": email,
        "name": name,
        "manager": manager,
        "time_zone": zone,
        "country": country,
        "locale": locale,
    }
    return {**columns, **more}


FIRST_ROWS = (
    _make_row(HELEN, "Helen Ashby", "", "Europe/London", "GB", working_hours="Mon-Fri 09:00-17:30"),
    _make_row(
        *(MARA, "Mara Winter", HELEN, "Europe/Berlin", "DE-BE"),
        working_hours="Mon-Fri 08:30-17:00",
        start="2026-09-07",
        prefer="Tue 10:00",
        trust="yes",
    ),
    _make_row(
        *(EMILY, "Emily Carter", HELEN, "America/New_York", "US"),
        working_hours="Mon-Fri 08:30-17:00",
        start="2026-09-14",
        prefer="Wed 10:00",
    ),
    _make_row(
        *(ARJUN, "Arjun Mehta", MARA, "Asia/Kolkata", "IN"),
        working_hours="Mon-Fri 10:00-19:00",
        format="series",
        minutes="60",
    ),
    _make_row(
        *(GRACE, "Grace Okoro", MARA, "Europe/London", "GB"),
        working_hours="Mon-Thu 09:00-17:00; Fri 09:00-13:00",
        review="in_1on1",
        start="2026-07-13",
    ),
    _make_row(
        *(NOAH, "Noah Brandt", MARA, "Europe/Berlin", "DE-BE"),
        working_hours="Mon-Fri 09:00-17:00",
        start="2026-08-31",
        transition_until="2027-06-30",
        minutes="60",
    ),
)
#: From here on Grace reports to Helen.
ROWS_WITH_GRACE_MOVED = tuple(
    {**row, "manager": HELEN, "start": "2026-11-16"} if row["email"] == GRACE else row for row in FIRST_ROWS
)
_LIAM = (LIAM, "Liam Walsh", MARA, "Australia/Sydney", "AU-NSW")
#: First Liam has hours that do not overlap with those in Berlin; later they are corrected.
ROWS_WITH_LIAM = (*ROWS_WITH_GRACE_MOVED, _make_row(*_LIAM, working_hours="Mon-Fri 09:00-17:00"))
CORRECTED_ROWS = (*ROWS_WITH_GRACE_MOVED, _make_row(*_LIAM, working_hours="Mon-Thu 13:00-21:30"))

ZONES = {row["email"]: row["time_zone"] for row in CORRECTED_ROWS}
#: All pairs of the demo, in the order of the timeline: by report as in the people file; Grace has two managers in turn.
PAIRS = [
    PairId(manager, report["email"])
    for report in CORRECTED_ROWS
    for manager in ((MARA, HELEN) if report["email"] == GRACE else (report["manager"],))
    if manager
]
NAMES = {row["email"]: row["name"] for row in CORRECTED_ROWS}
FIRST_NAMES = {email: name.partition(" ")[0] for email, name in NAMES.items()} | {OPERATOR: "The operator"}


# --- other events on the calendars ------------------------------------------------------------------------------------

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _make_weekly(
    title: str, days: str, at: str, minutes: int, *, every: int = 1, week: int = 0, attendee: Address = ""
) -> CalendarEntry:
    """Return a meeting on these weekdays (`MO TU`), every `every` weeks, from week `week` of the demo on.

    With an `attendee`, it is a 1:1 of the owner with that person.
    """
    weekdays = days.split()
    monday = START.date() + timedelta(weeks=week)
    first = monday + timedelta(days=min(_DAYS.index(day) for day in weekdays))
    start = datetime.combine(first, time.fromisoformat(at))
    rule = {"freq": "weekly", "interval": every, "byday": weekdays}
    return CalendarEntry(title=title, start=start, end=start + timedelta(minutes=minutes), rule=rule, attendee=attendee)


def _make_all_day(
    title: str, first: str, last: str, *, is_out_of_office: bool = True, is_free: bool = False
) -> CalendarEntry:
    """Return an all-day event from `first` to `last`, both included."""
    end = date.fromisoformat(last) + timedelta(days=1)
    return CalendarEntry(
        title=title, start=date.fromisoformat(first), end=end, is_out_of_office=is_out_of_office, is_free=is_free
    )


def _make_single(title: str, day: str, at: str, minutes: int) -> CalendarEntry:
    start = datetime.combine(date.fromisoformat(day), time.fromisoformat(at))
    return CalendarEntry(title=title, start=start, end=start + timedelta(minutes=minutes))


CALENDARS: Mapping[Address, Sequence[CalendarEntry]] = {
    HELEN: (
        _make_weekly("Leadership round", "MO", "09:30", 90),
        _make_weekly("1:1 Helen / Mara", "MO", "14:00", 30, attendee=MARA),
        _make_weekly("1:1 Helen / Emily", "TU", "14:30", 30, attendee=EMILY),
        _make_weekly("1:1 Helen / Grace", "FR", "10:00", 30, week=11, attendee=GRACE),
        _make_weekly("Customer calls", "TH", "09:00", 180),
        _make_all_day("Company days in Lisbon", "2026-09-17", "2026-09-18"),
        _make_all_day("Half-term with the children", "2026-10-26", "2026-10-28"),
        _make_all_day("Christmas leave", "2026-12-21", "2027-01-01"),
        _make_all_day("Mara's birthday", "2026-10-06", "2026-10-06", is_out_of_office=False, is_free=True),
    ),
    MARA: (
        _make_weekly("Stand-up", "MO TU WE TH FR", "09:15", 15),
        _make_weekly("1:1 Mara / Arjun", "MO", "10:00", 30, attendee=ARJUN),
        _make_weekly("1:1 Mara / Grace", "WE", "14:00", 45, attendee=GRACE),
        _make_weekly("Architecture board", "TH", "10:00", 90),
        _make_weekly("1:1 Mara / Noah", "TH", "13:30", 30, attendee=NOAH),
        _make_all_day("Company days in Lisbon", "2026-09-17", "2026-09-18"),
        _make_all_day("Skiing", "2026-12-23", "2027-01-05"),
    ),
    EMILY: (
        _make_weekly("Sales stand-up", "MO TU WE TH FR", "09:00", 15),
        _make_weekly("Pipeline review", "TU", "11:00", 60),
        _make_all_day("Thanksgiving week", "2026-11-25", "2026-11-27"),
        _make_all_day("Home for Christmas", "2026-12-23", "2026-12-31"),
    ),
    ARJUN: (
        _make_weekly("Team sync Pune", "TU TH", "11:00", 45),
        _make_weekly("Focus time", "WE", "10:00", 120),
        _make_all_day("Diwali at home", "2026-11-06", "2026-11-11"),
    ),
    GRACE: (
        _make_weekly("Design critique", "TU", "15:00", 60),
        _make_weekly("Research readout", "TH", "11:00", 60, every=2, week=1),
        _make_single("Dentist", "2026-10-07", "10:00", 60),
        _make_all_day("Walking in the Dales", "2026-12-21", "2027-01-01"),
    ),
    NOAH: (
        _make_weekly("Stand-up", "MO TU WE TH FR", "09:15", 15),
        _make_weekly("Incident review", "FR", "13:00", 60),
        _make_all_day("Between the years", "2026-12-24", "2026-12-31"),
    ),
    LIAM: (
        _make_weekly("Support shift", "MO WE", "13:00", 120, week=13),
        _make_all_day("Summer holidays", "2026-12-24", "2027-01-08"),
    ),
}
