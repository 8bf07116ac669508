"""A company on two services: one manager at Google with a report at Microsoft, and one the other way round.

Each side's time comes from its own service, and the invitation goes between them as mail with a calendar part.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.doubles.calendarmail import read
from tests.doubles.google.company import GoogleCompany
from tests.doubles.graph import Double
from tests.doubles.graph.company import GraphCompany
from tests.doubles.mail_carrier import MailCarrier
from tests.support.companies import DAILY, DANA, DAY, HOUR, SAM, START, Office, pair, pairs, people, settings
from worker.domain.model import Address, DeferralCause, PairId, Session, Span
from worker.store.store import NextDue

MAX, EVA = "max@corp.example", "eva@corp.example"
AT = {DANA: "google", SAM: "outlook", MAX: "outlook", EVA: "google"}
#: The pairs by who organizes where.
BOTH = [(DANA, SAM), (MAX, EVA)]


class Mixed(Office):
    """Two pairs across the two services, and the mail that goes between them."""

    def __init__(self, stack: ExitStack) -> None:
        listed = {one: replace(who, calendar=AT[one]) for one, who in people(*AT).items()}
        super().__init__(
            persons=listed,
            listed=pairs(*(pair(one, other) for one, other in BOTH)),
            known=settings(sync=DAILY),  # these services tell of no change
        )
        self.google = GoogleCompany({one: listed[one] for one in (DANA, EVA)}, self.clock)
        stack.callback(self.google.stop)
        double = stack.enter_context(Double())
        self.graph = GraphCompany(double, [listed[one] for one in (SAM, MAX)])
        self.carrier = MailCarrier(self.google.google, double)
        self.worker.services.use(calendars={"google": self.google, "outlook": self.graph})
        stack.callback(self.close)

    def tick(self, *, hint: bool = True) -> NextDue:
        next_due = super().tick(hint=hint)
        self.carrier.carry()
        return next_due

    def busy(self, who: Address, first: float, last: float) -> None:
        """Each day of the next weeks, from one hour to the other, UTC."""
        for day in range(60):
            midnight = START.replace(hour=0) + day * DAY
            span = Span(midnight + first * HOUR, midnight + last * HOUR)
            (self.google if AT[who] == "google" else self.graph).add(who, span)

    def seen_by(self, who: Address) -> list[Span]:
        """When somebody's own calendar shows the invitation that came by mail."""
        if AT[who] == "outlook":
            items = self.graph.double.world.mailboxes[who].items.values()
            return [Span(i.start, i.end) for i in items if i.properties.get("subject") == "Invitation"]
        shelf = self.google.google.calendars.person_calendars[who]
        found = [e for e in shelf.entries.values() if e.fields.get("summary") == "Invitation" and not e.cancelled]
        return [Span(*entry.span(shelf.zone)) for entry in found]

    def career(self, one: Address, other: Address) -> Session:
        return self.session(pair_id=PairId(one, other))


@pytest.fixture
def mixed() -> Iterator[Mixed]:
    with ExitStack() as stack:
        yield Mixed(stack)


def test_each_side_s_time_comes_from_its_own_service(mixed: Mixed) -> None:
    """T-2: only the two hours from 13:00 are free on both calendars, which are read at different places."""
    for manager, report in BOTH:
        mixed.busy(manager, 0, 13)
        mixed.busy(report, 15, 24)
    mixed.run(HOUR)
    for one, other in BOTH:
        span = mixed.career(one, other).span
        assert span.start.hour * 60 + span.start.minute >= 13 * 60
        assert span.end.hour * 60 + span.end.minute <= 15 * 60


@pytest.mark.parametrize(("one", "other"), BOTH, ids=["google to outlook", "outlook to google"])
def test_the_invitation_comes_as_mail_and_the_answer_goes_back(mixed: Mixed, one: Address, other: Address) -> None:
    """R-2, R-8, T-10: booked, told by mail, declined by mail, moved, and told again under the same UID."""
    mixed.run(HOUR)
    first = mixed.career(one, other)
    assert mixed.seen_by(other) == [first.span]
    mixed.carrier.answer(other, "DECLINED")
    mixed.run(DAY)  # by then every calendar was looked at
    again = mixed.career(one, other)
    assert again.count == 1
    assert again.span != first.span
    assert mixed.seen_by(other) == [again.span]
    (deferral,) = mixed.store.plans.load([again.pair], mixed.clock()).states[0].deferrals
    assert (deferral.cause, deferral.who) == (DeferralCause.DECLINED, other)
    mine = [found for mail in mixed.carrier.carried if (found := read(mail)).guest == other]
    assert [m.method for m in mine if m.method != "REPLY"][:2] == ["REQUEST", "REQUEST"]
    assert len({m.uid for m in mine}) == 1
    numbers = [m.sequence for m in mine if m.method == "REQUEST"]
    assert numbers == sorted(set(numbers))


def test_our_own_invitation_is_not_taken_for_something_booked_over_it(mixed: Mixed) -> None:
    """T-10: on the report's own service it is an event like any other, accepted or not."""
    mixed.run(HOUR)
    booked = {pair_: mixed.career(*pair_).span for pair_ in BOTH}
    for _, other in BOTH:
        mixed.carrier.answer(other, "ACCEPTED")
    last = max(span.start for span in booked.values())
    mixed.run_to(last - timedelta(hours=5))
    assert {pair_: mixed.career(*pair_).span for pair_ in BOTH} == booked
    assert not mixed.mails("booked_over_warning")


def test_what_ends_is_taken_off_the_other_service_too(mixed: Mixed) -> None:
    mixed.run(HOUR)
    for one, other in BOTH:
        mixed.store.people.set_paused(PairId(one, other), is_paused=True, now=mixed.clock())
    mixed.run(HOUR)
    assert [mixed.seen_by(other) for _, other in BOTH] == [[], []]
    assert {read(mail).method for mail in mixed.carrier.carried} == {"REQUEST", "CANCEL"}
