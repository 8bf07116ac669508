"""Effects that fail are tried again or told of, and what people do in the meantime counts.

Everything runs on both databases with the whole program around it; time is moved, nothing sleeps.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

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
    settings,
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
from worker.errors import AuthRevoked, RateLimited, Refused, Unavailable
from worker.store import tables

# --- failing and trying again ---


def test_a_transient_failure_is_tried_again_later_and_recovers(office: Office) -> None:
    office.calendar.fail = Fails(Unavailable, "create", times=2)
    waits = []
    for attempt in (1, 2):
        office.tick()
        waiting = get_only_effect(office, "event.create")
        assert (waiting.progress, waiting.attempts) == (EffectProgress.WAITING, attempt)
        waits.append(waiting.due_at - office.clock())
        office.tick()  # not due yet: nothing is tried
        assert get_only_effect(office, "event.create").attempts == attempt
        office.clock.move_to(waiting.due_at)
    office.tick()
    assert get_only_effect(office, "event.create").progress is EffectProgress.DONE
    assert len(office.events()) == 1
    assert MINUTE <= waits[0] < 2 * MINUTE <= waits[1] < 3 * MINUTE
    assert not office.mails("operator_alert")


def test_a_service_that_asks_for_time_gets_it(office: Office) -> None:
    office.calendar.fail = Fails(lambda: RateLimited(retry_after=4 * MINUTE), "create", times=1)
    office.tick()
    assert get_only_effect(office, "event.create").due_at >= START + 4 * MINUTE


def test_an_outage_is_told_once_and_ends_with_one_event_and_every_mail(office: Office) -> None:
    office.calendar.fail = office.mailer.fail = Fails(Unavailable, "create", "send")
    office.run(3 * HOUR)
    assert not office.events()
    assert max(m.attempts for m in office.messages("mail")) >= 6
    assert Counter(m.name for m in office.messages("operator_alert"))
    office.calendar.fail = office.mailer.fail = None
    office.run(2 * HOUR)
    assert len(office.events()) == 1
    assert len(office.mails("introduction")) == 2
    told = Counter(key for key, _ in office.mailer.sent)
    assert set(told.values()) == {1}


def test_what_waited_over_five_minutes_is_planned_again(office: Office) -> None:
    """T-2: the hour that was free then may be taken by now."""
    office.calendar.fail = Fails(Unavailable, "create", times=3)
    office.tick()
    first = office.session()
    office.calendar.add(SAM, first.span)
    office.calendar.pop_changed_calendars()
    office.run(20 * MINUTE)
    now = office.session()
    assert now.id == first.id and not now.span.overlaps(first.span)
    assert [event.span for event in office.events()] == [now.span]
    assert now.count == 0, "nobody deferred anything"


def test_a_refusal_is_told_and_planned_again_after_a_while(office: Office) -> None:
    office.calendar.fail = Fails(make_refusal, "create", times=2)
    office.tick()
    assert get_only_effect(office, "event.create").progress is EffectProgress.DEAD
    assert office.session().owed
    (alert,) = office.mails("operator_alert")
    assert OPERATOR in alert["To"] and "not on this calendar" in texts([alert])
    office.run(4 * MINUTE)
    assert len(office.messages("event.create")) == 1, "a calendar that refuses is not asked again at once"
    office.run(HOUR)
    assert [m.progress for m in office.messages("event.create")] == [
        EffectProgress.DEAD,
        EffectProgress.DEAD,
        EffectProgress.DONE,
    ]
    assert [event.span for event in office.events()] == [office.session().span]


@pytest.mark.parametrize("why", ["paused", "no time"])
def test_an_event_that_the_calendar_would_not_give_up_is_asked_for_again(office: Office, why: str) -> None:
    """T-4: the operator hears of it, and people see it no longer than the calendar is stubborn."""
    session = book_first_session(office)
    office.calendar.fail = Fails(make_refusal, "cancel")
    if why == "paused":
        office.worker.store.people.set_paused(session.pair, is_paused=True, now=office.clock())
    else:
        office.calendar.add(SAM, Span(START, START + 30 * WEEK))
        office.worker.actions.defer_session(session.id)
    office.run(3 * DAY)
    tried = office.messages("event.cancel")
    assert len(office.events()) == 1
    assert 4 <= len(tried) <= 8 and {m.progress for m in tried} == {EffectProgress.DEAD}
    assert "not on this calendar" in texts(office.mails("operator_alert"))
    office.calendar.fail = None
    office.run(2 * DAY)
    assert office.events() == []
    assert office.messages("event.cancel")[-1].progress is EffectProgress.DONE
    known = len(office.messages("event.cancel"))
    office.run(2 * DAY)
    assert len(office.messages("event.cancel")) == known, "what is gone is gone"


@pytest.mark.parametrize("moved", [False, True])
def test_a_decline_that_cannot_be_answered_is_counted_once(office: Office, moved: bool) -> None:
    """T-10: the event refuses to move for days, and the same answer stands on it all the while."""
    session = book_first_session(office)
    if moved:
        office.calendar.move(DANA, session.key, span(session.span.start + DAY, 75))
    office.decline(session)
    office.calendar.fail = Fails(make_refusal, "update")
    office.run(4 * DAY)
    assert office.session().count == 1
    assert len(office.mails("deferral_notice")) <= 2
    office.calendar.fail = None
    office.run(2 * DAY)
    assert (office.session().count, len(office.mails("deferral_notice"))) == (1, 2)  # one to each
    assert [event.span for event in office.events()] == [office.session().span]


def test_a_mail_that_is_refused_ends_dead_and_is_told(office: Office) -> None:
    office.mailer.fail = Fails(make_refusal, "send", times=1)
    office.tick()
    assert Counter(m.progress for m in office.messages("introduction")) == {
        EffectProgress.DEAD: 1,
        EffectProgress.DONE: 1,
    }
    assert len(office.mails("operator_alert")) == 1


def test_a_revoked_grant_rests_that_person_and_is_told_once(daily_office: Office) -> None:
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
    assert len(daily_office.mails("operator_alert")) == 2, "a second time is news again"


@pytest.mark.parametrize("operation", ["create", "changes"])
def test_who_is_told_of_a_revoked_grant_is_told_what_to_do_once_it_is_mended(office: Office, operation: str) -> None:
    """Whichever part of the program met it first."""
    office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), operation, times=1)
    office.run(2 * MINUTE)
    (alert,) = office.mails("operator_alert")
    assert f"longarc retry {DANA}" in texts([alert])


def test_a_suspension_that_is_lifted_by_hand_costs_no_time(office: Office) -> None:
    """The event waits for nothing more: it stands with the next tick."""
    office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), "create", times=1)
    office.tick()
    assert set(office.store.people.load_suspensions()) == {DANA} and not office.events()
    assert office.store.calendars.lift_suspension(DANA, office.clock())
    office.tick()
    assert not office.store.people.load_suspensions()
    assert [event.span for event in office.events()] == [office.session().span]
    assert not office.store.calendars.lift_suspension(DANA, office.clock()), "there is none any more"


def test_while_a_grant_is_revoked_nothing_is_asked_for_that_person(office: Office) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("token expired"), "create", times=1)
    office.tick()
    asked: list[str] = []
    office.calendar.fail = asked.append
    office.store.plans.wake(list(office.pairs), office.clock(), reread_free_busy=True)
    office.run(30 * MINUTE)
    assert not {"create", "update"} & set(asked)
    assert office.session().unplaceable is None, "that is no reason to tell anybody anything"


def test_a_revoked_grant_for_mail_rests_nobodys_calendar(office: Office) -> None:
    office.mailer.fail = Fails(lambda: AuthRevoked("log-in refused"), "send", times=3)
    office.tick()
    assert not office.store.people.load_suspensions()
    assert len(office.events()) == 1
    office.run(2 * HOUR)
    assert len(office.mails("introduction")) == 2
    assert len(office.mails("operator_alert")) == 1


@pytest.mark.parametrize("source", ["{{ ['Hyacinth'].missing.other }}", "{% if", "\u200b", "{{ 'x' * 1000001 }}"])
def test_in_place_of_a_broken_template_ours_is_sent_and_the_operator_hears_once(
    tmp_path: Path, database_url: str, source: str
) -> None:
    """Even if it is the operator's own mail; what goes wrong in a template is not told in words that hold content."""
    for name in ("introduction", "operator_alert"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "body.txt.j2").write_text(source)
    office = Office(database_url, known=settings(database_url, templates=str(tmp_path)))
    office.tick()
    assert {m.progress for m in office.messages("introduction")} == {EffectProgress.DONE}
    assert all("Dana" in texts([mail]) for mail in office.mails("introduction"))
    assert len(office.events()) == 1
    for _ in range(3):
        office.tick()
    assert len(office.messages("operator_alert")) == len(alerts := office.mails("operator_alert")) == 2
    assert all(f"mail {name}" in texts(alerts) for name in ("introduction", "operator_alert"))
    assert "Hyacinth" not in texts(alerts)
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.tick()
    assert len(office.mails("contract_summary")) == 2
    office.close()


