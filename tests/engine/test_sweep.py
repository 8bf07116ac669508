"""The sweep: no time is given twice, unread time is never free, and failures of one pair or process harm no other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    SAM,
    SECOND,
    SERVICE,
    START,
    WEEK,
    Fails,
    Office,
    company,
    contract,
    pair,
    pairs,
    people,
    person,
    settings,
    span,
    texts,
)
from worker.domain.model import (
    NO_CALENDAR,
    Address,
    DeferralCause,
    Event,
    EventDraft,
    FreeBusy,
    Interval,
    Owner,
    PairId,
    Person,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    Trigger,
)
from worker.domain.reason_texts import format_reasons
from worker.domain.time.worktime import parse_hours
from worker.engine import sweep
from worker.errors import AuthRevoked, Forbidden, Unavailable, WrongKey
from worker.providers.memory import MemoryCalendar
from worker.store import tables

BUFFER = 15 * MINUTE


def list_booked_spans(office: Office) -> list[Span]:
    return sorted(s.span for s in office.store.queries.list_sessions() if s.booked)


def has_buffers(spans: list[Span]) -> bool:
    return all(later.start - earlier.end >= BUFFER for earlier, later in pairwise(spans))


# --- taken time ---


def test_one_sweep_gives_no_time_twice(database_url: str) -> None:
    """T-2: six reports of one manager in one sweep get sessions with buffers between them, one a day."""
    office = Office(database_url, *company(6))
    office.worker.sweep.run(holder="one")
    spans = list_booked_spans(office)
    assert len(spans) == 6 and has_buffers(spans)
    assert len({span.start.date() for span in spans}) == 6
    office.close()


def test_a_person_in_two_pairs_gets_two_times(database_url: str) -> None:
    """Sam reports to Dana and leads Kim: both pairs are planned in the same sweep."""
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(DANA, SAM), pair(SAM, KIM)))
    office.tick()
    assert has_buffers(list_booked_spans(office))
    office.close()


def test_a_session_that_is_not_on_the_calendar_yet_counts_as_busy(database_url: str) -> None:
    """The first sweep books a session, and its event is not written yet. The second sweep reads an empty calendar."""
    office = Office(database_url, people(DANA, SAM), pairs(pair()))
    office.worker.sweep.run(holder="one")
    dana_session = office.session()
    office.persons.update(people(KIM))
    office.pairs.update(pairs(pair(SAM, KIM)))
    office.apply()
    office.worker.sweep.run(holder="two")
    assert not office.events()
    sam_session = office.session(pair_id=PairId(SAM, KIM))
    assert has_buffers(sorted([dana_session.span, sam_session.span]))
    office.close()


def test_a_block_for_a_commitment_overlaps_no_session(office: Office) -> None:
    """T-8, T-2: blocks and sessions are placed in the same working hours."""
    office.tick()
    session = office.hold()
    office.worker.contracts.record(session.id, contract(office.clock(), days=40))
    office.run(DAY)
    (block,) = [c.block for c in office.store.queries.list_commitments() if c.owner is Owner.MANAGER]
    assert block is not None and block.minutes == 30
    spans = sorted(event.span for event in office.events())
    assert all(not earlier.overlaps(later) for earlier, later in pairwise(spans))


# --- calendars that can't be read ---


def test_time_that_cannot_be_read_is_never_free(office: Office) -> None:
    """T-2, T-4: Sam's calendar can't be read. No session is booked, and both get a mail with the reason."""
    office.calendar.make_unreadable(SAM, "no access")
    office.tick()
    assert office.events() == []
    session = office.session()
    assert session.unplaceable and "Sam" in format_reasons(session.unplaceable)
    for address, mail in zip((DANA, SAM), office.mails("unplaceable"), strict=True):
        assert address in mail["To"] and "Sam" in texts([mail])


def test_an_outage_makes_no_session_unplaceable(office: Office) -> None:
    office.calendar.fail = Fails(Unavailable, "free_busy")
    office.run(4 * HOUR)
    assert not any(session.unplaceable for session in office.store.queries.list_sessions())
    assert not office.mails("unplaceable")
    office.calendar.fail = None
    office.run(10 * MINUTE)
    assert [event.span for event in office.events()] == [office.session().span]


class PartlyUnreadableCalendar(MemoryCalendar):
    """A service that can't read the free/busy of some people for the moment."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable_people: set[Address] = set()

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        unknown = FreeBusy(is_known=False, reason="asked too often", is_temporary=True)
        unreadable_people = self.unreadable_people.intersection(people)
        return dict(super().free_busy(people, window)) | dict.fromkeys(unreadable_people, unknown)


