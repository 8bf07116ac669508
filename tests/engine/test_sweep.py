"""One sweep: how much is asked of calendars, how hours are given away, and what stops it before it writes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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


def sessions(office: Office) -> list[Span]:
    return sorted(s.span for s in office.store.queries.list_sessions() if s.booked)


def apart(spans: list[Span]) -> bool:
    return all(b.start - a.end >= BUFFER for a, b in pairwise(spans))


# --- giving hours away ---


def test_one_sweep_gives_no_hour_away_twice(database_url: str) -> None:
    """Six reports of one manager in one sweep: their sessions stand apart, one a day (T-2)."""
    office = Office(database_url, *company(6))
    office.worker.sweep.run("one")
    taken = sessions(office)
    assert len(taken) == 6 and apart(taken)
    assert len({one.start.date() for one in taken}) == 6
    office.close()


def test_somebody_in_two_pairs_is_given_two_times(database_url: str) -> None:
    """Sam reports to Dana and leads Kim: both pairs are planned in the same sweep."""
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(DANA, SAM), pair(SAM, KIM)))
    office.tick()
    assert apart(sessions(office))
    office.close()


def test_what_is_decided_and_not_on_the_calendar_yet_counts_as_busy(database_url: str) -> None:
    """The calendar can't be written to; the next sweep reads it, sees it empty, and still keeps off."""
    office = Office(database_url, people(DANA, SAM), pairs(pair()))
    office.worker.sweep.run("one")
    first = office.session()
    office.persons.update(people(KIM))
    office.pairs.update(pairs(pair(SAM, KIM)))
    office.apply()
    office.worker.sweep.run("two")
    assert not office.events()
    second = office.session(pair_id=PairId(SAM, KIM))
    assert apart(sorted([first.span, second.span]))
    office.close()


def test_a_commitment_takes_no_hour_that_a_session_has(office: Office) -> None:
    """T-8, T-2: the block of the manager and the sessions are given out of the same hours."""
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock(), days=40))
    office.run(DAY)
    (block,) = [c.block for c in office.store.queries.list_commitments() if c.owner is Owner.MANAGER]
    assert block is not None and block.minutes == 30
    spans = sorted(event.span for event in office.events())
    assert all(not a.overlaps(b) for a, b in pairwise(spans))


# --- what it can't see ---


def test_time_that_cannot_be_read_is_never_free(office: Office) -> None:
    """T-2, T-4: Sam's calendar is closed; nothing is booked blindly, and both are told why."""
    office.calendar.make_unreadable(SAM, "no access")
    office.tick()
    assert office.events() == []
    session = office.session()
    assert session.unplaceable and "Sam" in format_reasons(session.unplaceable)
    for address, mail in zip((DANA, SAM), office.mails("unplaceable"), strict=True):
        assert address in mail["To"] and "Sam" in texts([mail])


def test_an_outage_tells_nobody_that_there_is_no_time(office: Office) -> None:
    office.calendar.fail = Fails(Unavailable, "free_busy")
    office.run(4 * HOUR)
    assert [one.unplaceable for one in office.store.queries.list_sessions() if one.unplaceable] == []
    assert not office.mails("unplaceable")
    office.calendar.fail = None
    office.run(10 * MINUTE)
    assert [event.span for event in office.events()] == [office.session().span]