# --- people who act while our change is under way ---


def test_a_hand_move_while_our_update_waits_counts(office: Office) -> None:
    session = book_first_session(office)
    office.decline(session)
    office.calendar.fail = Fails(Unavailable, "update", times=1)
    office.tick()
    wish = span(session.span.start - DAY + 2 * HOUR, 75)
    office.calendar.move(DANA, session.key, wish)
    office.run(30 * MINUTE)
    assert get_only_effect(office, "event.update").progress is EffectProgress.DROPPED
    now = office.session()
    assert (now.span, now.by_hand, now.count) == (wish, True, 1)
    assert [event.span for event in office.events()] == [wish]


def test_a_conflict_has_the_whole_calendar_read_again(office: Office) -> None:
    """R-9: the service forgot to tell of the move; our own write is refused for it, and then the move counts."""
    session = book_first_session(office)
    wish = span(session.span.start - DAY + 2 * HOUR, 75)
    office.calendar.move(DANA, session.key, wish)
    office.calendar.pop_changed_calendars()
    real = office.calendar.changes

    def forgetful(calendar: str, cursor: str | None, window: Span) -> CalendarChanges:
        told = real(calendar, cursor, window)
        return told if told.is_full else CalendarChanges((), (), told.cursor, is_full=False)

    office.calendar.changes = forgetful  # type: ignore[method-assign]
    office.worker.actions.defer_session(session.id)
    office.tick(hint=False)
    office.run(HOUR)
    now = office.session()
    assert (now.span, now.by_hand) == (wish, True)
    assert [event.span for event in office.events()] == [wish]
    assert not office.mails("operator_alert")


