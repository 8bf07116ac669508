"""Effects that fail: they are tried again, or the operator gets an alert; what people do in the meantime counts.

The whole program runs on a database, with services in memory. The tests move the clock.
"""

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    OPERATOR,
    SAM,
    START,
    WEEK,
    Fails,
    Office,
    contract,
    pair,
    pairs,
    people,
    person,
    span,
    texts,
)
from tests.support.effects import book_first_session, get_only_effect, make_refusal
from worker.domain.model import (
    NO_CALENDAR,
    CalendarChanges,
    DeferralCause,
    EffectProgress,
    Event,
    Owner,
    PairId,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.planning.planner import TELL_OPERATOR_AFTER
from worker.errors import AuthRevoked, RateLimited, Refused, Unavailable
from worker.store import tables

# --- failing and trying again ---


def test_an_effect_is_tried_again_after_longer_and_longer_waits(office: Office) -> None:
    office.calendar.fail = Fails(Unavailable, "create", times=2)
    waits = []
    for attempt in (1, 2):
        office.tick()
        effect = get_only_effect(office, "event.create")
        assert (effect.progress, effect.attempts) == (EffectProgress.WAITING, attempt)
        waits.append(effect.due_at - office.clock())
        office.tick()  # the effect is not due yet
        assert get_only_effect(office, "event.create").attempts == attempt
        office.clock.move_to(effect.due_at)
    office.tick()
    assert get_only_effect(office, "event.create").progress is EffectProgress.DONE
    assert len(office.events()) == 1
    # one minute and then two, each with some seconds more that spread the retries of many effects
    assert MINUTE <= waits[0] < 2 * MINUTE <= waits[1] < 3 * MINUTE
    assert not office.mails("operator_alert")


def test_a_retry_waits_as_long_as_the_service_requires(office: Office) -> None:
    office.calendar.fail = Fails(lambda: RateLimited(retry_after=4 * MINUTE), "create", times=1)
    office.tick()
    assert get_only_effect(office, "event.create").due_at >= START + 4 * MINUTE


def test_after_an_outage_one_event_is_created_and_each_mail_is_sent_once(office: Office) -> None:
    office.calendar.fail = office.mailer.fail = Fails(Unavailable, "create", "send")
    office.run(3 * HOUR)
    assert not office.events()
    assert max(effect.attempts for effect in office.effects("mail")) >= TELL_OPERATOR_AFTER
    # an introduction is a personal mail of the manager, and for the report a mail about the pair
    assert sorted(text.partition(":")[0] for _, text in office.store.outbox.list_alerts(START)) == [
        f"the mail introduction for {DANA} is waiting",
        f"the mail introduction for {PairId(DANA, SAM)} is waiting",
    ]
    office.calendar.fail = office.mailer.fail = None
    office.run(2 * HOUR)
    assert len(office.events()) == 1
    assert len(office.mails("introduction")) == 2
    send_counts = Counter(key for key, _ in office.mailer.sent)
    assert set(send_counts.values()) == {1}


def test_an_event_that_waited_over_five_minutes_is_planned_again(office: Office) -> None:
    """T-2: a session is never put on busy time, and the time that was free at first may be taken by now."""
    office.calendar.fail = Fails(Unavailable, "create", times=3)  # the waits after them are 1, 2 and 4 minutes
    office.tick()
    session = office.session()
    office.calendar.add(SAM, session.span)
    office.calendar.pop_changed_calendars()  # so that the program is not told of the new meeting
    office.run(20 * MINUTE)
    moved = office.session()
    assert moved.id == session.id and not moved.span.overlaps(session.span)
    assert [event.span for event in office.events()] == [moved.span]
    assert moved.count == 0, "a failure of the service counts as a deferral"


def test_a_refused_event_alerts_the_operator_and_is_planned_again(office: Office) -> None:
    office.calendar.fail = Fails(make_refusal, "create", times=2)
    office.tick()
    assert get_only_effect(office, "event.create").progress is EffectProgress.DEAD
    assert office.session().owed
    (alert,) = office.mails("operator_alert")
    assert OPERATOR in alert["To"] and "not on this calendar" in texts([alert])
    office.run(4 * MINUTE)
    assert len(office.effects("event.create")) == 1  # the first retry comes five minutes after the refusal
    office.run(HOUR)
    assert [effect.progress for effect in office.effects("event.create")] == [
        EffectProgress.DEAD,
        EffectProgress.DEAD,
        EffectProgress.DONE,
    ]
    assert [event.span for event in office.events()] == [office.session().span]


@pytest.mark.parametrize("cause", ["paused", "no time"])
def test_a_refused_cancel_is_repeated_until_the_calendar_accepts_it(office: Office, cause: str) -> None:
    """T-4: the operator gets an alert, and the event is gone soon after the calendar stops refusing."""
    session = book_first_session(office)
    office.calendar.fail = Fails(make_refusal, "cancel")
    if cause == "paused":
        office.worker.store.people.set_paused(session.pair, is_paused=True, now=office.clock())
    else:  # no other time fits, so the session loses its time and its event
        office.calendar.add(SAM, Span(START, START + 30 * WEEK))
        office.worker.actions.request_another_time(session.id)
    office.run(3 * DAY)
    cancels = office.effects("event.cancel")
    assert len(office.events()) == 1
    # the waits between two cancels grow: 5, 20 and 80 minutes, and so on up to a day
    assert 4 <= len(cancels) <= 8 and {cancel.progress for cancel in cancels} == {EffectProgress.DEAD}
    assert "not on this calendar" in texts(office.mails("operator_alert"))
    office.calendar.fail = None
    office.run(2 * DAY)
    assert office.events() == []
    assert office.effects("event.cancel")[-1].progress is EffectProgress.DONE
    cancel_count = len(office.effects("event.cancel"))
    office.run(2 * DAY)
    assert len(office.effects("event.cancel")) == cancel_count, "a cancel follows the accepted one"


@pytest.mark.parametrize("was_moved_by_hand", [False, True])
def test_a_decline_counts_once_while_the_calendar_refuses_the_new_time(office: Office, was_moved_by_hand: bool) -> None:
    """T-10: the calendar refuses to move the event for days, and the event shows the same decline all that time."""
    session = book_first_session(office)
    if was_moved_by_hand:
        office.calendar.move(DANA, session.key, span(session.span.start + DAY, session.minutes))
    office.decline(session)
    office.calendar.fail = Fails(make_refusal, "update")
    office.run(4 * DAY)
    assert office.session().count == 1
    assert len(office.mails("deferral_notice")) <= 2
    office.calendar.fail = None
    office.run(2 * DAY)
    assert (office.session().count, len(office.mails("deferral_notice"))) == (1, 2)  # one mail to each
    assert [event.span for event in office.events()] == [office.session().span]


def test_a_refused_mail_becomes_a_dead_letter_and_alerts_the_operator(office: Office) -> None:
    office.mailer.fail = Fails(make_refusal, "send", times=1)
    office.tick()
    assert Counter(effect.progress for effect in office.effects("introduction")) == {
        EffectProgress.DEAD: 1,
        EffectProgress.DONE: 1,
    }
    assert len(office.mails("operator_alert")) == 1


def test_a_revoked_grant_suspends_the_calendar_and_alerts_the_operator_once(daily_office: Office) -> None:
    daily_office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), "create", "changes")
    daily_office.run(3 * HOUR)
    assert set(daily_office.store.people.load_suspensions()) == {DANA}
    (alert,) = daily_office.mails("operator_alert")
    assert f"longarc retry {DANA}" in texts([alert])
    daily_office.calendar.fail = None
    daily_office.run(2 * HOUR)
    assert not daily_office.store.people.load_suspensions()
    assert [event.span for event in daily_office.events()] == [daily_office.session().span]
    daily_office.run(3 * DAY)
    daily_office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), "create", "changes")
    daily_office.run(2 * DAY)
    assert len(daily_office.mails("operator_alert")) == 2, "the second revocation caused no second alert"