class Patchy(MemoryCalendar):
    """A service that can't read the time of some people just now."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: set[Address] = set()

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        later = FreeBusy(is_known=False, reason="asked too often", is_temporary=True)
        return dict(super().free_busy(people, window)) | {who: later for who in people if who in self.waiting}


def test_who_cannot_be_read_just_now_holds_up_no_other_pair(office: Office) -> None:
    """T-2: their pair waits and nobody hears that there is no time; the others of the same request are booked."""
    patchy = Patchy()
    office.calendar = patchy
    office.worker.services.use(calendars={SERVICE: patchy})
    office.persons.update(people(KIM))
    office.pairs.update(pairs(pair(DANA, KIM)))
    office.apply()
    patchy.waiting = {SAM}
    office.run(HOUR)
    assert [session.pair for session in office.store.queries.list_sessions() if session.booked] == [PairId(DANA, KIM)]
    assert not office.mails("unplaceable")
    patchy.waiting = set()
    office.run(10 * MINUTE)
    assert len(office.events()) == 2


def test_an_outage_is_asked_about_every_five_minutes_not_all_the_time(office: Office) -> None:
    seen: list[str] = []

    def fail(operation: str) -> None:
        if operation == "free_busy":
            seen.append(operation)
            raise Unavailable

    office.calendar.fail = fail
    office.run(HOUR)
    assert 10 <= len(seen) <= 15


@pytest.mark.parametrize("error", [Forbidden, AuthRevoked])
def test_a_service_that_refuses_takes_nothing_for_free(office: Office, error: type[Exception]) -> None:
    office.calendar.fail = Fails(error, "free_busy")  # type: ignore[arg-type]
    office.run(HOUR)
    assert office.events() == []


def test_somebody_without_a_calendar_is_booked_by_working_hours_alone(database_url: str) -> None:
    persons: dict[str, Person] = {DANA: person(DANA), SAM: person(SAM, calendar="none")}
    office = Office(database_url, persons, pairs(pair()))
    busy = span(START + 2 * WEEK, 5 * 24 * 60)
    office.calendar.add(SAM, busy)
    office.tick()
    assert [event.span for event in office.events()] == [office.session().span]
    office.close()


def test_people_taken_over_by_another_process_are_known_at_once(office: Office) -> None:
    """A process that read the people a moment ago must not find that the new ones have no calendar."""
    office.tick()
    other = office.add_worker("other")
    office.persons.update(people(KIM))
    office.pairs.update(pairs(pair(DANA, KIM)))
    other.store.people.apply_import(office.persons, office.pairs, office.clock())
    office.tick()
    assert not office.mails("unplaceable")
    assert len(office.events()) == 2


# --- what it leaves behind ---


def test_the_same_world_planned_again_changes_nothing(office: Office) -> None:
    office.tick()
    rows, lines = office.messages(), office.history()
    office.store.plans.wake(list(office.pairs), office.clock(), reread_free_busy=True)
    office.tick()
    assert (office.messages(), office.history()) == (rows, lines)


def test_a_preview_writes_nothing(office: Office) -> None:
    steps: list[int] = []
    planned = list(office.worker.sweep.preview(steps.append))
    plan = planned[0].plan
    assert [one.state.pair.id for one in planned] == list(office.pairs) and plan.sessions and plan.effects
    assert steps == [2, 3], "two calendars and a pair"
    assert office.messages() == [] and office.history() == [] and office.store.queries.list_sessions() == []
    assert office.store.plans.claim(office.clock(), "somebody", office.clock() + HOUR, 10)


def test_a_preview_of_many_pairs_is_what_the_sweeps_then_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are loaded in batches; the time that one takes is taken for those of the next, as it is for sweeps."""
    monkeypatch.setattr(sweep, "BATCH", 1)
    persons, listed = company(4)
    office = Office(persons=persons, listed=listed)
    for day in set(range(200)) - {58, 65, 72, 79}:  # what is left to their manager
        office.calendar.add("m0@corp.example", span(START + day * DAY, minutes=600))
    said = {one.plan.pair: [s.start for s in one.plan.sessions] for one in office.worker.sweep.preview()}
    while office.worker.sweep.run("one", limit=1):
        pass
    assert said == {one: [s.start for s in office.store.queries.list_sessions(one)] for one in listed}
    assert len({*map(str, said.values())}) == 4
    office.close()


def test_leases_are_given_back_even_when_a_sweep_fails(office: Office) -> None:
    def breaks(operation: str) -> None:
        raise RuntimeError(operation)

    office.calendar.fail = breaks
    with pytest.raises(RuntimeError):
        office.worker.sweep.run("one")
    office.calendar.fail = None
    assert office.worker.sweep.run("two") == 1
    assert len(sessions(office)) == 1


def test_a_sweep_that_was_stopped_for_too_long_writes_nothing_and_holds_nobody(database_url: str) -> None:
    """Its leases ran out while it read; another has planned one of its pairs since. The other pair is free at once."""
    listed = pairs(pair(), pair(KIM, "eve@corp.example"))
    office = Office(database_url, people(DANA, SAM, KIM, "eve@corp.example"), listed)
    other = office.add_worker("other")

    def stall(operation: str) -> None:
        office.calendar.fail = None
        office.clock.advance(10 * MINUTE)
        other.actions.request_talk(PairId(DANA, SAM), Trigger.CHANGE)

    office.calendar.fail = stall
    assert office.worker.sweep.run("one") == 2
    assert [s.adhoc for s in office.store.queries.list_sessions()] == [True], "only what the other wrote"
    assert office.messages() == []
    assert office.worker.sweep.run("two") == 2
    office.close()


