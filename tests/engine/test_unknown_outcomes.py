"""Effects that no longer hold, or whose outcome nobody knows: none is done twice, none is lost.

Everything runs on both databases with the whole program around it; time is moved, nothing sleeps.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SAM, Fails, Office, contract, pair, pairs, people, span
from tests.support.effects import LEASE, book_first_session, die_after, get_only_effect, make_uncertain_failure
from worker.domain.model import EffectProgress, PairId, Session, SessionKind
from worker.errors import Forbidden, InvalidResponse, Unavailable

# --- mails that are not true any more, or of which nobody knows ---


def test_a_mail_that_no_longer_holds_is_dropped(office: Office) -> None:
    session = book_first_session(office)
    office.run_to(session.span.start - 6 * DAY)
    office.mailer.fail = Fails(Unavailable, "send")
    office.run_to(session.span.start - 3 * DAY + 3 * HOUR)
    waiting = {m.name for m in office.messages("mail") if m.progress is EffectProgress.WAITING}
    assert {"brief", "reflection_prompt"} <= waiting
    office.decline(session)
    office.tick()
    office.mailer.fail = None
    office.run(2 * HOUR)
    assert len(office.mails("deferral_notice")) == 2  # one to each
    gone = {m.name: m.progress for m in office.messages("mail") if m.start == session.start}
    kept = office.session().span.start - session.span.start <= 14 * DAY  # then it is rendered anew, with the new time
    assert kept or gone["brief"] is gone["reflection_prompt"] is EffectProgress.DROPPED


def test_a_reminder_is_dropped_once_the_contract_is_there(office: Office) -> None:
    session = book_first_session(office)
    office.run_to(session.span.start)
    held = office.hold()
    office.mailer.fail = Fails(Unavailable, "send")
    office.run(30 * HOUR)
    assert [m.progress for m in office.messages("contract_reminder")] == [EffectProgress.WAITING]
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.mailer.fail = None
    office.run(2 * HOUR)
    assert [m.progress for m in office.messages("contract_reminder")] == [EffectProgress.DROPPED]
    assert not office.mails("contract_reminder")
    assert len(office.mails("contract_summary")) == 2


def test_mails_of_a_long_batch_are_true_when_they_leave(database_url: str) -> None:
    """Handing over the first takes a while, and meanwhile the others are deferred once more by another process."""
    couples = [(f"m{n}@corp.example", f"r{n}@corp.example") for n in range(3)]
    everybody = people(*(who for couple in couples for who in couple))
    office = Office(database_url, everybody, pairs(*(pair(*couple) for couple in couples)))
    office.tick()
    other = office.add_worker("other")
    sessions = [s for s in office.store.queries.list_sessions() if s.kind is SessionKind.CAREER]

    def all_are_deferred() -> None:
        for session in sessions:
            other.actions.defer_session(session.id)
        other.sweep.run("other")

    def slowly(operation: str) -> None:
        if operation == "send":
            office.mailer.fail = None
            office.clock.advance(20 * timedelta(seconds=1))
            all_are_deferred()

    all_are_deferred()
    office.worker.outbox.run("one")  # the events move
    office.worker.sweep.run("one")
    office.mailer.fail = slowly
    office.worker.outbox.run("one")
    assert len(office.mails("deferral_notice")) == 1
    first = [m.progress for m in office.messages("deferral_notice") if m.number == 1]
    assert Counter(first) == {EffectProgress.DONE: 1, EffectProgress.DROPPED: 5}
    office.close()


def recorded(office: Office) -> Session:
    book_first_session(office)
    held = office.hold()
    office.tick()
    office.mailer.sent.clear()
    office.worker.contracts.record(held.id, contract(office.clock()))
    return held


@pytest.mark.parametrize("left", [1, 2])
def test_a_summary_of_which_nobody_knows_is_sent_once_more_with_the_same_message_id(office: Office, left: int) -> None:
    """R-15: better twice than never. After the second time the operator is told."""
    office.mailer.forgetful = True
    recorded(office)
    office.mailer.fail = Fails(make_uncertain_failure, "send.done", times=left * 2)
    office.run(HOUR)
    sent = Counter(str(mail["Message-ID"]) for mail in office.mails("contract_summary"))
    assert sorted(sent.values()) == [2, 2]
    ended = EffectProgress.DONE if left == 1 else EffectProgress.UNCERTAIN
    assert [m.progress for m in office.messages("contract_summary")] == [ended] * 2
    told = [m for m in office.messages("operator_alert") if "more:" not in m.key]
    assert len(told) == (0 if left == 1 else 2)
    office.run(HOUR)  # the second is counted when the hour of the first is over
    assert len(office.mails("operator_alert")) == len(told)


def test_other_mails_of_which_nobody_knows_are_left_to_the_operator(office: Office) -> None:
    office.mailer.forgetful = True
    office.mailer.fail = Fails(make_uncertain_failure, "send.done", times=1)
    office.run(DAY)
    assert Counter(m.progress for m in office.messages("introduction")) == {
        EffectProgress.UNCERTAIN: 1,
        EffectProgress.DONE: 1,
    }
    assert len(office.mails("introduction")) == 2, "none was repeated"
    assert len(office.mails("operator_alert")) == 1
    assert [m["key"] for m in office.store.outbox.list_failing_effects()] == [
        m.key for m in office.messages("introduction") if m.progress is EffectProgress.UNCERTAIN
    ]


def test_a_mailer_that_knows_is_asked_when_a_call_times_out(office: Office) -> None:
    """What went out is done; what did not is sent again. Nobody has to be told."""
    office.mailer.fail = Fails(make_uncertain_failure, "send.done", times=1)
    office.run(HOUR)
    assert [m.progress for m in office.messages("introduction")] == [EffectProgress.DONE] * 2
    assert len(office.mails("introduction")) == 2
    office.mailer.fail = Fails(make_uncertain_failure, "send", times=1)
    recorded(office)
    office.run(HOUR)
    assert len(office.mails("contract_summary")) == 2
    assert not office.mails("operator_alert")


@pytest.mark.parametrize("forgetful", [True, False])
def test_a_mail_lost_in_a_crash_is_not_sent_twice(office: Office, forgetful: bool) -> None:
    office.mailer.forgetful = forgetful
    die_after(office, "send")
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert len(office.mails("introduction")) == 2
    lost = [m for m in office.messages("introduction") if m.progress is EffectProgress.UNCERTAIN]
    assert len(lost) == len(office.mails("operator_alert")) == (1 if forgetful else 0)


@pytest.mark.parametrize(("forgetful", "known"), [(False, EffectProgress.DONE), (True, EffectProgress.UNCERTAIN)])
def test_a_mail_that_went_out_in_a_crash_went_out_though_it_holds_no_more(
    office: Office, forgetful: bool, known: EffectProgress
) -> None:
    """What is dropped was never sent: the record says what reached people, or that nobody knows."""
    office.mailer.forgetful = forgetful
    die_after(office, "send")
    assert len(office.mails("introduction")) == 1
    office.store.people.set_paused(PairId(DANA, SAM), is_paused=True, now=office.clock())
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert len(office.mails("introduction")) == 1
    assert {m.progress for m in office.messages("introduction")} == {known, EffectProgress.DROPPED}


# --- events of which nobody heard ---


def test_an_event_made_in_a_crash_is_found_again(office: Office) -> None:
    """It carries its key: however late it is, it is the one, and no second is made."""
    die_after(office, "create")
    assert len(office.events()) == 1
    office.clock.advance(HOUR)
    office.tick()
    session = office.session()
    assert [(event.key, event.span) for event in office.events()] == [(session.key, session.span)]
    assert get_only_effect(office, "event.create").progress is EffectProgress.DONE
    assert len(office.history("event.create")) == 1


def test_an_event_made_in_a_crash_and_moved_since_stays_where_it_was_moved(office: Office) -> None:
    """R-9: the hand that moved it counts, though nobody had written down yet that there was an event."""
    die_after(office, "create")
    session = office.session()
    wish = span(session.span.start + DAY + HOUR, 75)
    office.calendar.move(DANA, session.key, wish)
    office.clock.advance(HOUR)
    office.tick()
    assert (office.session().span, office.session().by_hand, office.session().count) == (wish, True, 0)
    assert [event.span for event in office.events()] == [wish]


def test_an_event_made_in_a_crash_and_not_wanted_since_is_taken_off(office: Office) -> None:
    die_after(office, "create")
    office.store.people.set_paused(PairId(DANA, SAM), is_paused=True, now=office.clock())
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert office.events() == []
    assert not [m for m in office.messages() if m.is_live]


def test_an_update_made_in_a_crash_is_not_taken_for_a_hand_move(office: Office) -> None:
    session = book_first_session(office)
    office.decline(session)
    die_after(office, "update")
    moved = office.session()
    assert office.events()[0].span == moved.span != session.span
    office.store.calendars.make_due([DANA], office.clock())
    office.worker.sync.run("other")  # reads our own change before anybody wrote down that we made it
    office.clock.advance(LEASE)
    office.run(HOUR)
    now = office.session()
    assert (now.span, now.by_hand, now.count) == (moved.span, False, 1)
    assert get_only_effect(office, "event.update").progress is EffectProgress.DONE
    assert [event.span for event in office.events()] == [now.span]


def test_a_cancel_made_in_a_crash_is_over(office: Office) -> None:
    book_first_session(office)
    office.store.people.set_paused(PairId(DANA, SAM), is_paused=True, now=office.clock())
    die_after(office, "cancel")
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert office.events() == [] and not [m for m in office.messages() if m.is_live]


@pytest.mark.parametrize("error", [InvalidResponse, Forbidden])
def test_an_event_made_by_a_call_that_was_refused_is_taken_off(
    daily_office: Office, error: Callable[[], Forbidden]
) -> None:
    """The service made it, and said that it did not. The next look at the calendar shows it."""
    daily_office.calendar.fail = Fails(error, "create.done", times=1)
    daily_office.run(2 * DAY)
    session = daily_office.session()
    assert [(event.key, event.span) for event in daily_office.events()] == [(session.key, session.span)]
    assert session.count == 0


def test_two_at_once_make_one_event(office: Office) -> None:
    """One stalls in its call for longer than its lease; another takes over. Either way there is one, told once."""
    other = office.add_worker(office.worker.holder)

    def stall(operation: str) -> None:
        if operation == "create":
            office.calendar.fail = None
            office.clock.advance(4 * MINUTE)
            other.tick()
            assert not other.store.outbox.claim(office.clock(), "third", office.clock() + LEASE, 10)
            office.clock.advance(MINUTE)
            other.tick()

    office.calendar.fail = stall
    office.tick()
    office.run(HOUR)
    assert len(office.events()) == len(office.history("event.create")) == 1
    assert office.events()[0].span == office.session().span


def test_a_thread_that_was_too_slow_does_not_go_on_with_what_another_has_taken_over(office: Office) -> None:
    """Several tasks of one process are as strange to each other as several machines."""
    taken: list[str] = []

    def stall(operation: str) -> None:
        if operation == "send":
            office.mailer.fail = None
            office.clock.advance(2 * LEASE)
            claimed = office.store.outbox.claim(office.clock(), office.worker.holder, office.clock() + LEASE, 10)
            taken.extend(one.effect.key for one in claimed)

    office.worker.sweep.run("one")
    office.mailer.fail = stall
    office.worker.outbox.run(office.worker.holder)
    assert len(taken) == 2
    assert len(office.mails("introduction")) == 1, "the second was in somebody else's hands by then"
    assert {m.progress for m in office.messages("introduction")} == {EffectProgress.SENDING, EffectProgress.CLAIMED}