@pytest.mark.parametrize("operation", ["create", "changes"])
def test_the_alert_about_a_revoked_grant_names_the_retry_command(office: Office, operation: str) -> None:
    """The outbox and the sync each find a revoked grant; the text is the same."""
    office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), operation, times=1)
    office.run(2 * MINUTE)
    (alert,) = office.mails("operator_alert")
    assert f"longarc retry {DANA}" in texts([alert])


def test_after_a_suspension_is_lifted_the_next_tick_creates_the_event(office: Office) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), "create", times=1)
    office.tick()
    assert set(office.store.people.load_suspensions()) == {DANA} and not office.events()
    assert office.store.calendars.lift_suspension(DANA, office.clock())
    office.tick()
    assert not office.store.people.load_suspensions()
    assert [event.span for event in office.events()] == [office.session().span]
    assert not office.store.calendars.lift_suspension(DANA, office.clock()), "a suspension is left"


def test_a_suspended_calendar_is_not_written_to(office: Office) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), "create", times=1)
    office.tick()
    operations: list[str] = []
    office.calendar.fail = operations.append
    office.store.plans.wake(list(office.pairs), office.clock(), reread_free_busy=True)
    office.run(30 * MINUTE)  # half of the hour for which a calendar is suspended
    assert not {"create", "update"} & set(operations)
    assert office.session().unplaceable is None, "a suspension made the session unplaceable"