def test_there_is_always_a_next_session_the_moment_one_is_held(office: Office) -> None:
    """R-3, T-4."""
    office.tick()
    held = office.hold()
    office.tick()
    following = office.session()
    assert following.booked and following.span.start > held.span.end + 10 * WEEK
    assert [e.span for e in office.events() if e.span.start > office.clock()] == [following.span]
    assert {s.state for s in office.store.queries.list_sessions() if s.kind is SessionKind.CAREER} == {
        SessionState.HELD,
        SessionState.BOOKED,
    }


def test_what_was_held_counts_for_a_week_and_no_longer(office: Office) -> None:
    """One career session a day at most (T-2), and few first ones a week (T-3a): so one of this morning is known to
    whoever plans for the afternoon, and one of Monday to whoever plans for Friday."""
    office.tick()
    held = office.hold()
    for days in (0, 6):
        office.run(days * DAY)
        taken_times = office.store.plans.load_taken_time([DANA], office.clock())[DANA]
        assert (held.span, held.id, True) in [(taken.span, taken.subject, taken.in_turn) for taken in taken_times]
    office.run(DAY)
    assert held.span not in [taken.span for taken in office.store.plans.load_taken_time([DANA], office.clock())[DANA]]


def test_two_who_share_no_working_day_are_told_so_and_keep_nobody_waiting() -> None:
    """T-4: no time exists, so a person is told why; the others are planned in the same sweep."""
    persons = people(DANA, SAM, KIM, "lee@corp.example")
    persons[DANA] = replace(persons[DANA], hours=parse_hours("Mon-Tue 09:00-17:00"))
    persons[SAM] = replace(persons[SAM], hours=parse_hours("Wed-Fri 09:00-17:00"))
    office = Office(persons=persons, listed=pairs(pair(), pair(KIM, "lee@corp.example")))
    office.tick()
    assert office.session(pair_id=PairId(DANA, SAM)).unplaceable
    office.run(2 * DAY + HOUR)
    assert len(office.mails("unplaceable")) == 2, "Sam hears of it on Wednesday (T-16)"
    assert office.session(pair_id=PairId(KIM, "lee@corp.example")).booked
    office.close()


def test_a_pair_that_can_t_be_planned_keeps_no_other_waiting() -> None:
    """Whatever goes wrong with one of them, the operator hears of it once a day, and it is tried again."""
    persons = people(DANA, SAM, KIM, "lee@corp.example")
    odd = pair(every=Interval(weeks=10**6))
    office = Office(persons=persons, listed=pairs(odd, pair(KIM, "lee@corp.example")))
    assert [one.plan.pair for one in office.worker.sweep.preview() if one.plan.problem] == [odd.id]
    assert office.messages() == [], "a dry run writes nothing"
    office.run(5 * HOUR)
    assert office.session(pair_id=PairId(KIM, "lee@corp.example")).booked
    (alert,) = office.mails("operator_alert")
    assert f"Planning {odd.id} failed: OverflowError at cadence.py" in " ".join(texts([alert]).split())
    office.close()


def test_pairs_that_ended_with_leave_of_a_person_are_taken_off_however_many_they_are() -> None:
    """The guard against too many cancels has asked already, when the people file was taken over."""
    persons, listed = company(30)
    office = Office(persons=persons, listed=listed)
    office.tick()
    managers = sorted({one.manager for one in listed.values()})
    assert sum(len(office.events(manager)) for manager in managers) == 30
    office.pairs = dict(list(listed.items())[:2])
    office.apply()
    office.run(HOUR)
    assert sum(len(office.events(manager)) for manager in managers) == 2
    office.close()


def test_what_a_calendar_tells_while_a_change_is_under_way_is_heard_after_it() -> None:
    """T-10: out of office acts at once, or as soon as the event has taken the change before."""
    office = Office()
    office.tick()
    session = office.session()
    wish = span(datetime(2026, 10, 14, 8, tzinfo=UTC), 75)
    office.calendar.fail = Fails(Unavailable, "update", times=1)
    office.worker.actions.defer_session(session.id, wish)
    office.tick()
    office.clock.advance(timedelta(seconds=20))
    office.calendar.add(SAM, Span(wish.start - 6 * HOUR, wish.start + 5 * DAY), show=ShowAs.AWAY)
    office.run(5 * MINUTE)
    assert [d.cause for d in office.store.plans.load([session.pair], office.clock()).states[0].deferrals] == [
        DeferralCause.ASKED,
        DeferralCause.OUT_OF_OFFICE,
    ]
    office.close()