def meddled(office: Office, operation: str, act: Callable[[Session], None]) -> None:
    """The service has answered a call of ours; in the very moment before we note it down somebody acts, and another
    process reads the calendar and is told of it."""
    other = office.add_worker("other")
    real = getattr(office.calendar, operation)

    def answered(*given: object) -> Event:
        answer: Event = real(*given)
        setattr(office.calendar, operation, real)
        act(office.session())
        other.store.calendars.make_due([DANA], office.clock())
        other.tick()
        return answer

    setattr(office.calendar, operation, answered)
    office.tick()
    office.calendar.pop_changed_calendars()


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_hand_move_in_the_moment_between_our_call_and_our_note_of_it_counts(office: Office, operation: str) -> None:
    """It must not be forgotten: nobody will tell of it again."""
    if operation == "update":
        office.decline(book_first_session(office))
    wishes: list[Span] = []

    def move(session: Session) -> None:
        wishes.append(span(session.span.start + DAY + HOUR, 75))
        office.calendar.move(DANA, session.key, wishes[0])

    meddled(office, operation, move)
    office.run(2 * MINUTE)
    now = office.session()
    assert (now.span, now.by_hand) == (wishes[0], True)
    assert [event.span for event in office.events()] == wishes


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_deletion_in_that_moment_counts_too(daily_office: Office, operation: str) -> None:
    if operation == "update":
        daily_office.decline(book_first_session(daily_office))
    meddled(daily_office, operation, lambda session: daily_office.calendar.remove(DANA, session.key))
    daily_office.run(DAY + MINUTE)
    session = daily_office.session()
    assert session.count == (2 if operation == "update" else 1)
    causes = [
        line["fields"]["cause"]
        for line in daily_office.history("session")
        if line["fields"]["state"] == SessionState.DEFERRED
    ]
    assert causes[-1] == DeferralCause.DELETED
    assert [event.span for event in daily_office.events()] == [session.span]


def test_an_invitation_declined_the_moment_it_arrives_is_planned_again(office: Office) -> None:
    """An out-of-office does that: the answer is in what the service returns."""

    def decline(seen: str) -> None:
        if seen == "create.done":
            office.calendar.fail = None
            office.decline(office.session())

    office.calendar.fail = decline
    office.tick(hint=False)
    assert office.session().count == 1
    assert [event.span for event in office.events()] == [office.session().span]


# --- who left ---


def test_what_stands_on_the_calendar_of_a_manager_who_left_is_taken_off(office: Office) -> None:
    book_first_session(office)
    office.run(WEEK)
    office.persons, office.pairs = people(SAM), {}
    office.apply()
    office.worker = office.add_worker("fresh")
    office.run(DAY - HOUR)
    assert office.events() == []
    assert not office.mails("operator_alert") and not office.mails("pair_ended")
    office.run(2 * HOUR)
    assert [mail["To"] for mail in office.mails("pair_ended")] == [f"Sam <{SAM}>"], "T-17: at nine the next day"
    asked: list[str] = []
    office.calendar.fail = asked.append
    office.run(3 * DAY)
    assert asked == [], "a calendar of nobody's is read no more"


