"""Invitations by mail, read back by a foreign parser of RFC 5545."""

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


def make_settings() -> Settings:
    """Return the settings of a company whose CalDAV server invites nobody, so Longarc sends invitations by mail."""
    base_settings = settings()
    caldav = base_settings.calendars.caldav.model_copy(update={"attendee_copies": True})
    calendars = base_settings.calendars.model_copy(update={"caldav": caldav})
    return base_settings.model_copy(update={"calendars": calendars})


SAM_PAIR = PairId(DANA, SAM)
#: Longer than the program takes to send an invitation mail about what has changed.
TIME_TO_INVITE = 2 * HOUR


class Company(Office):
    """Dana and Kim have calendars on the CalDAV server. Sam has none there, and gets invitations by mail."""

    def __init__(self) -> None:
        persons = {
            email: replace(person, calendar="none" if email == SAM else "caldav") for email, person in EVERYBODY.items()
        }
        super().__init__(persons=persons, listed_pairs=pairs(pair(), pair(DANA, KIM)), office_settings=make_settings())
        self.worker.services.use(calendars={"caldav": self.calendar})

    def list_mails_to_sam(self, name: str = INVITATION) -> list[EmailMessage]:
        """Return the mails of that name, all of which must be addressed to Sam."""
        mails = self.mails(f"{name}:")
        assert {str(mail["To"]) for mail in mails} <= {f"Sam <{SAM}>"}
        return mails


@pytest.fixture
def company() -> Iterator[Company]:
    running_company = Company()
    yield running_company
    running_company.close()


def parse_calendar_part(email: EmailMessage) -> tuple[str, Any]:
    """Return the METHOD and the event of the calendar part of a mail."""
    part = next(part for part in email.walk() if part.get_content_type() == "text/calendar")
    calendar = Calendar.from_ical(part.get_payload(decode=True))  # type: ignore[arg-type]
    assert isinstance(calendar, Calendar)
    assert part.get_param("method") == str(calendar["METHOD"])
    (event,) = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), event


def test_r2_a_report_on_another_service_gets_an_invitation_that_asks_for_a_reply(company: Company) -> None:
    """R-2: the mail has the event, whose organizer is the manager."""
    company.run(TIME_TO_INVITE)
    (email,) = company.list_mails_to_sam()
    method, event = parse_calendar_part(email)
    session = company.session(pair_id=SAM_PAIR)
    assert method == "REQUEST"
    assert (event.start, event.end) == (session.start, session.end)
    assert str(event["ORGANIZER"]) == f"mailto:{DANA}"
    assert str(event["ATTENDEE"]) == f"mailto:{SAM}"
    assert event["ATTENDEE"].params["RSVP"] == "TRUE"
    assert event["SEQUENCE"] == 0
    assert not [name for name in event if str(name).startswith("X-LONGARC")]
    assert email.get_content_type() == "multipart/alternative"
    # the events with Sam and Kim; the calendar server invites Kim, who gets no mail
    assert len(company.events()) == 2


def test_an_update_has_the_same_uid_and_a_higher_sequence(company: Company) -> None:
    company.run(TIME_TO_INVITE)
    session = company.session(pair_id=SAM_PAIR)
    assert session.start is not None
    company.calendar.move(DANA, session.key, Span(session.span.start + DAY, session.span.end + DAY))
    company.run(TIME_TO_INVITE)
    first, second = (parse_calendar_part(email)[1] for email in company.list_mails_to_sam())
    assert second["UID"] == first["UID"]
    assert second["SEQUENCE"] > first["SEQUENCE"]
    assert second.start == session.start + DAY


def test_a_paused_pair_gets_a_cancellation_with_the_same_uid(company: Company) -> None:
    company.run(TIME_TO_INVITE)
    invited_event = parse_calendar_part(company.list_mails_to_sam()[0])[1]
    company.store.people.set_paused(SAM_PAIR, is_paused=True, now=company.clock())
    company.run(HOUR)
    (email,) = company.list_mails_to_sam(WITHDRAWAL)
    method, event = parse_calendar_part(email)
    assert method == "CANCEL"
    assert event["UID"] == invited_event["UID"]
    assert event["SEQUENCE"] > invited_event["SEQUENCE"]
    assert str(event["STATUS"]) == "CANCELLED"


def test_a_change_of_format_withdraws_the_invitation(company: Company) -> None:
    """R-4, R-8: the report gets the withdrawal also when the event is deleted before the pair is planned again."""
    company.run(TIME_TO_INVITE)
    invited_event = parse_calendar_part(company.list_mails_to_sam()[0])[1]
    company.worker.actions.choose_format(SAM_PAIR, Format.SERIES)
    company.worker.outbox.run(holder="other")
    company.run(HOUR)
    withdrawn_events = [parse_calendar_part(mail)[1] for mail in company.list_mails_to_sam(WITHDRAWAL)]
    assert [event["UID"] for event in withdrawn_events] == [invited_event["UID"]]


def test_a_session_held_earlier_withdraws_its_invitation(company: Company) -> None:
    """R-8: the two met a day after planning, long before the booked time, which is free again."""
    company.run(TIME_TO_INVITE)
    session = company.session(pair_id=SAM_PAIR)
    company.clock.advance(DAY)
    company.worker.actions.record_held(session.id, company.clock())
    company.run(HOUR)
    withdrawn_events = [parse_calendar_part(mail)[1] for mail in company.list_mails_to_sam(WITHDRAWAL)]
    assert [event.start for event in withdrawn_events] == [session.start]
