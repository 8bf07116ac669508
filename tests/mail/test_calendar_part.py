"""Invitations by mail, as they leave: read back by a parser of RFC 5545 that is not ours."""

from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, Office, pair, pairs, people, settings
from worker.domain.model import Format, PairId, Span
from worker.domain.planning.invitations import INVITATION, WITHDRAWAL
from worker.settings.load import Settings

EVERYBODY = people(DANA, KIM, SAM)


def silent() -> Settings:
    """Settings of a company whose CalDAV server invites nobody."""
    known = settings()
    caldav = known.calendars.caldav.model_copy(update={"attendee_copies": True})
    calendars = known.calendars.model_copy(update={"caldav": caldav})
    return known.model_copy(update={"calendars": calendars})


SAMS = PairId(DANA, SAM)


class Company(Office):
    """Dana and Kim on that server, Sam somewhere else."""

    def __init__(self) -> None:
        listed = {one: replace(who, calendar="none" if one == SAM else "caldav") for one, who in EVERYBODY.items()}
        super().__init__(persons=listed, listed=pairs(pair(), pair(DANA, KIM)), known=silent())
        self.worker.services.use(calendars={"caldav": self.calendar})

    def invited(self, name: str = INVITATION) -> list[EmailMessage]:
        """The mails of that name, all of them Sam's."""
        found = self.mails(f"{name}:")
        assert {str(mail["To"]) for mail in found} <= {f"Sam <{SAM}>"}
        return found


@pytest.fixture
def company() -> Iterator[Company]:
    made = Company()
    yield made
    made.close()


def carried(email: EmailMessage) -> tuple[str, Any]:
    """What its calendar part asks for (METHOD), and the event in it."""
    part = next(p for p in email.walk() if p.get_content_type() == "text/calendar")
    found = Calendar.from_ical(part.get_payload(decode=True))  # type: ignore[arg-type]
    assert isinstance(found, Calendar)
    assert part.get_param("method") == str(found["METHOD"])
    (event,) = found.walk("VEVENT")
    return str(found["METHOD"]), event


def test_r2_a_report_on_another_service_gets_an_invitation_to_answer(company: Company) -> None:
    company.run(2 * HOUR)
    (email,) = company.invited()
    method, event = carried(email)
    session = company.session(pair_id=SAMS)
    assert method == "REQUEST"
    assert (event.start, event.end) == (session.start, session.end)
    assert str(event["ORGANIZER"]) == f"mailto:{DANA}"
    assert str(event["ATTENDEE"]) == f"mailto:{SAM}"
    assert event["ATTENDEE"].params["RSVP"] == "TRUE"
    assert event["SEQUENCE"] == 0
    assert not [name for name in event if str(name).startswith("X-LONGARC")]
    assert email.get_content_type() == "multipart/alternative"
    assert len(company.events()) == 2, "Kim has a copy, and no mail"


def test_each_change_is_told_under_the_same_uid_with_a_higher_number(company: Company) -> None:
    company.run(2 * HOUR)
    session = company.session(pair_id=SAMS)
    assert session.start is not None
    company.calendar.move(DANA, session.key, Span(session.span.start + DAY, session.span.end + DAY))
    company.run(2 * HOUR)
    first, second = (carried(email)[1] for email in company.invited())
    assert second["UID"] == first["UID"]
    assert second["SEQUENCE"] > first["SEQUENCE"]
    assert second.start == session.start + DAY


def test_who_leaves_or_is_paused_is_told_that_nothing_takes_place(company: Company) -> None:
    company.run(2 * HOUR)
    told = carried(company.invited()[0])[1]
    company.store.people.set_paused(SAMS, is_paused=True, now=company.clock())
    company.run(HOUR)
    (email,) = company.invited(WITHDRAWAL)
    method, event = carried(email)
    assert method == "CANCEL"
    assert event["UID"] == told["UID"]
    assert event["SEQUENCE"] > told["SEQUENCE"]
    assert str(event["STATUS"]) == "CANCELLED"


def test_who_was_invited_hears_of_another_format_whoever_comes_round_first(company: Company) -> None:
    """R-4, R-8: the event is taken off before the pair is planned; the report's program has to lose it, too."""
    company.run(2 * HOUR)
    told = carried(company.invited()[0])[1]
    company.worker.actions.choose_format(SAMS, Format.SERIES)
    company.worker.outbox.run("other")
    company.run(HOUR)
    withdrawn = [carried(mail)[1] for mail in company.invited(WITHDRAWAL)]
    assert [event["UID"] for event in withdrawn] == [told["UID"]]


def test_what_took_place_earlier_is_no_appointment_any_more(company: Company) -> None:
    """R-8."""
    company.run(2 * HOUR)
    session = company.session(pair_id=SAMS)
    company.clock.advance(DAY)
    company.worker.actions.record_held(session.id, company.clock())
    company.run(HOUR)
    withdrawn = [carried(mail)[1] for mail in company.invited(WITHDRAWAL)]
    assert [event.start for event in withdrawn] == [session.start]