def test_a_revoked_grant_for_mail_suspends_no_calendar(office: Office) -> None:
    office.mailer.fail = Fails(lambda: AuthRevoked("log-in refused"), "send", times=3)
    office.tick()
    assert not office.store.people.load_suspensions()
    assert len(office.events()) == 1
    office.run(2 * HOUR)
    assert len(office.mails("introduction")) == 2
    assert len(office.mails("operator_alert")) == 1


# --- people who act while a write of ours is under way ---


def test_a_hand_move_replaces_a_waiting_update(office: Office) -> None:
    """R-9: the update is dropped, and the session keeps the time of the hand move."""
    session = book_first_session(office)
    office.decline(session)
    office.calendar.fail = Fails(Unavailable, "update", times=1)
    office.tick()
    new_span = span(session.span.start - DAY + 2 * HOUR, session.minutes)
    office.calendar.move(DANA, session.key, new_span)
    office.run(30 * MINUTE)
    assert get_only_effect(office, "event.update").progress is EffectProgress.DROPPED
    moved = office.session()
    assert (moved.span, moved.by_hand, moved.count) == (new_span, True, 1)
    assert [event.span for event in office.events()] == [new_span]


def test_after_a_conflict_the_whole_calendar_is_read_and_a_hand_move_counts(office: Office) -> None:
    """R-9: the service did not report the move. It refuses our own write because of the move; then the move
    counts."""
    session = book_first_session(office)
    new_span = span(session.span.start - DAY + 2 * HOUR, session.minutes)
    office.calendar.move(DANA, session.key, new_span)
    office.calendar.pop_changed_calendars()  # so that the program is not told of the move
    read_changes = office.calendar.changes

    def omit_changes(calendar: str, cursor: str | None, window: Span) -> CalendarChanges:
        changes = read_changes(calendar, cursor, window)
        return (
            changes
            if changes.is_full
            else CalendarChanges(events=(), deleted_ids=(), cursor=changes.cursor, is_full=False)
        )

    office.calendar.changes = omit_changes  # type: ignore[method-assign]
    office.worker.actions.request_another_time(session.id)
    office.tick(hint=False)  # no notification of the move either
    office.run(HOUR)
    moved = office.session()
    assert (moved.span, moved.by_hand) == (new_span, True)
    assert [event.span for event in office.events()] == [new_span]
    assert not office.mails("operator_alert")


