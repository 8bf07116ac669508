"""Tests of pairs across two calendar services: a Google manager with a Microsoft report, and the other way round.

Each person's free/busy comes from the person's own service. The services exchange invitations and answers as mails
with a calendar part.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import time, timedelta

import pytest

from tests.doubles.calendarmail import read_calendar_mail
from tests.doubles.google.company import GoogleCompany
from tests.doubles.graph import Double
from tests.doubles.graph.company import GraphCompany
from tests.doubles.mail_carrier import MailCarrier
from tests.support.companies import DAILY_SYNC, DANA, DAY, HOUR, SAM, START, Office, pair, pairs, people, settings
from worker.domain.model import Address, DeferralCause, PairId, Session, Span
from worker.store.store import NextDue

MAX, EVA = "max@corp.example", "eva@corp.example"
SERVICES = {DANA: "google", SAM: "outlook", MAX: "outlook", EVA: "google"}
#: Manager and report of the two pairs.
PAIRS = [(DANA, SAM), (MAX, EVA)]


class MixedOffice(Office):
    """An office with two pairs across the two services, and a carrier of the mails between the services."""

    def __init__(self, stack: ExitStack) -> None:
        persons = {email: replace(person, calendar=SERVICES[email]) for email, person in people(*SERVICES).items()}
        super().__init__(
            persons=persons,
            listed_pairs=pairs(*(pair(manager, report) for manager, report in PAIRS)),
            office_settings=settings(sync=DAILY_SYNC),  # these services send no notifications, so calendars are polled
        )
        self.google = GoogleCompany({email: persons[email] for email in (DANA, EVA)}, self.clock)
        stack.callback(self.google.stop)
        double = stack.enter_context(Double())
        self.graph = GraphCompany(double, [persons[email] for email in (SAM, MAX)])
        self.carrier = MailCarrier(self.google.google, double)
        self.worker.services.use(calendars={"google": self.google, "outlook": self.graph})
        stack.callback(self.close)

    def tick(self, *, hint: bool = True) -> NextDue:
        next_due = super().tick(hint=hint)
        self.carrier.carry()
        return next_due

    def add_busy_hours(self, email: Address, first: float, last: float) -> None:
        """Make the person busy between these two hours (UTC) of each of the next 60 days."""
        for day in range(60):
            midnight = START.replace(hour=0) + day * DAY
            span = Span(midnight + first * HOUR, midnight + last * HOUR)
            (self.google if SERVICES[email] == "google" else self.graph).add(email, span)

    def list_invitations(self, email: Address) -> list[Span]:
        """Return the times of the invitations that came by mail to the person's own calendar."""
        if SERVICES[email] == "outlook":
            items = self.graph.double.world.mailboxes[email].items.values()
            return [Span(i.start, i.end) for i in items if i.properties.get("subject") == "Invitation"]
        calendar = self.google.google.calendars.person_calendars[email]
        entries = [e for e in calendar.entries.values() if e.fields.get("summary") == "Invitation" and not e.cancelled]
        return [Span(*entry.span(calendar.zone)) for entry in entries]

    def get_session(self, manager: Address, report: Address) -> Session:
        """Return the career session of the pair that is booked or owed."""
        return self.session(pair_id=PairId(manager, report))


@pytest.fixture
def office() -> Iterator[MixedOffice]:
    with ExitStack() as stack:
        yield MixedOffice(stack)


def test_free_busy_of_each_person_comes_from_their_own_service(office: MixedOffice) -> None:
    """T-2: only the two hours from 13:00 are free on both calendars, which are on different services."""
    for manager, report in PAIRS:
        office.add_busy_hours(manager, 0, 13)
        office.add_busy_hours(report, 15, 24)
    office.run(HOUR)
    for manager, report in PAIRS:
        span = office.get_session(manager, report).span
        assert time(13) <= span.start.time() < span.end.time() <= time(15)


@pytest.mark.parametrize(("manager", "report"), PAIRS, ids=["google to outlook", "outlook to google"])
def test_declined_invitation_from_another_service_moves_the_session(
    office: MixedOffice, manager: Address, report: Address
) -> None:
    """R-2, R-8, T-10: the report declines by mail, and gets the new time by mail under the same UID."""
    office.run(HOUR)
    first_session = office.get_session(manager, report)
    assert office.list_invitations(report) == [first_session.span]
    office.carrier.answer(report, "DECLINED")
    office.run(DAY)  # by then every calendar has been polled
    moved_session = office.get_session(manager, report)
    assert moved_session.count == 1
    assert moved_session.span != first_session.span
    assert office.list_invitations(report) == [moved_session.span]
    (deferral,) = office.store.plans.load([moved_session.pair], office.clock()).states[0].deferrals
    assert (deferral.cause, deferral.who) == (DeferralCause.DECLINED, report)
    calendar_mails = [part for mail in office.carrier.carried if (part := read_calendar_mail(mail)).guest == report]
    # the invitation, and the same with the new time
    assert [mail.method for mail in calendar_mails if mail.method != "REPLY"][:2] == ["REQUEST", "REQUEST"]
    assert len({mail.uid for mail in calendar_mails}) == 1
    sequence_numbers = [mail.sequence for mail in calendar_mails if mail.method == "REQUEST"]
    assert sequence_numbers == sorted(set(sequence_numbers))


def test_our_own_invitation_is_not_treated_as_a_clash(office: MixedOffice) -> None:
    """T-10: on the report's service, the invitation looks like any other event."""
    office.run(HOUR)
    spans = {pair_: office.get_session(*pair_).span for pair_ in PAIRS}
    for _, report in PAIRS:
        office.carrier.answer(report, "ACCEPTED")
    last_start = max(span.start for span in spans.values())
    office.run_to(last_start - timedelta(hours=5))
    assert {pair_: office.get_session(*pair_).span for pair_ in PAIRS} == spans
    assert not office.mails("booked_over_warning")


def test_pausing_a_pair_removes_the_invitation_from_the_other_service(office: MixedOffice) -> None:
    office.run(HOUR)
    for manager, report in PAIRS:
        office.store.people.set_paused(PairId(manager, report), is_paused=True, now=office.clock())
    office.run(HOUR)
    assert [office.list_invitations(report) for _, report in PAIRS] == [[], []]
    assert {read_calendar_mail(mail).method for mail in office.carrier.carried} == {"REQUEST", "CANCEL"}