def test_a_check_in_is_looked_at_though_nobody_tells_of_its_day() -> None:
    """T-10: it has no mails that would wake the pair; the report's calendar tells of nothing by itself."""
    office = Office()
    office.tick()
    office.calendar.add(DANA, Span(office.clock(), office.clock() + 3 * DAY))
    one = office.store.queries.get_session(office.worker.actions.request_check_in(pair().id))
    office.tick()
    one = office.store.queries.get_session(one.id) if one else None
    assert one is not None and one.booked
    office.calendar.add(SAM, Span(one.span.start - 6 * HOUR, one.span.start + 10 * DAY), show=ShowAs.AWAY)
    office.calendar.pop_changed_calendars()
    office.run_to(one.span.start)
    again = office.store.queries.get_session(one.id)
    assert again is not None and again.count == 1
    office.close()


def test_a_promise_kept_while_its_block_was_being_made_leaves_no_block() -> None:
    """T-8, R-19."""
    office = Office()
    office.tick()
    held = office.hold()
    other, create = office.add_worker("other"), office.calendar.create

    def slowly(calendar: Address, draft: EventDraft) -> Event:
        made = create(calendar, draft)
        if draft.key.startswith("p"):
            office.calendar.create = create  # type: ignore[method-assign]
            other.contracts.mark_done(draft.key.rpartition(".")[0])
            other.sweep.run("other")
        return made

    office.worker.contracts.record(held.id, contract(office.clock()))
    office.calendar.create = slowly  # type: ignore[method-assign]
    office.run(5 * MINUTE)
    assert not [event for event in office.events() if (event.key or "").startswith("p")]
    office.close()


def test_t4_working_hours_that_are_mended_give_a_time_at_once(database_url: str) -> None:
    nights = {**people(DANA), SAM: person(SAM, hours=parse_hours("Mon-Fri 19:00-23:00"))}
    office = Office(database_url, nights)
    office.tick()
    assert not office.session().booked
    office.run(2 * DAY)
    office.persons[SAM] = person(SAM)
    office.apply()
    office.tick()
    assert office.session().booked
    office.close()


# --- what can't be read ---


def test_a_plan_that_no_key_opens_keeps_no_other_pair_from_being_planned(database_url: str) -> None:
    """T-14: how soon a conversation has to be is sealed; damaged, it stops its own pair, and the operator is told."""
    office = Office(
        database_url,
        people(DANA, SAM, KIM),
        pairs(pair(), pair(report=KIM)),
        known=settings(database_url, operator="ops@corp.example"),
    )
    office.run(DAY + 3 * HOUR)
    office.worker.actions.request_talk(
        PairId(DANA, SAM), Trigger.MOTIVATION, "It has been a long year.", by=Owner.REPORT
    )
    with office.store.database.write() as connection:
        damaged = tables.session.c.sealed_plan.is_not(None)
        assert connection.execute(update(tables.session).where(damaged).values(sealed_plan=b"damaged")).rowcount == 1
    office.store.plans.wake([PairId(DANA, SAM), PairId(DANA, KIM)], office.clock(), reread_free_busy=True)
    assert office.worker.sweep.run("one") == 2
    assert office.worker.sweep.run("one") == 0, "neither is due again at once"
    with office.store.database.read() as connection:
        due = {row[0]: row[1] for row in connection.execute(select(tables.pair.c.id, tables.pair.c.due_at))}
    assert due[PairId(DANA, SAM)] == office.clock() + HOUR
    assert due[PairId(DANA, KIM)] > office.clock() + HOUR
    assert any(str(PairId(DANA, SAM)) in words for _, words in office.store.outbox.list_alerts(START))
    with pytest.raises(WrongKey):
        office.store.plans.load([PairId(DANA, SAM)], office.clock())
    office.close()


def test_t4_the_operator_hears_once_of_two_who_never_work_at_the_same_time() -> None:
    """T-4: both are told that their hours don't overlap; only the operator can correct an hour or a zone."""
    persons = {**people(DANA), SAM: person(SAM, hours=parse_hours("Mon-Fri 19:00-23:00"))}
    office = Office(persons=persons)
    office.run(2 * DAY)
    alerts = [mail for mail in office.mails("operator_alert") if "never work at the same time" in texts([mail])]
    assert len(alerts) == 1
    assert DANA in texts(alerts) and SAM in texts(alerts)
    for mail in office.mails("unplaceable"):
        assert "don’t overlap" in texts([mail])
        assert "meeting less" not in texts([mail])
    office.close()