def tick_with_interruption(office: Office, operation: str, act: Callable[[Session], None]) -> None:
    """Do a tick in which `act` runs after the service has answered the operation, but before that is recorded.
    Another process then reads the calendar and finds what `act` did."""
    other = office.add_worker("other")
    call_service = getattr(office.calendar, operation)

    def act_after_answer(*arguments: object) -> Event:
        answer: Event = call_service(*arguments)
        setattr(office.calendar, operation, call_service)
        act(office.session())
        other.store.calendars.make_due([DANA], office.clock())
        other.tick()
        return answer

    setattr(office.calendar, operation, act_after_answer)
    office.tick()
    office.calendar.pop_changed_calendars()  # the other process has read these changes already


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_hand_move_before_our_write_is_recorded_counts(office: Office, operation: str) -> None:
    """The calendar reports the move only once."""
    if operation == "update":
        office.decline(book_first_session(office))
    new_spans: list[Span] = []

    def move(session: Session) -> None:
        new_spans.append(span(session.span.start + DAY + HOUR, session.minutes))
        office.calendar.move(DANA, session.key, new_spans[0])

    tick_with_interruption(office, operation, move)
    office.run(2 * MINUTE)
    moved = office.session()
    assert (moved.span, moved.by_hand) == (new_spans[0], True)
    assert [event.span for event in office.events()] == new_spans


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_deletion_before_our_write_is_recorded_counts(daily_office: Office, operation: str) -> None:
    if operation == "update":
        daily_office.decline(book_first_session(daily_office))
    tick_with_interruption(daily_office, operation, lambda session: daily_office.calendar.remove(DANA, session.key))
    daily_office.run(DAY + MINUTE)
    session = daily_office.session()
    assert session.count == (2 if operation == "update" else 1)  # before the update, a decline was a first deferral
    causes = [
        line["fields"]["cause"]
        for line in daily_office.history("session")
        if line["fields"]["state"] == SessionState.DEFERRED
    ]
    assert causes[-1] == DeferralCause.DELETED
    assert [event.span for event in daily_office.events()] == [session.span]


def test_a_decline_in_the_answer_to_our_create_is_planned_again(office: Office) -> None:
    """An automatic out-of-office reply declines at once, so the event that the service returns is declined
    already."""

    def decline(operation: str) -> None:
        if operation == "create.done":  # the event exists, and is about to be returned
            office.calendar.fail = None
            office.decline(office.session())

    office.calendar.fail = decline
    office.tick(hint=False)  # no notification of the decline: only the answer shows it
    assert office.session().count == 1
    assert [event.span for event in office.events()] == [office.session().span]


# --- people who left ---


def test_events_of_a_manager_who_left_are_cancelled(office: Office) -> None:
    book_first_session(office)
    office.run(WEEK)
    office.persons, office.pairs = people(SAM), {}
    office.apply()
    office.worker = office.add_worker("fresh")  # a process that has never read the manager from the database
    office.run(DAY - HOUR)
    assert office.events() == []
    assert not office.mails("operator_alert") and not office.mails("pair_ended")
    office.run(2 * HOUR)
    # T-17: the mail leaves at nine the next day
    assert [mail["To"] for mail in office.mails("pair_ended")] == [f"Sam <{SAM}>"]
    operations: list[str] = []
    office.calendar.fail = operations.append
    office.run(3 * DAY)
    assert operations == [], "the calendar of a person who left was read"


def test_no_mail_is_sent_when_an_ended_pair_returns_within_a_day(office: Office) -> None:
    """T-17: one export lacks the manager by mistake, and the next export has the manager again."""
    book_first_session(office)
    all_persons, all_pairs = office.persons, office.pairs
    office.persons, office.pairs = people(SAM), {}
    office.apply()
    office.run(HOUR)
    office.persons, office.pairs = all_persons, all_pairs
    office.apply()
    office.run(3 * DAY)
    assert not office.mails("pair_ended")


def test_effects_of_a_manager_without_a_calendar_are_dropped(office: Office) -> None:
    """An older people file may contain such a manager. Earlier effects are dropped, and none becomes a dead
    letter."""
    office.calendar.fail = Fails(Unavailable, "create")
    office.tick()
    office.persons = people(SAM) | {DANA: person(DANA, calendar=NO_CALENDAR)}
    office.apply()
    office.run(3 * WEEK)
    assert {effect.progress for effect in office.effects("event.create")} == {EffectProgress.DROPPED}
    assert not office.mails("operator_alert")
    with pytest.raises(Refused, match=f"{DANA} has no calendar"):
        office.worker.actions.request_check_in(PairId(DANA, SAM))