def test_nobody_is_told_of_an_end_that_was_a_slip_of_the_file(office: Office) -> None:
    """T-17: the next export names the manager again."""
    book_first_session(office)
    everybody, listed = office.persons, office.pairs
    office.persons, office.pairs = people(SAM), {}
    office.apply()
    office.run(HOUR)
    office.persons, office.pairs = everybody, listed
    office.apply()
    office.run(3 * DAY)
    assert not office.mails("pair_ended")


def test_nothing_is_tried_for_a_manager_without_a_calendar(office: Office) -> None:
    """As an older people file might have it: what was decided is dropped, and nothing becomes a dead letter."""
    office.calendar.fail = Fails(Unavailable, "create")
    office.tick()
    office.persons = people(SAM) | {DANA: person(DANA, calendar=NO_CALENDAR)}
    office.apply()
    office.run(3 * WEEK)
    assert {m.progress for m in office.messages("event.create")} <= {EffectProgress.DROPPED}
    assert not office.mails("operator_alert")
    with pytest.raises(Refused, match=f"{DANA} has no calendar"):
        office.worker.actions.request_check_in(PairId(DANA, SAM))


def test_changed_words_reach_their_block_though_the_calendar_failed_once(office: Office) -> None:
    """T-8, R-19: its time is the same as before, so only its version tells whether it was written."""
    book_first_session(office)
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.tick()
    promise = next(c for c in office.store.queries.list_commitments(held.pair) if c.owner is Owner.MANAGER)
    before = office.calendar.find(DANA, promise.key)
    office.calendar.fail = Fails(Unavailable, "update", times=1)
    office.worker.contracts.change(promise.id, text="Introduce Sam to the design group")
    office.run(HOUR)
    after = office.calendar.find(DANA, promise.key)
    assert before and after and after.ref.etag != before.ref.etag
    assert get_only_effect(office, "event.update").attempts == 2


@pytest.mark.parametrize("first", ["sweep", "outbox"])
def test_a_time_that_is_lost_before_its_event_was_made_is_given_anew(office: Office, first: str) -> None:
    """T-4, R-8: whichever of the two comes round first, the event stands at once."""
    office.calendar.add(DANA, Span(office.clock(), office.clock() + 10 * DAY))
    office.worker.sweep.run("one")
    session = office.session()
    office.worker.actions.defer_session(session.id)
    getattr(office.worker, first).run("two")
    office.tick()
    assert [event.span for event in office.events()] == [office.session().span]


def test_a_new_time_is_told_once_it_stands(office: Office) -> None:
    """R-8, R-10: while the calendar is out of reach nobody hears of a time that may still become another."""
    session = book_first_session(office)
    office.calendar.remove(DANA, session.key)
    office.calendar.fail = Fails(Unavailable, "create")
    office.run(2 * HOUR)
    assert office.mails("deferral_notice") == []
    office.calendar.fail = None
    office.run(2 * HOUR)
    (event,) = office.events()
    notice, _ = office.messages("deferral_notice")  # one to each
    assert (notice.start, notice.progress) == (event.span.start, EffectProgress.DONE)


def test_what_can_t_be_opened_waits_and_keeps_no_other_from_leaving(database_url: str) -> None:
    """A damaged row, or a wrong key: the operator hears of it, and nothing is lost when the key is right again."""
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)))
    office.tick()
    held = office.session(pair_id=PairId(DANA, SAM))
    office.run_to(held.span.end)
    office.worker.contracts.record(held.id, contract(office.clock()))
    broken = tables.contract.c.session == held.id
    with office.store.database.write() as connection:
        sealed = connection.execute(select(tables.contract.c.sealed).where(broken)).scalar_one()
        connection.execute(update(tables.contract).where(broken).values(sealed=b"nothing"))
    office.worker.actions.request_check_in(PairId(DANA, KIM))
    office.tick()
    assert {m.progress for m in office.messages("contract_summary")} == {EffectProgress.WAITING}
    assert office.session(SessionKind.CHECKIN).key in {event.key for event in office.events()}
    with office.store.database.write() as connection:
        connection.execute(update(tables.contract).where(broken).values(sealed=sealed))
    office.run(2 * HOUR)
    assert len(office.mails("contract_summary")) == 2
    office.close()


def test_what_a_mail_answers_lies_in_the_readers_mailbox(office: Office) -> None:
    """Mail programs thread by References: it names a mail that the same reader got before."""
    office.tick()
    office.hold()
    office.run(3 * DAY)
    sent: dict[str, set[str]] = {}
    answers = 0
    for mail in office.mails():
        inbox = sent.setdefault(str(mail["To"]), set())
        if mail["References"]:
            assert mail["References"] == mail["In-Reply-To"] and mail["References"] in inbox
            answers += 1
        inbox.add(str(mail["Message-ID"]))
    assert answers >= 4 and len(sent) == 2