def test_a_person_unreadable_for_the_moment_delays_only_their_own_pair(office: Office) -> None:
    """T-2: the pair waits, and no mail says that no time fits. The other pair of the same request is booked."""
    calendar = PartlyUnreadableCalendar()
    office.calendar = calendar
    office.worker.services.use(calendars={SERVICE: calendar})
    office.persons.update(people(KIM))
    office.pairs.update(pairs(pair(DANA, KIM)))
    office.apply()
    calendar.unreadable_people = {SAM}
    office.run(HOUR)
    assert [session.pair for session in office.store.queries.list_sessions() if session.booked] == [PairId(DANA, KIM)]
    assert not office.mails("unplaceable")
    calendar.unreadable_people = set()
    office.run(10 * MINUTE)
    assert len(office.events()) == 2


def test_in_an_outage_free_busy_is_read_every_five_minutes(office: Office) -> None:
    attempts: list[str] = []

    def fail(operation: str) -> None:
        if operation == "free_busy":
            attempts.append(operation)
            raise Unavailable

    office.calendar.fail = fail
    office.run(HOUR)
    assert 10 <= len(attempts) <= 15  # 12 times five minutes are an hour


@pytest.mark.parametrize("error", [Forbidden, AuthRevoked])
def test_no_session_is_booked_when_the_service_refuses_free_busy(office: Office, error: type[Exception]) -> None:
    office.calendar.fail = Fails(error, "free_busy")  # type: ignore[arg-type]
    office.run(HOUR)
    assert office.events() == []


def test_a_person_without_a_calendar_is_booked_in_working_hours(database_url: str) -> None:
    persons: dict[str, Person] = {DANA: person(DANA), SAM: person(SAM, calendar=NO_CALENDAR)}
    office = Office(database_url, persons, pairs(pair()))
    office.calendar.add(SAM, Span(START + 2 * WEEK, START + 2 * WEEK + 5 * DAY))  # not read for Sam
    office.tick()
    assert [event.span for event in office.events()] == [office.session().span]
    office.close()


def test_people_imported_by_another_process_are_planned_at_once(office: Office) -> None:
    """The first process read the people before the import. It must not conclude that the new people have no
    calendar."""
    office.tick()
    other = office.add_worker("other")
    office.persons.update(people(KIM))
    office.pairs.update(pairs(pair(DANA, KIM)))
    other.store.people.apply_import(office.persons, office.pairs, office.clock())
    office.tick()
    assert not office.mails("unplaceable")
    assert len(office.events()) == 2


# --- what a sweep, a preview or a failure writes ---


def test_a_second_sweep_of_the_same_snapshot_changes_nothing(office: Office) -> None:
    office.tick()
    effects, history = office.effects(), office.history()
    office.store.plans.wake(list(office.pairs), office.clock(), reread_free_busy=True)
    office.tick()
    assert (office.effects(), office.history()) == (effects, history)


def test_a_preview_writes_nothing(office: Office) -> None:
    steps: list[int] = []
    pairs_with_plans = list(office.worker.sweep.preview(steps.append))
    plan = pairs_with_plans[0].plan
    assert [planned.state.pair.id for planned in pairs_with_plans] == list(office.pairs)
    assert plan.sessions and plan.effects
    assert steps == [2, 3]  # two steps for the calendars, one for the pair
    assert office.effects() == [] and office.history() == [] and office.store.queries.list_sessions() == []
    assert office.store.plans.claim(office.clock(), "somebody", office.clock() + HOUR, limit=10), (
        "the pair is not due any more"
    )


