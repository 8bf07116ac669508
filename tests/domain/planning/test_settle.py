"""How an effect is settled after an attempt, and how long ago the creation of an event may have been decided."""

from datetime import timedelta

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, effect_of
from worker.domain.model import Effect, EffectKind, EffectProgress, Outcome
from worker.domain.planning.planner import GIVE_UP_AFTER, MAX_DECISION_AGE, TELL_OPERATOR_AFTER, is_fresh, settle_effect

SECOND = timedelta(seconds=1)
#: The wait after an attempt is longer by less than this, by a time that follows from the effect's key.
SPREAD = 20 * SECOND


def make_event_effect(
    attempts: int = 1, kind: EffectKind = EffectKind.CREATE, key: str = "event.create:c1.1"
) -> Effect:
    """Return an effect on the event c1.1; `key` identifies the effect in the outbox."""
    return effect_of(kind=kind, event="c1.1", key=key, attempts=attempts)


def make_mail(name: str = "brief", attempts: int = 1) -> Effect:
    return effect_of(name, attempts=attempts)


@pytest.mark.parametrize("effect", [make_event_effect(), make_mail()])
def test_effect_with_outcome_done_is_settled_as_done(effect: Effect) -> None:
    settled = settle_effect(effect, Outcome.DONE, NOW)
    assert (settled.progress, settled.due_at, settled.needs_replanning, settled.alerts_operator) == (
        EffectProgress.DONE,
        None,
        False,
        False,
    )


@pytest.mark.parametrize("effect", [make_event_effect(), make_mail()])
def test_stale_effect_is_dropped_and_its_pair_is_planned_again(effect: Effect) -> None:
    """Nothing is lost: the next plan reads what is on the calendar."""
    settled = settle_effect(effect, Outcome.STALE, NOW)
    assert (settled.progress, settled.needs_replanning, settled.alerts_operator) == (
        EffectProgress.DROPPED,
        True,
        False,
    )


@pytest.mark.parametrize("effect", [make_event_effect(), make_mail(), make_event_effect(attempts=GIVE_UP_AFTER + 1)])
def test_permanent_failure_makes_the_effect_dead_and_alerts_the_operator(effect: Effect) -> None:
    """The pair is planned again."""
    settled = settle_effect(effect, Outcome.PERMANENT, NOW)
    assert (settled.progress, settled.needs_replanning, settled.alerts_operator) == (EffectProgress.DEAD, True, True)


@pytest.mark.parametrize(
    ("attempts", "pause_minutes"),
    [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (GIVE_UP_AFTER - 1, 60)],
)
@pytest.mark.parametrize("outcome", [Outcome.TRANSIENT, Outcome.UNCERTAIN])
def test_failed_attempt_is_repeated_after_growing_pauses(outcome: Outcome, attempts: int, pause_minutes: int) -> None:
    """After 1, 2, 4 minutes and so on, up to an hour."""
    settled = settle_effect(make_event_effect(attempts=attempts), outcome, NOW)
    assert settled.progress is EffectProgress.WAITING
    assert settled.due_at is not None
    assert pause_minutes * MINUTE <= settled.due_at - NOW < pause_minutes * MINUTE + SPREAD
    assert not settled.needs_replanning


def test_effects_that_fail_together_are_repeated_at_different_times() -> None:
    """A service that recovers does not get all attempts at once."""
    due_times = {
        settle_effect(make_event_effect(key=f"event.create:c{n}.1"), Outcome.TRANSIENT, NOW).due_at for n in range(40)
    }
    assert len(due_times) > 8  # whole seconds below SPREAD: at most 20 different times


@pytest.mark.parametrize("retry_after", [30 * MINUTE, 5 * HOUR])
def test_next_attempt_waits_as_long_as_the_service_asks(retry_after: timedelta) -> None:
    assert settle_effect(make_event_effect(), Outcome.TRANSIENT, NOW, retry_after).due_at == NOW + retry_after


