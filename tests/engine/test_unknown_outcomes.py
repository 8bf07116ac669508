"""Effects that are no longer valid, or whose outcome is unknown: none is lost, and none is performed twice.

The whole program runs on a database, with services in memory. The tests move the clock.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    SAM,
    SECOND,
    Fails,
    Office,
    contract,
    pair,
    pairs,
    people,
    span,
)
from tests.support.effects import LEASE, book_first_session, die_after, get_only_effect, make_uncertain_failure
from worker.domain.model import EffectProgress, PairId, Session, SessionKind, Span
from worker.engine.outbox import MAX_CONTEXT_AGE
from worker.errors import Forbidden, InvalidResponse, Unavailable

# --- mails that are no longer valid, or whose outcome is unknown ---


def test_preparation_mails_are_dropped_when_their_session_gets_a_much_later_time(office: Office) -> None:
    session = book_first_session(office)
    office.run_to(session.span.start - 6 * DAY)
    office.mailer.fail = Fails(Unavailable, "send")
    office.run_to(session.span.start - 3 * DAY + 3 * HOUR)
    waiting = {effect.name for effect in office.effects("mail") if effect.progress is EffectProgress.WAITING}
    assert {"brief", "reflection_prompt"} <= waiting
    office.decline(session)
    # up to 14 days later, the mails would remain valid and show the new time
    office.calendar.add(DANA, Span(office.clock(), session.span.start + 15 * DAY))
    office.tick()
    office.mailer.fail = None
    office.run(2 * HOUR)
    assert office.session().span.start - session.span.start > 14 * DAY
    assert len(office.mails("deferral_notice")) == 2  # one mail to each
    progress = {effect.name: effect.progress for effect in office.effects("mail") if effect.start == session.start}
    assert progress["brief"] is progress["reflection_prompt"] is EffectProgress.DROPPED
    assert not office.mails("brief") and not office.mails("reflection_prompt")


def test_a_contract_reminder_is_dropped_when_the_contract_is_recorded(office: Office) -> None:
    session = book_first_session(office)
    office.run_to(session.span.start)
    held = office.hold()
    office.mailer.fail = Fails(Unavailable, "send")
    office.run(30 * HOUR)
    assert [effect.progress for effect in office.effects("contract_reminder")] == [EffectProgress.WAITING]
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.mailer.fail = None
    office.run(2 * HOUR)
    assert [effect.progress for effect in office.effects("contract_reminder")] == [EffectProgress.DROPPED]
    assert not office.mails("contract_reminder")
    assert len(office.mails("contract_summary")) == 2


def test_a_mail_of_a_slow_batch_is_checked_again_before_it_is_sent(database_url: str) -> None:
    """Sending the first mail takes longer than the data of a batch may be used (MAX_CONTEXT_AGE). Meanwhile another
    process defers all sessions again."""
    addresses = [(f"m{n}@corp.example", f"r{n}@corp.example") for n in range(3)]
    persons = people(*(address for two_people in addresses for address in two_people))
    office = Office(database_url, persons, pairs(*(pair(*two_people) for two_people in addresses)))
    office.tick()
    other = office.add_worker("other")
    sessions = [s for s in office.store.queries.list_sessions() if s.kind is SessionKind.CAREER]

    def defer_all() -> None:
        for session in sessions:
            other.actions.request_another_time(session.id)
        other.sweep.run(holder="other")

    def send_slowly(operation: str) -> None:
        if operation == "send":
            office.mailer.fail = None
            office.clock.advance(MAX_CONTEXT_AGE + 5 * SECOND)
            defer_all()

    defer_all()
    office.worker.outbox.run(holder="one")  # the events get their new times
    office.worker.sweep.run(holder="one")
    office.mailer.fail = send_slowly
    office.worker.outbox.run(holder="one")
    assert len(office.mails("deferral_notice")) == 1
    first_notices = [
        effect for effect in office.effects("deferral_notice") if effect.number == 1
    ]  # of the first deferral
    # each of the three pairs has two, one to each person
    assert Counter(notice.progress for notice in first_notices) == {EffectProgress.DONE: 1, EffectProgress.DROPPED: 5}
    office.close()


def record_contract(office: Office) -> Session:
    """Hold the first session, record its contract, and forget all mails so far; return the session."""
    book_first_session(office)
    session = office.hold()
    office.tick()
    office.mailer.sent.clear()
    office.worker.contracts.record(session.id, contract(office.clock()))
    return session


@pytest.mark.parametrize("uncertain_sends", [1, 2])
def test_a_summary_with_unknown_outcome_is_sent_once_more_with_the_same_message_id(
    office: Office, uncertain_sends: int
) -> None:
    """R-15: a summary may arrive twice, but must arrive. After a second unknown outcome the operator gets an
    alert."""
    office.mailer.forgetful = True  # the mail service can't say whether it has sent a mail
    record_contract(office)
    office.mailer.fail = Fails(make_uncertain_failure, "send.done", times=uncertain_sends * 2)  # for both
    office.run(HOUR)
    counts = Counter(str(mail["Message-ID"]) for mail in office.mails("contract_summary"))
    assert sorted(counts.values()) == [2, 2]
    final_progress = EffectProgress.DONE if uncertain_sends == 1 else EffectProgress.UNCERTAIN
    assert [effect.progress for effect in office.effects("contract_summary")] == [final_progress] * 2
    alerts = [effect for effect in office.effects("operator_alert") if "more:" not in effect.key]  # without digests
    assert len(alerts) == (0 if uncertain_sends == 1 else 2)
    office.run(HOUR)  # the digest of the hour leaves, which lists the second alert
    assert len(office.mails("operator_alert")) == len(alerts)


def test_another_mail_with_unknown_outcome_is_not_repeated_and_alerts_the_operator(office: Office) -> None:
    office.mailer.forgetful = True
    office.mailer.fail = Fails(make_uncertain_failure, "send.done", times=1)
    office.run(DAY)
    assert Counter(effect.progress for effect in office.effects("introduction")) == {
        EffectProgress.UNCERTAIN: 1,
        EffectProgress.DONE: 1,
    }
    assert len(office.mails("introduction")) == 2, "an introduction was repeated"
    assert len(office.mails("operator_alert")) == 1
    assert [row["key"] for row in office.store.outbox.list_failing_effects()] == [
        effect.key for effect in office.effects("introduction") if effect.progress is EffectProgress.UNCERTAIN
    ]


def test_after_a_timeout_the_mailer_tells_whether_the_mail_was_sent(office: Office) -> None:
    """A mail that was sent is done, and a mail that was not sent is sent again. Neither causes an alert."""
    office.mailer.fail = Fails(make_uncertain_failure, "send.done", times=1)
    office.run(HOUR)
    assert [effect.progress for effect in office.effects("introduction")] == [EffectProgress.DONE] * 2
    assert len(office.mails("introduction")) == 2
    office.mailer.fail = Fails(make_uncertain_failure, "send", times=1)
    record_contract(office)
    office.run(HOUR)
    assert len(office.mails("contract_summary")) == 2
    assert not office.mails("operator_alert")


@pytest.mark.parametrize("forgetful", [True, False])
def test_a_mail_sent_before_a_crash_is_not_sent_twice(office: Office, forgetful: bool) -> None:
    office.mailer.forgetful = forgetful
    die_after(office, "send")
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert len(office.mails("introduction")) == 2
    uncertain_mails = [
        effect for effect in office.effects("introduction") if effect.progress is EffectProgress.UNCERTAIN
    ]
    assert len(uncertain_mails) == len(office.mails("operator_alert")) == (1 if forgetful else 0)


@pytest.mark.parametrize(("forgetful", "progress"), [(False, EffectProgress.DONE), (True, EffectProgress.UNCERTAIN)])
def test_a_mail_sent_before_a_crash_is_not_dropped_when_its_pair_is_paused(
    office: Office, forgetful: bool, progress: EffectProgress
) -> None:
    """A dropped mail was never sent. This mail is recorded as sent, or as uncertain when the mailer keeps no
    record."""
    office.mailer.forgetful = forgetful
    die_after(office, "send")
    assert len(office.mails("introduction")) == 1
    office.store.people.set_paused(PairId(DANA, SAM), is_paused=True, now=office.clock())
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert len(office.mails("introduction")) == 1
    assert {effect.progress for effect in office.effects("introduction")} == {progress, EffectProgress.DROPPED}


# --- events that were written and not recorded ---


def test_an_event_created_before_a_crash_is_recorded_and_not_created_again(office: Office) -> None:
    """The event has the key of the session, so it is recognized even after an hour."""
    die_after(office, "create")
    assert len(office.events()) == 1
    office.clock.advance(HOUR)
    office.tick()
    session = office.session()
    assert [(event.key, event.span) for event in office.events()] == [(session.key, session.span)]
    assert get_only_effect(office, "event.create").progress is EffectProgress.DONE
    assert len(office.history("event.create")) == 1


def test_an_event_created_before_a_crash_keeps_the_time_of_a_hand_move(office: Office) -> None:
    """R-9: the move counts, although the event was not recorded when it was moved."""
    die_after(office, "create")
    session = office.session()
    new_span = span(session.span.start + DAY + HOUR, session.minutes)
    office.calendar.move(DANA, session.key, new_span)
    office.clock.advance(HOUR)
    office.tick()
    assert (office.session().span, office.session().by_hand, office.session().count) == (new_span, True, 0)
    assert [event.span for event in office.events()] == [new_span]


def test_an_event_created_before_a_crash_is_cancelled_when_its_pair_is_paused(office: Office) -> None:
    die_after(office, "create")
    office.store.people.set_paused(PairId(DANA, SAM), is_paused=True, now=office.clock())
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert office.events() == []
    assert not [effect for effect in office.effects() if effect.is_pending]


def test_an_update_before_a_crash_does_not_count_as_a_hand_move(office: Office) -> None:
    session = book_first_session(office)
    office.decline(session)
    die_after(office, "update")
    moved = office.session()
    assert office.events()[0].span == moved.span != session.span
    office.store.calendars.make_due([DANA], office.clock())
    office.worker.sync.run(holder="other")  # reads our own change before it is recorded as ours
    office.clock.advance(LEASE)
    office.run(HOUR)
    settled = office.session()
    assert (settled.span, settled.by_hand, settled.count) == (moved.span, False, 1)
    assert get_only_effect(office, "event.update").progress is EffectProgress.DONE
    assert [event.span for event in office.events()] == [settled.span]


def test_a_cancel_before_a_crash_is_not_left_unfinished(office: Office) -> None:
    book_first_session(office)
    office.store.people.set_paused(PairId(DANA, SAM), is_paused=True, now=office.clock())
    die_after(office, "cancel")
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert office.events() == [] and not [effect for effect in office.effects() if effect.is_pending]


@pytest.mark.parametrize("error", [InvalidResponse, Forbidden])
def test_an_event_created_by_a_refused_call_is_removed(daily_office: Office, error: Callable[[], Forbidden]) -> None:
    """The service creates the event and answers with an error. The next poll of the calendar finds the event."""
    daily_office.calendar.fail = Fails(error, "create.done", times=1)
    daily_office.run(2 * DAY)
    session = daily_office.session()
    assert [(event.key, event.span) for event in daily_office.events()] == [(session.key, session.span)]
    assert session.count == 0


def test_two_workers_create_one_event(office: Office) -> None:
    """One worker's call takes longer than its lease, and the other worker takes the effect over. The history has one
    entry."""
    other = office.add_worker(office.worker.holder)

    def stall(operation: str) -> None:
        if operation == "create":
            office.calendar.fail = None
            office.clock.advance(LEASE - MINUTE)
            other.tick()
            assert not other.store.outbox.claim(office.clock(), "third", office.clock() + LEASE, limit=10)
            office.clock.advance(MINUTE)
            other.tick()

    office.calendar.fail = stall
    office.tick()
    office.run(HOUR)
    assert len(office.events()) == len(office.history("event.create")) == 1
    assert office.events()[0].span == office.session().span


def test_a_slow_run_leaves_effects_that_another_run_has_claimed(office: Office) -> None:
    """This also holds for two runs of the same process, which have the same holder."""
    claimed_keys: list[str] = []

    def stall(operation: str) -> None:
        if operation == "send":
            office.mailer.fail = None
            office.clock.advance(2 * LEASE)
            claimed_effects = office.store.outbox.claim(
                office.clock(), office.worker.holder, office.clock() + LEASE, limit=10
            )
            claimed_keys.extend(claimed.effect.key for claimed in claimed_effects)

    office.worker.sweep.run(holder="one")
    office.mailer.fail = stall
    office.worker.outbox.run(office.worker.holder)
    assert len(claimed_keys) == 2
    assert len(office.mails("introduction")) == 1  # the other run has claimed the second mail
    assert {effect.progress for effect in office.effects("introduction")} == {
        EffectProgress.SENDING,
        EffectProgress.CLAIMED,
    }