def test_sweeps_book_the_times_of_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both load pairs in batches. The time that one pair takes is taken for the pairs of the next batch."""
    monkeypatch.setattr(sweep, "BATCH", 1)
    persons, all_pairs = company(4)
    office = Office(persons=persons, listed_pairs=all_pairs)
    for day in set(range(200)) - {58, 65, 72, 79}:  # the manager has one free day for each of the four pairs
        office.calendar.add("m0@corp.example", span(START + day * DAY, minutes=600))
    plans = [planned.plan for planned in office.worker.sweep.preview()]
    previewed_starts = {plan.pair: [s.start for s in plan.sessions] for plan in plans}
    while office.worker.sweep.run(holder="one", limit=1):
        pass
    list_sessions = office.store.queries.list_sessions
    assert previewed_starts == {pair_id: [s.start for s in list_sessions(pair_id)] for pair_id in all_pairs}
    assert len({*map(str, previewed_starts.values())}) == 4, "two pairs have one time"
    office.close()


def test_a_failed_sweep_releases_its_leases(office: Office) -> None:
    def fail(operation: str) -> None:
        raise RuntimeError(operation)

    office.calendar.fail = fail
    with pytest.raises(RuntimeError):
        office.worker.sweep.run(holder="one")
    office.calendar.fail = None
    assert office.worker.sweep.run(holder="two") == 1
    assert len(list_booked_spans(office)) == 1


def test_a_sweep_whose_leases_have_ended_writes_nothing(database_url: str) -> None:
    """The leases end while the sweep reads calendars, and another process plans one of its two pairs. Afterwards both
    pairs can be claimed at once."""
    two_pairs = pairs(pair(), pair(KIM, "eve@corp.example"))
    office = Office(database_url, people(DANA, SAM, KIM, "eve@corp.example"), two_pairs)
    other = office.add_worker("other")

    def stall(operation: str) -> None:
        office.calendar.fail = None
        office.clock.advance(sweep.LEASE)
        other.actions.request_ad_hoc_session(PairId(DANA, SAM), Trigger.CHANGE)

    office.calendar.fail = stall
    assert office.worker.sweep.run(holder="one") == 2
    # only the session that the other process wrote
    assert [s.adhoc for s in office.store.queries.list_sessions()] == [True]
    assert office.effects() == []
    assert office.worker.sweep.run(holder="two") == 2
    office.close()


def test_the_next_session_is_booked_once_one_is_held(office: Office) -> None:
    """R-3, T-4: it is the only future event, more than ten weeks later."""
    office.tick()
    held = office.hold()
    office.tick()
    following = office.session()
    assert following.booked and following.span.start > held.span.end + 10 * WEEK
    assert [event.span for event in office.events() if event.span.start > office.clock()] == [following.span]
    assert {s.state for s in office.store.queries.list_sessions() if s.kind is SessionKind.CAREER} == {
        SessionState.HELD,
        SessionState.BOOKED,
    }


def test_a_held_session_is_taken_time_for_seven_days(office: Office) -> None:
    """A person has one career session a day at most (T-2) and few first ones a week (T-3a). Planning therefore needs
    the sessions of the last seven days."""
    office.tick()
    held = office.hold()
    for days in (0, 6):
        office.run(days * DAY)
        taken_times = office.store.plans.load_taken_time([DANA], office.clock())[DANA]
        (taken,) = [taken for taken in taken_times if taken.span == held.span]
        assert taken.subject == held.id
        assert taken.in_turn, "the session does not count as a first one"
    office.run(DAY)
    taken_times = office.store.plans.load_taken_time([DANA], office.clock())[DANA]
    assert held.span not in [taken.span for taken in taken_times]


def test_two_people_without_a_common_working_day_get_a_mail_and_delay_no_other_pair() -> None:
    """T-4: no time exists, so both get a mail with the reason. The other pair is planned in the same sweep."""
    persons = people(DANA, SAM, KIM, "lee@corp.example")
    persons[DANA] = replace(persons[DANA], hours=parse_hours("Mon-Tue 09:00-17:00"))
    persons[SAM] = replace(persons[SAM], hours=parse_hours("Wed-Fri 09:00-17:00"))
    office = Office(persons=persons, listed_pairs=pairs(pair(), pair(KIM, "lee@corp.example")))
    office.tick()
    assert office.session(pair_id=PairId(DANA, SAM)).unplaceable
    office.run(2 * DAY + HOUR)
    assert len(office.mails("unplaceable")) == 2  # Sam's mail waits for Wednesday, the first working day (T-16)
    assert office.session(pair_id=PairId(KIM, "lee@corp.example")).booked
    office.close()


def test_a_pair_whose_planning_fails_delays_no_other_pair() -> None:
    """The operator gets one alert a day, and the pair is planned again later."""
    persons = people(DANA, SAM, KIM, "lee@corp.example")
    failing_pair = pair(every=Interval(weeks=10**6))  # the date of the next session exceeds Python's last date
    office = Office(persons=persons, listed_pairs=pairs(failing_pair, pair(KIM, "lee@corp.example")))
    plans = [planned.plan for planned in office.worker.sweep.preview()]
    assert [plan.pair for plan in plans if plan.problem] == [failing_pair.id]
    assert office.effects() == [], "the preview wrote effects"
    office.run(5 * HOUR)
    assert office.session(pair_id=PairId(KIM, "lee@corp.example")).booked
    (alert,) = office.mails("operator_alert")
    assert f"Planning {failing_pair.id} failed: OverflowError at cadence.py" in " ".join(texts([alert]).split())
    office.close()


def test_the_events_of_many_ended_pairs_are_all_cancelled() -> None:
    """The sweep's limit of cancellations does not count ended pairs: the import of people has checked them
    already."""
    persons, all_pairs = company(30)
    office = Office(persons=persons, listed_pairs=all_pairs)
    office.tick()
    managers = sorted({pair_.manager for pair_ in all_pairs.values()})
    assert sum(len(office.events(manager)) for manager in managers) == len(all_pairs)
    office.pairs = dict(list(all_pairs.items())[:2])
    office.apply()
    office.run(HOUR)
    assert sum(len(office.events(manager)) for manager in managers) == len(office.pairs)
    office.close()


def test_an_absence_found_during_a_move_defers_the_session_after_the_move() -> None:
    """T-10: an absence acts at once, or as soon as the event has the new time."""
    office = Office()
    office.tick()
    session = office.session()
    new_span = span(datetime(2026, 10, 14, 8, tzinfo=UTC), session.minutes)  # free, and in the window of the session
    office.calendar.fail = Fails(Unavailable, "update", times=1)
    office.worker.actions.request_another_time(session.id, new_span)
    office.tick()
    office.clock.advance(20 * SECOND)  # the update is tried again only after a minute
    office.calendar.add(SAM, Span(new_span.start - 6 * HOUR, new_span.start + 5 * DAY), show=ShowAs.AWAY)
    office.run(5 * MINUTE)
    (state,) = office.store.plans.load([session.pair], office.clock()).states
    causes = [deferral.cause for deferral in state.deferrals]
    assert causes == [DeferralCause.ASKED, DeferralCause.OUT_OF_OFFICE]
    office.close()


def test_a_check_in_is_compared_with_calendars_before_it_begins() -> None:
    """T-10: an absence defers it, although nothing makes its pair due: there are no mails about a check-in, and changes
    of the report's calendar are not reported."""
    office = Office()
    office.tick()
    office.calendar.add(DANA, Span(office.clock(), office.clock() + 3 * DAY))  # so that it begins some days later
    session_id = office.worker.actions.request_check_in(pair().id)
    office.tick()
    check_in = office.store.queries.get_session(session_id)
    assert check_in is not None and check_in.booked
    start = check_in.span.start
    office.calendar.add(SAM, Span(start - 6 * HOUR, start + 10 * DAY), show=ShowAs.AWAY)
    office.calendar.pop_changed_calendars()
    office.run_to(start)
    deferred = office.store.queries.get_session(session_id)
    assert deferred is not None and deferred.count == 1
    office.close()