def test_a_changed_text_reaches_the_block_after_a_failed_update(office: Office) -> None:
    """T-8, R-19: the block keeps its time, so only the version of the event shows whether the update was written."""
    book_first_session(office)
    session = office.hold()
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.tick()
    promise = next(c for c in office.store.queries.list_commitments(session.pair) if c.owner is Owner.MANAGER)
    before = office.calendar.find(DANA, promise.key)
    office.calendar.fail = Fails(Unavailable, "update", times=1)
    office.worker.contracts.change(promise.id, text="Introduce Sam to the design group")
    office.run(HOUR)
    after = office.calendar.find(DANA, promise.key)
    assert before and after and after.ref.etag != before.ref.etag
    assert get_only_effect(office, "event.update").attempts == 2


@pytest.mark.parametrize("first_part", ["sweep", "outbox"])
def test_a_session_deferred_before_its_event_exists_gets_an_event_at_its_new_time(
    office: Office, first_part: str
) -> None:
    """T-4, R-8: the order of sweep and outbox does not matter."""
    office.calendar.add(DANA, Span(office.clock(), office.clock() + 10 * DAY))
    office.worker.sweep.run(holder="one")
    session = office.session()
    office.worker.actions.request_another_time(session.id)
    getattr(office.worker, first_part).run(holder="two")
    office.tick()
    assert [event.span for event in office.events()] == [office.session().span]


def test_the_deferral_notice_waits_until_the_event_has_the_new_time(office: Office) -> None:
    """R-8, R-10: while the calendar can't be reached, the new time may still change, so no mail names it."""
    session = book_first_session(office)
    office.calendar.remove(DANA, session.key)
    office.calendar.fail = Fails(Unavailable, "create")
    office.run(2 * HOUR)
    assert office.mails("deferral_notice") == []
    office.calendar.fail = None
    office.run(2 * HOUR)
    (event,) = office.events()
    notice, _ = office.effects("deferral_notice")  # one to each
    assert (notice.start, notice.progress) == (event.span.start, EffectProgress.DONE)


def test_a_contract_that_cannot_be_opened_delays_only_its_own_mails(database_url: str) -> None:
    """The row may be damaged, or the key wrong. The mails are sent when the contract can be opened again."""
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)))
    office.tick()
    session = office.session(pair_id=PairId(DANA, SAM))
    office.run_to(session.span.end)
    office.worker.contracts.record(session.id, contract(office.clock()))
    is_damaged_row = tables.contract.c.session == session.id
    with office.store.database.write() as connection:
        sealed = connection.execute(select(tables.contract.c.sealed).where(is_damaged_row)).scalar_one()
        connection.execute(update(tables.contract).where(is_damaged_row).values(sealed=b"damaged"))
    office.worker.actions.request_check_in(PairId(DANA, KIM))
    office.tick()
    assert {effect.progress for effect in office.effects("contract_summary")} == {EffectProgress.WAITING}
    assert office.session(SessionKind.CHECKIN).key in {event.key for event in office.events()}
    with office.store.database.write() as connection:
        connection.execute(update(tables.contract).where(is_damaged_row).values(sealed=sealed))
    office.run(2 * HOUR)
    assert len(office.mails("contract_summary")) == 2
    office.close()


def test_a_mail_references_an_earlier_mail_to_the_same_reader(office: Office) -> None:
    """Mail programs group mails by the References header."""
    office.tick()
    office.hold()
    office.run(3 * DAY)
    received: dict[str, set[str]] = {}
    reference_count = 0
    for mail in office.mails():
        ids = received.setdefault(str(mail["To"]), set())
        if mail["References"]:
            assert mail["References"] == mail["In-Reply-To"] and mail["References"] in ids
            reference_count += 1
        ids.add(str(mail["Message-ID"]))
    assert reference_count >= 4 and len(received) == 2
