"""What becomes of an effect that was tried (DESIGN section 5), and how old a decision may be when it is carried out."""

from datetime import timedelta

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, message_of
from worker.domain.model import Message, Outcome, Progress, What
from worker.domain.planning.planner import FRESH, GIVE_UP_AFTER, TELL_AFTER, fresh, settle

SECOND = timedelta(seconds=1)


def event(attempts: int = 1, what: What = What.CREATE, key: str = "event.create:c1.1") -> Message:
    return message_of(what=what, event="c1.1", key=key, attempts=attempts)


def mail(name: str = "brief", attempts: int = 1) -> Message:
    return message_of(name, attempts=attempts)


@pytest.mark.parametrize("message", [event(), mail()])
def test_what_was_done_is_done(message: Message) -> None:
    settled = settle(message, Outcome.DONE, NOW)
    assert (settled.progress, settled.due_at, settled.replan, settled.tell_operator) == (
        Progress.DONE,
        None,
        False,
        False,
    )


@pytest.mark.parametrize("message", [event(), mail()])
def test_what_is_no_longer_true_is_dropped_and_planned_again(message: Message) -> None:
    """Nothing is lost by dropping: the next plan reads what is really there."""
    settled = settle(message, Outcome.STALE, NOW)
    assert (settled.progress, settled.replan, settled.tell_operator) == (Progress.DROPPED, True, False)


@pytest.mark.parametrize("message", [event(), mail(), event(GIVE_UP_AFTER + 1)])
def test_what_is_refused_for_good_is_told_to_the_operator_and_planned_again(message: Message) -> None:
    """A permanent failure ends the message and makes its pair due."""
    settled = settle(message, Outcome.PERMANENT, NOW)
    assert (settled.progress, settled.replan, settled.tell_operator) == (Progress.DEAD, True, True)


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (59, 60)]
)
@pytest.mark.parametrize("outcome", [Outcome.TRANSIENT, Outcome.UNCERTAIN])
def test_what_may_work_later_is_tried_later_and_later(outcome: Outcome, attempts: int, minutes: int) -> None:
    """1, 2, 4, … minutes, up to an hour; an event of unknown fate is looked for by its key before it is repeated."""
    settled = settle(event(attempts), outcome, NOW)
    assert settled.progress is Progress.WAITING
    assert settled.due_at is not None
    assert minutes * MINUTE <= settled.due_at - NOW < minutes * MINUTE + 20 * SECOND
    assert not settled.replan


def test_many_that_fail_together_do_not_come_back_together() -> None:
    """A service that was away is not met by everybody at the same second."""
    found = {settle(event(key=f"event.create:c{n}.1"), Outcome.TRANSIENT, NOW).due_at for n in range(40)}
    assert len(found) > 8


@pytest.mark.parametrize(("asked", "waited"), [(30 * MINUTE, 30 * MINUTE), (5 * HOUR, 5 * HOUR)])
def test_a_service_that_says_how_long_is_left_alone_so_long(asked: timedelta, waited: timedelta) -> None:
    assert settle(event(), Outcome.TRANSIENT, NOW, asked).due_at == NOW + waited


def test_a_service_that_asks_for_less_is_not_asked_sooner() -> None:
    settled = settle(event(7), Outcome.TRANSIENT, NOW, SECOND)
    assert settled.due_at is not None
    assert settled.due_at >= NOW + HOUR


def test_the_operator_hears_once_of_what_fails_again_and_again() -> None:
    told = [settle(event(n), Outcome.TRANSIENT, NOW).tell_operator for n in range(1, GIVE_UP_AFTER)]
    assert [n for n, each in enumerate(told, start=1) if each] == [TELL_AFTER]


@pytest.mark.parametrize("message", [event(GIVE_UP_AFTER), mail(attempts=GIVE_UP_AFTER)])
def test_after_days_of_trying_it_is_given_up_and_told(message: Message) -> None:
    """The pair is planned again, so what is owed stays owed (R-8)."""
    settled = settle(message, Outcome.TRANSIENT, NOW)
    assert (settled.progress, settled.replan, settled.tell_operator) == (Progress.DEAD, True, True)


def test_it_is_tried_for_at_least_two_days_before_it_is_given_up() -> None:
    waits = [settle(event(n), Outcome.TRANSIENT, NOW).due_at for n in range(1, GIVE_UP_AFTER)]
    assert sum((due - NOW for due in waits if due), timedelta()) >= 2 * DAY


def test_some_are_sent_once_more_when_nobody_knows() -> None:
    """With its Message-ID, so that a mail program shows one; and then it is for a human to see."""
    once = settle(mail(attempts=1), Outcome.UNCERTAIN, NOW, resend=True)
    assert (once.progress, once.due_at) == (Progress.WAITING, NOW)
    twice = settle(mail(attempts=2), Outcome.UNCERTAIN, NOW, resend=True)
    assert (twice.progress, twice.tell_operator) == (Progress.UNCERTAIN, True)


def test_other_mails_of_unknown_fate_are_not_repeated() -> None:
    """Twice the same mail is worse than a human who looks."""
    settled = settle(mail(), Outcome.UNCERTAIN, NOW)
    assert (settled.progress, settled.tell_operator, settled.due_at) == (Progress.UNCERTAIN, True, None)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("attempts", [1, 2, TELL_AFTER, GIVE_UP_AFTER])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("base", [event(), event(what=What.CANCEL), mail()])
def test_every_ending_is_an_end_or_has_its_next_time(
    base: Message, resend: bool, attempts: int, outcome: Outcome
) -> None:
    """No message ever waits for nothing."""
    message = message_of(base.name, what=base.what, key=base.key, attempts=attempts)
    settled = settle(message, outcome, NOW, resend=resend)
    assert (settled.due_at is not None) == (settled.progress is Progress.WAITING)
    assert settled.due_at is None or settled.due_at >= NOW


# --- how old a decision may be ---


@pytest.mark.parametrize(("age", "expected"), [(timedelta(), True), (FRESH, True), (FRESH + SECOND, False)])
def test_a_create_is_planned_again_when_its_snapshot_is_old(age: timedelta, expected: bool) -> None:
    """Five minutes after the world was read the hour may be gone."""
    assert fresh(event(), NOW + age) is expected
    assert timedelta(minutes=5) == FRESH


@pytest.mark.parametrize("what", [What.UPDATE, What.CANCEL])
def test_changes_to_what_stands_there_do_not_grow_old(what: What) -> None:
    """They carry the version they expect."""
    assert fresh(event(what=what), NOW + 3 * DAY)
