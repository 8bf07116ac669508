"""What becomes of an effect that was tried, and how old a decision may be when it is carried out."""

from datetime import timedelta

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, effect_of
from worker.domain.model import Effect, EffectKind, EffectProgress, Outcome
from worker.domain.planning.planner import GIVE_UP_AFTER, MAX_SNAPSHOT_AGE, TELL_OPERATOR_AFTER, is_fresh, settle_effect

SECOND = timedelta(seconds=1)


def event(attempts: int = 1, what: EffectKind = EffectKind.CREATE, key: str = "event.create:c1.1") -> Effect:
    return effect_of(kind=what, event="c1.1", key=key, attempts=attempts)


def mail(name: str = "brief", attempts: int = 1) -> Effect:
    return effect_of(name, attempts=attempts)


@pytest.mark.parametrize("message", [event(), mail()])
def test_what_was_done_is_done(message: Effect) -> None:
    settled = settle_effect(message, Outcome.DONE, NOW)
    assert (settled.progress, settled.due_at, settled.needs_replanning, settled.alerts_operator) == (
        EffectProgress.DONE,
        None,
        False,
        False,
    )


@pytest.mark.parametrize("message", [event(), mail()])
def test_what_is_no_longer_true_is_dropped_and_planned_again(message: Effect) -> None:
    """Nothing is lost by dropping: the next plan reads what is really there."""
    settled = settle_effect(message, Outcome.STALE, NOW)
    assert (settled.progress, settled.needs_replanning, settled.alerts_operator) == (
        EffectProgress.DROPPED,
        True,
        False,
    )


@pytest.mark.parametrize("message", [event(), mail(), event(GIVE_UP_AFTER + 1)])
def test_what_is_refused_for_good_is_told_to_the_operator_and_planned_again(message: Effect) -> None:
    """A permanent failure ends the message and makes its pair due."""
    settled = settle_effect(message, Outcome.PERMANENT, NOW)
    assert (settled.progress, settled.needs_replanning, settled.alerts_operator) == (EffectProgress.DEAD, True, True)


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (59, 60)]
)
@pytest.mark.parametrize("outcome", [Outcome.TRANSIENT, Outcome.UNCERTAIN])
def test_what_may_work_later_is_tried_later_and_later(outcome: Outcome, attempts: int, minutes: int) -> None:
    """1, 2, 4, … minutes, up to an hour; an event of unknown fate is looked for by its key before it is repeated."""
    settled = settle_effect(event(attempts), outcome, NOW)
    assert settled.progress is EffectProgress.WAITING
    assert settled.due_at is not None
    assert minutes * MINUTE <= settled.due_at - NOW < minutes * MINUTE + 20 * SECOND
    assert not settled.needs_replanning


def test_many_that_fail_together_do_not_come_back_together() -> None:
    """A service that was away is not met by everybody at the same second."""
    found = {settle_effect(event(key=f"event.create:c{n}.1"), Outcome.TRANSIENT, NOW).due_at for n in range(40)}
    assert len(found) > 8


@pytest.mark.parametrize(("asked", "waited"), [(30 * MINUTE, 30 * MINUTE), (5 * HOUR, 5 * HOUR)])
def test_a_service_that_says_how_long_is_left_alone_so_long(asked: timedelta, waited: timedelta) -> None:
    assert settle_effect(event(), Outcome.TRANSIENT, NOW, asked).due_at == NOW + waited


def test_a_service_that_asks_for_less_is_not_asked_sooner() -> None:
    settled = settle_effect(event(7), Outcome.TRANSIENT, NOW, SECOND)
    assert settled.due_at is not None
    assert settled.due_at >= NOW + HOUR


def test_the_operator_hears_once_of_what_fails_again_and_again() -> None:
    told = [settle_effect(event(n), Outcome.TRANSIENT, NOW).alerts_operator for n in range(1, GIVE_UP_AFTER)]
    assert [n for n, each in enumerate(told, start=1) if each] == [TELL_OPERATOR_AFTER]


@pytest.mark.parametrize("message", [event(GIVE_UP_AFTER), mail(attempts=GIVE_UP_AFTER)])
def test_after_days_of_trying_it_is_given_up_and_told(message: Effect) -> None:
    """The pair is planned again, so what is owed stays owed (R-8)."""
    settled = settle_effect(message, Outcome.TRANSIENT, NOW)
    assert (settled.progress, settled.needs_replanning, settled.alerts_operator) == (EffectProgress.DEAD, True, True)


def test_it_is_tried_for_at_least_two_days_before_it_is_given_up() -> None:
    waits = [settle_effect(event(n), Outcome.TRANSIENT, NOW).due_at for n in range(1, GIVE_UP_AFTER)]
    assert sum((due - NOW for due in waits if due), timedelta()) >= 2 * DAY


def test_some_are_sent_once_more_when_nobody_knows() -> None:
    """With its Message-ID, so that a mail program shows one; and then it is for a human to see."""
    once = settle_effect(mail(attempts=1), Outcome.UNCERTAIN, NOW, resend=True)
    assert (once.progress, once.due_at) == (EffectProgress.WAITING, NOW)
    twice = settle_effect(mail(attempts=2), Outcome.UNCERTAIN, NOW, resend=True)
    assert (twice.progress, twice.alerts_operator) == (EffectProgress.UNCERTAIN, True)


def test_other_mails_of_unknown_fate_are_not_repeated() -> None:
    """Twice the same mail is worse than a human who looks."""
    settled = settle_effect(mail(), Outcome.UNCERTAIN, NOW)
    assert (settled.progress, settled.alerts_operator, settled.due_at) == (EffectProgress.UNCERTAIN, True, None)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("attempts", [1, 2, TELL_OPERATOR_AFTER, GIVE_UP_AFTER])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("base", [event(), event(what=EffectKind.CANCEL), mail()])
def test_every_ending_is_an_end_or_has_its_next_time(
    base: Effect, resend: bool, attempts: int, outcome: Outcome
) -> None:
    """No message ever waits for nothing."""
    message = effect_of(base.name, kind=base.kind, key=base.key, attempts=attempts)
    settled = settle_effect(message, outcome, NOW, resend=resend)
    assert (settled.due_at is not None) == (settled.progress is EffectProgress.WAITING)
    assert settled.due_at is None or settled.due_at >= NOW


# --- how old a decision may be ---


@pytest.mark.parametrize(
    ("age", "expected"), [(timedelta(), True), (MAX_SNAPSHOT_AGE, True), (MAX_SNAPSHOT_AGE + SECOND, False)]
)
def test_a_create_is_planned_again_when_its_snapshot_is_old(age: timedelta, expected: bool) -> None:
    """Five minutes after the world was read the hour may be gone."""
    assert is_fresh(event(), NOW + age) is expected
    assert timedelta(minutes=5) == MAX_SNAPSHOT_AGE


@pytest.mark.parametrize("what", [EffectKind.UPDATE, EffectKind.CANCEL])
def test_changes_to_what_stands_there_do_not_grow_old(what: EffectKind) -> None:
    """They carry the version they expect."""
    assert is_fresh(event(what=what), NOW + 3 * DAY)