def test_a_promise_kept_while_its_block_is_created_leaves_no_block() -> None:
    """T-8, R-19: a commitment that is done needs no block."""
    office = Office()
    office.tick()
    session = office.hold()
    other, create = office.add_worker("other"), office.calendar.create

    def create_while_promise_is_kept(calendar: Address, draft: EventDraft) -> Event:
        event = create(calendar, draft)
        if draft.key.startswith("p"):  # the key of a block: the id of the promise, a dot and the generation
            office.calendar.create = create  # type: ignore[method-assign]
            other.contracts.mark_done(draft.key.rpartition(".")[0])
            other.sweep.run(holder="other")
        return event

    office.worker.contracts.record(session.id, contract(office.clock()))
    office.calendar.create = create_while_promise_is_kept  # type: ignore[method-assign]
    office.run(5 * MINUTE)
    assert not [event for event in office.events() if (event.key or "").startswith("p")]
    office.close()


def test_t4_corrected_working_hours_give_a_time_at_once(database_url: str) -> None:
    persons = {**people(DANA), SAM: person(SAM, hours=parse_hours("Mon-Fri 19:00-23:00"))}
    office = Office(database_url, persons)
    office.tick()
    assert not office.session().booked
    office.run(2 * DAY)
    office.persons[SAM] = person(SAM)
    office.apply()
    office.tick()
    assert office.session().booked
    office.close()