def test_shorter_pause_that_the_service_asks_for_does_not_bring_the_attempt_forward() -> None:
    seventh_attempt = make_event_effect(attempts=7)  # the pause after it is an hour
    settled = settle_effect(seventh_attempt, Outcome.TRANSIENT, NOW, retry_after=SECOND)
    assert settled.due_at is not None
    assert settled.due_at >= NOW + HOUR


def test_repeated_failures_alert_the_operator_once() -> None:
    alerts = [
        settle_effect(make_event_effect(attempts=n), Outcome.TRANSIENT, NOW).alerts_operator
        for n in range(1, GIVE_UP_AFTER)
    ]
    assert [n for n, is_alert in enumerate(alerts, start=1) if is_alert] == [TELL_OPERATOR_AFTER]


@pytest.mark.parametrize("effect", [make_event_effect(attempts=GIVE_UP_AFTER), make_mail(attempts=GIVE_UP_AFTER)])
def test_effect_is_dead_after_the_last_attempt_and_alerts_the_operator(effect: Effect) -> None:
    """R-8: the pair is planned again, so that an owed session stays owed."""
    settled = settle_effect(effect, Outcome.TRANSIENT, NOW)
    assert (settled.progress, settled.needs_replanning, settled.alerts_operator) == (EffectProgress.DEAD, True, True)


def test_attempts_go_on_for_at_least_two_days() -> None:
    due_times = [
        settle_effect(make_event_effect(attempts=n), Outcome.TRANSIENT, NOW).due_at for n in range(1, GIVE_UP_AFTER)
    ]
    assert sum((due - NOW for due in due_times if due), timedelta()) >= 2 * DAY


def test_mail_of_uncertain_outcome_that_may_be_resent_is_sent_once_more() -> None:
    """The Message-ID stays, so that a mail program can show one copy.

    After the second attempt the operator is alerted.
    """
    first_settlement = settle_effect(make_mail(attempts=1), Outcome.UNCERTAIN, NOW, resend=True)
    assert (first_settlement.progress, first_settlement.due_at) == (EffectProgress.WAITING, NOW)
    second_settlement = settle_effect(make_mail(attempts=2), Outcome.UNCERTAIN, NOW, resend=True)
    assert (second_settlement.progress, second_settlement.alerts_operator) == (EffectProgress.UNCERTAIN, True)


def test_mail_of_uncertain_outcome_that_may_not_be_resent_is_sent_only_once() -> None:
    """A second copy is worse than an alert to the operator."""
    settled = settle_effect(make_mail(), Outcome.UNCERTAIN, NOW)
    assert (settled.progress, settled.alerts_operator, settled.due_at) == (EffectProgress.UNCERTAIN, True, None)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("attempts", [1, 2, TELL_OPERATOR_AFTER, GIVE_UP_AFTER])
@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("base", [make_event_effect(), make_event_effect(kind=EffectKind.CANCEL), make_mail()])
def test_settled_effect_is_finished_or_has_a_next_attempt(
    base: Effect, resend: bool, attempts: int, outcome: Outcome
) -> None:
    """No effect waits without a time."""
    effect = effect_of(base.name, kind=base.kind, key=base.key, attempts=attempts)
    settled = settle_effect(effect, outcome, NOW, resend=resend)
    assert (settled.due_at is not None) == (settled.progress is EffectProgress.WAITING)
    assert settled.due_at is None or settled.due_at >= NOW


# --- how long ago a decision may have been made ---


@pytest.mark.parametrize(
    ("age", "expected"), [(timedelta(), True), (MAX_DECISION_AGE, True), (MAX_DECISION_AGE + SECOND, False)]
)
def test_creation_that_was_decided_long_ago_is_not_fresh(age: timedelta, expected: bool) -> None:
    """After five minutes somebody else may have taken the time."""
    assert is_fresh(make_event_effect(), NOW + age) is expected
    assert timedelta(minutes=5) == MAX_DECISION_AGE


@pytest.mark.parametrize("kind", [EffectKind.UPDATE, EffectKind.CANCEL])
def test_update_or_cancellation_is_fresh_however_long_ago_it_was_decided(kind: EffectKind) -> None:
    """Both name the version of the event that they expect."""
    assert is_fresh(make_event_effect(kind=kind), NOW + 3 * DAY)