# --- pairs that need a person ---


def test_a_sealed_plan_that_cannot_be_opened_stops_only_its_own_pair(database_url: str) -> None:
    """T-14: the urgency of a session is sealed. When it is damaged, its pair is not planned, and the operator gets an
    alert."""
    office = Office(
        database_url,
        people(DANA, SAM, KIM),
        pairs(pair(), pair(report=KIM)),
        office_settings=settings(database_url, operator="ops@corp.example"),
    )
    office.run(DAY + 3 * HOUR)
    office.worker.actions.request_ad_hoc_session(
        PairId(DANA, SAM), Trigger.MOTIVATION, "It has been a long year.", by=Owner.REPORT
    )
    with office.store.database.write() as connection:
        has_sealed_plan = tables.session.c.sealed_plan.is_not(None)
        damage = update(tables.session).where(has_sealed_plan).values(sealed_plan=b"damaged")
        assert connection.execute(damage).rowcount == 1
    office.store.plans.wake([PairId(DANA, SAM), PairId(DANA, KIM)], office.clock(), reread_free_busy=True)
    assert office.worker.sweep.run(holder="one") == 2
    assert office.worker.sweep.run(holder="one") == 0, "a pair is due again at once"
    with office.store.database.read() as connection:
        due = {row[0]: row[1] for row in connection.execute(select(tables.pair.c.id, tables.pair.c.due_at))}
    assert due[PairId(DANA, SAM)] == office.clock() + sweep.RETRY_AFTER
    assert due[PairId(DANA, KIM)] > office.clock() + sweep.RETRY_AFTER
    assert any(str(PairId(DANA, SAM)) in alert for _, alert in office.store.outbox.list_alerts(START))
    with pytest.raises(WrongKey):
        office.store.plans.load([PairId(DANA, SAM)], office.clock())
    office.close()


def test_t4_the_operator_gets_one_alert_when_working_hours_never_overlap() -> None:
    """T-4: both get a mail that their hours don't overlap. Only the operator can correct hours or a time zone."""
    persons = {**people(DANA), SAM: person(SAM, hours=parse_hours("Mon-Fri 19:00-23:00"))}
    office = Office(persons=persons)
    office.run(2 * DAY)
    alerts = [mail for mail in office.mails("operator_alert") if "never work at the same time" in texts([mail])]
    assert len(alerts) == 1
    assert DANA in texts(alerts) and SAM in texts(alerts)
    for mail in office.mails("unplaceable"):
        assert "don’t overlap" in texts([mail])
        assert "meeting less" not in texts([mail]), "the mail proposes a remedy that can't help"
    office.close()
