"""What `worker.providers.base` promises of calendars, as tests that every calendar provider inherits.

The test class of a calendar derives from `CalendarContract` and has two fixtures: `provider`, and `hands`, which
changes its calendars as people do. Where services answer differently, a class attribute of the test class says so.
Tests that apply to some services only are in classes of their own (`GuestDeletionContract`, `GuestMoveContract`), which
the test classes of these services inherit as well, so that no test is collected only to be skipped.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime

import pytest

from tests.support.drafts import DAY, WINDOW, Hands, TextReader, at, book, days, draft, span
from tests.support.free_busy_contract import FreeBusyContract
from worker.domain.model import Answer, Event, Span
from worker.errors import Conflict, Forbidden, NotFound, Permanent
from worker.providers.base import CalendarProvider


class CalendarContract(FreeBusyContract):
    """One test for each promise of a calendar."""

    remembers_cancelled = True  #: the service distinguishes a key that was cancelled from one that was never used
    hand_moves_ask_anew = True  #: when the organizer moves the event by hand, all guests have to answer again

    # --- our events ---------------------------------------------------------------------------------------------------

    def test_a_created_event_is_found_by_its_key(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        assert event.ref.calendar == dana and event.ref.id and event.ref.etag
        assert (event.key, event.span, event.all_day, event.cancelled) == (
            event_draft.key,
            event_draft.span,
            False,
            False,
        )
        assert event.organizer == dana
        assert event.answers == {sam: Answer.NEEDS_ACTION}
        assert provider.find(dana, event_draft.key) == event

    def test_a_key_that_was_never_used_is_not_found(self, provider: CalendarProvider, hands: Hands) -> None:
        assert provider.find(hands.person(), "s0.1") is None

    def test_creating_twice_gives_one_event(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        assert provider.create(dana, event_draft).ref.id == provider.create(dana, event_draft).ref.id
        for person in (dana, sam):
            assert len(provider.free_busy([person], WINDOW)[person].busy) == 1

    def test_four_creations_at_the_same_time_give_one_event(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        with ThreadPoolExecutor(4) as pool:
            created = list(pool.map(lambda _: provider.create(dana, event_draft), range(4)))
        assert len({event.ref.id for event in created}) == 1
        assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 1

    def test_creating_again_returns_the_event_as_people_have_changed_it(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        """R-9: nothing that people did is undone by repeating a create."""
        dana, _, event_draft = book(provider, hands)
        hands.move(dana, event_draft.key, span(10, 9, 75))
        assert provider.create(dana, event_draft).span == span(10, 9, 75)

    def test_keys_with_any_characters_are_kept(self, provider: CalendarProvider, hands: Hands) -> None:
        dana = hands.person()
        for key in ("a/../b?c#d e.1", "ü" * 60, "S1.1", "s1.1"):
            event = provider.create(dana, draft(dana, key=key))
            assert event.key == key
            stored_event = provider.find(dana, key)
            assert stored_event is not None and stored_event.key == key
        assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 4

    def test_our_event_is_distinguished_from_one_at_the_same_time(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        """R-8: on both calendars, in free/busy and in changes."""
        dana, sam, event_draft = book(provider, hands)
        for person in (dana, sam):
            hands.add(person, event_draft.span)
            busy = provider.free_busy([person], WINDOW)[person].busy
            assert sorted(period.key or "" for period in busy) == ["", event_draft.key]
            events = provider.changes(person, None, WINDOW).events
            assert sorted(event.key or "" for event in events) == ["", event_draft.key]

    def test_an_event_that_does_not_block_leaves_the_time_free(self, provider: CalendarProvider, hands: Hands) -> None:
        dana = hands.person()
        event = provider.create(dana, draft(dana, blocks_time=False))
        assert event.show_as is None
        assert provider.free_busy([dana], WINDOW)[dana].busy == ()

    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"])
    def test_our_all_day_event_keeps_its_day(self, provider: CalendarProvider, hands: Hands, zone: str) -> None:
        """T-8: the all-day event for a commitment is on its day in the manager's time zone."""
        dana = hands.person(zone)
        day = days(zone, date(2027, 3, 9), date(2027, 3, 9))
        event = provider.create(dana, draft(dana, span=day, zone=zone, all_day=True, blocks_time=False))
        assert (event.all_day, event.span) == (True, day)
        assert provider.find(dana, event.key or "") == event

    def test_update_gives_the_event_the_time_of_the_draft(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13, 60), sequence=1))
        assert (moved_event.span, set(moved_event.answers)) == (span(11, 13, 60), {sam})
        assert moved_event.ref.id == event.ref.id and moved_event.ref.etag != event.ref.etag
        assert provider.find(dana, event_draft.key) == moved_event
        for person in (dana, sam):
            assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [span(11, 13, 60)]

    def test_after_an_update_that_moves_the_event_guests_have_to_answer_again(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        dana, sam, event_draft = book(provider, hands)
        hands.answer(dana, sam, event_draft.key, Answer.DECLINED)
        event = provider.find(dana, event_draft.key)
        assert event is not None and event.answers == {sam: Answer.DECLINED}
        moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13, 60)))
        assert moved_event.answers == {sam: Answer.NEEDS_ACTION}
        assert provider.find(dana, event_draft.key) == moved_event

    def test_an_update_that_moves_nothing_keeps_answers(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam, event_draft = book(provider, hands)
        hands.answer(dana, sam, event_draft.key, Answer.ACCEPTED)
        event = provider.find(dana, event_draft.key)
        assert event is not None
        renamed_event = provider.update(event.ref, replace(event_draft, title="Career conversation"))
        assert renamed_event.answers == {sam: Answer.ACCEPTED}
        assert provider.find(dana, event_draft.key) == renamed_event

    def test_a_stale_etag_raises_conflict_and_changes_nothing(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        hands.move(dana, event_draft.key, span(10, 9, 75))
        with pytest.raises(Conflict):
            provider.update(event.ref, replace(event_draft, span=span(11, 13, 60)))
        with pytest.raises(Conflict):
            provider.cancel(event.ref)
        stored_event = provider.find(dana, event_draft.key)
        assert stored_event is not None and stored_event.span == span(10, 9, 75)
        assert [busy.span for busy in provider.free_busy([dana], WINDOW)[dana].busy] == [span(10, 9, 75)]

    def test_an_update_of_a_cancelled_event_is_refused(self, provider: CalendarProvider, hands: Hands) -> None:
        dana = hands.person()
        event_draft = draft(dana)
        event = provider.create(dana, event_draft)
        provider.cancel(event.ref)
        with pytest.raises((NotFound, Conflict)):
            provider.update(event.ref, replace(event_draft, span=span(11, 13, 60)))
        assert provider.free_busy([dana], WINDOW)[dana].busy == ()

    def test_cancel_takes_the_event_off_every_calendar(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        provider.cancel(provider.create(dana, event_draft).ref)
        assert provider.find(dana, event_draft.key) is None
        for person in (dana, sam):
            assert provider.free_busy([person], WINDOW)[person].busy == ()

    def test_a_quiet_cancel_takes_the_event_off_every_calendar(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        provider.cancel(provider.create(dana, event_draft).ref, quiet=True)
        assert provider.find(dana, event_draft.key) is None
        for person in (dana, sam):
            assert provider.free_busy([person], WINDOW)[person].busy == ()

    def test_cancelling_a_cancelled_event_succeeds(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event = provider.create(dana, draft(dana, sam))
        provider.cancel(event.ref)
        provider.cancel(event.ref)
        provider.cancel(replace(event.ref, etag=""))
        assert provider.free_busy([dana], WINDOW)[dana].busy == ()

    def test_cancelling_without_an_etag_takes_any_version(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        hands.move(dana, event_draft.key, span(10, 9, 75))
        provider.cancel(replace(event.ref, etag=""))
        assert provider.find(dana, event_draft.key) is None

    def test_a_cancelled_key_is_refused_where_the_service_remembers_it(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        """A service that remembers no cancelled key can't refuse it: the key makes a whole event that can be cancelled.

        A CalDAV server deletes a resource without a trace, and Microsoft 365 promises nothing about the transaction id
        of a deleted event. With these services, planning alone prevents that a cancelled event comes back: it creates
        no event with a cancelled key, which `tests.support.stories.apply_plan` asserts of each plan.
        """
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        provider.cancel(provider.create(dana, event_draft).ref)
        if self.remembers_cancelled:
            with pytest.raises(Conflict):
                provider.create(dana, event_draft)
        else:
            event = provider.create(dana, event_draft)
            assert (event.key, event.span, event.answers) == (
                event_draft.key,
                event_draft.span,
                {sam: Answer.NEEDS_ACTION},
            )
            assert provider.find(dana, event_draft.key) == event
            for person in (dana, sam):
                assert [busy.key for busy in provider.free_busy([person], WINDOW)[person].busy] == [event_draft.key]
            provider.cancel(event.ref)
        assert provider.find(dana, event_draft.key) is None
        for person in (dana, sam):
            assert provider.free_busy([person], WINDOW)[person].busy == ()

    def test_a_new_generation_of_a_cancelled_key_has_an_event_of_its_own(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        dana = hands.person()
        event_draft = draft(dana)
        provider.cancel(provider.create(dana, event_draft).ref)
        new_key = f"{event_draft.key[:-1]}2"
        event = provider.create(dana, replace(event_draft, key=new_key, span=span(11, 13)))
        assert (event.key, event.span) == (new_key, span(11, 13))
        assert provider.find(dana, new_key) == event and provider.find(dana, event_draft.key) is None
        assert [busy.key for busy in provider.free_busy([dana], WINDOW)[dana].busy] == [new_key]

    def test_events_of_other_programs_are_neither_updated_nor_cancelled(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        dana = hands.person()
        hands.add(dana, span(9, 10))
        [event] = provider.changes(dana, None, WINDOW).events
        assert event.key is None
        for etag in (event.ref.etag, ""):
            with pytest.raises(Forbidden):
                provider.update(replace(event.ref, etag=etag), draft(dana))
            with pytest.raises(Forbidden):
                provider.cancel(replace(event.ref, etag=etag))
        assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 1

    def test_requests_about_an_unreadable_calendar_are_refused_for_good(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        stranger = hands.unreadable_person()
        for attempt in (
            lambda: provider.create(stranger, draft(stranger)),
            lambda: provider.changes(stranger, None, WINDOW),
        ):
            with pytest.raises(Permanent) as error_info:
                attempt()
            assert "\n" not in str(error_info.value)

    def test_a_guest_without_a_calendar_in_the_service_can_be_invited(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        dana, outsider = hands.person(), "sam@elsewhere.example"
        event_draft = draft(dana, outsider)
        assert provider.create(dana, event_draft).answers == {outsider: Answer.NEEDS_ACTION}
        stored_event = provider.find(dana, event_draft.key)
        assert stored_event is not None and stored_event.answers == {outsider: Answer.NEEDS_ACTION}

    # --- changes that people make to our events -----------------------------------------------------------------------

    @pytest.mark.parametrize("answer", [Answer.ACCEPTED, Answer.TENTATIVE, Answer.DECLINED])
    def test_changes_report_the_guests_answer(self, provider: CalendarProvider, hands: Hands, answer: Answer) -> None:
        dana, sam, event_draft = book(provider, hands)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.answer(dana, sam, event_draft.key, answer)
        changes = provider.changes(dana, cursor, WINDOW)
        assert not changes.is_full
        assert [(event.key, event.answers) for event in changes.events] == [(event_draft.key, {sam: answer})]
        stored_event = provider.find(dana, event_draft.key)
        assert stored_event is not None and stored_event.answers == {sam: answer}
        expected = [] if answer is Answer.DECLINED else [event_draft.key]
        assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == expected

    def test_changes_report_the_organizers_move_and_the_guest_gets_it(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        """R-9, T-11: a hand move is seen, with its new time, on both calendars."""
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.move(dana, event_draft.key, span(10, 9, 75))
        changes = provider.changes(dana, cursor, WINDOW)
        assert [(changed.ref.id, changed.key, changed.span) for changed in changes.events] == [
            (event.ref.id, event_draft.key, span(10, 9, 75))
        ]
        for person in (dana, sam):
            assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [span(10, 9, 75)]

    def test_after_a_move_by_the_organizer_guests_may_have_to_answer_again(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        dana, sam, event_draft = book(provider, hands)
        hands.answer(dana, sam, event_draft.key, Answer.DECLINED)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.move(dana, event_draft.key, span(10, 9, 75))
        [event] = provider.changes(dana, cursor, WINDOW).events
        expected = Answer.NEEDS_ACTION if self.hand_moves_ask_anew else Answer.DECLINED
        assert event.answers == {sam: expected}

    def test_changes_report_a_move_out_of_the_window(self, provider: CalendarProvider, hands: Hands) -> None:
        """R-8: an event that was moved out of the window is not reported as deleted."""
        dana, _, event_draft = book(provider, hands)
        cursor = provider.changes(dana, None, WINDOW).cursor
        far = Span(at(9, 10) + 90 * DAY, at(9, 11) + 90 * DAY)
        hands.move(dana, event_draft.key, far)
        for changes in (provider.changes(dana, cursor, WINDOW), provider.changes(dana, None, WINDOW)):
            assert [(event.key, event.span) for event in changes.events] == [(event_draft.key, far)]

    def test_changes_report_the_organizers_deletion_and_the_guest_loses_the_event(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.delete(dana, event_draft.key)
        changes = provider.changes(dana, cursor, WINDOW)
        assert (changes.events, changes.deleted_ids) == ((), (event.ref.id,))
        assert provider.find(dana, event_draft.key) is None
        assert provider.free_busy([sam], WINDOW)[sam].busy == ()

    # --- changes ------------------------------------------------------------------------------------------------------

    def test_changes_without_a_cursor_list_everything_in_the_window(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        person = hands.person()
        hands.add(person, span(5, 14))
        hands.add(person, span(6, 14))
        hands.add(person, Span(at(1, 0) - 5 * DAY, at(1, 0) - 4 * DAY))
        changes = provider.changes(person, None, WINDOW)
        assert changes.is_full
        assert {event.span for event in changes.events} >= {span(5, 14), span(6, 14)}
        assert all(event.span.end > WINDOW.start for event in changes.events)

    def test_without_a_change_nothing_is_listed(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam = hands.person(), hands.person()
        provider.create(dana, draft(dana, sam))
        cursor = provider.changes(dana, None, WINDOW).cursor
        for _ in range(2):
            changes = provider.changes(dana, cursor, WINDOW)
            assert (changes.events, changes.deleted_ids, changes.is_full) == ((), (), False)
            cursor = changes.cursor

    def test_each_change_is_listed_once(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        hands.add(person, span(5, 14))
        to_remove = hands.add(person, span(6, 14))
        [first, second] = sorted(provider.changes(person, None, WINDOW).events, key=_by_start)
        cursor = provider.changes(person, None, WINDOW).cursor
        hands.add(person, span(7, 14))
        hands.remove(person, to_remove)
        changes = provider.changes(person, cursor, WINDOW)
        assert [event.span for event in changes.events] == [span(7, 14)]
        assert changes.deleted_ids == (second.ref.id,)
        assert first.ref.id not in changes.deleted_ids
        later_changes = provider.changes(person, changes.cursor, WINDOW)
        assert (later_changes.events, later_changes.deleted_ids) == ((), ())

    def test_a_changed_series_is_listed_whole(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        series = hands.add_daily(person, span(8, 9, 30), times=3)
        before = provider.changes(person, None, WINDOW)
        assert len({event.series for event in before.events}) == 1 and before.events[0].series
        assert len({event.ref.id for event in before.events}) == 3
        hands.cancel_occurrence(person, series, 1)
        after = provider.changes(person, before.cursor, WINDOW)
        remaining_spans = sorted(event.span for event in after.events if not event.cancelled)
        assert remaining_spans == [span(8, 9, 30), span(10, 9, 30)]
        assert {event.series for event in after.events} == {before.events[0].series}
        hands.remove(person, series)
        assert provider.changes(person, after.cursor, WINDOW).deleted_ids == (before.events[0].series,)

    @pytest.mark.parametrize("cursor", ["", "nonsense", "{}", '{"mark": "sync:nonsense", "copies": {}}', "-5", "[1]"])
    def test_an_unreadable_cursor_gives_a_full_listing(
        self, provider: CalendarProvider, hands: Hands, cursor: str
    ) -> None:
        person = hands.person()
        hands.add(person, span(5, 14))
        changes = provider.changes(person, cursor, WINDOW)
        assert changes.is_full and [event.span for event in changes.events] == [span(5, 14)]

    def test_an_expired_cursor_gives_a_full_listing(self, provider: CalendarProvider, hands: Hands) -> None:
        """The full listing leaves out the event that was deleted, and returns a cursor that works."""
        dana, sam = hands.person(), hands.person()
        draft_to_keep, draft_to_delete = draft(dana, sam), draft(dana, sam, span=span(10, 10))
        provider.create(dana, draft_to_keep)
        provider.create(dana, draft_to_delete)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.delete(dana, draft_to_delete.key)
        hands.answer(dana, sam, draft_to_keep.key, Answer.ACCEPTED)
        changes = provider.changes(dana, hands.expire_cursor(dana, cursor), WINDOW)
        assert changes.is_full
        assert [(event.key, event.answers) for event in changes.events] == [(draft_to_keep.key, {sam: Answer.ACCEPTED})]
        assert provider.free_busy([sam], WINDOW)[sam].busy != ()
        after = provider.changes(dana, changes.cursor, WINDOW)
        assert (after.events, after.deleted_ids, after.is_full) == ((), (), False)

    def test_an_event_of_two_people_names_organizer_and_guest(self, provider: CalendarProvider, hands: Hands) -> None:
        """T-9: the program recognizes a 1:1 by its organizer and guest, on both calendars."""
        dana, sam = hands.person(), hands.person()
        hands.invite(dana, sam, span(5, 14), Answer.ACCEPTED)
        for person in (dana, sam):
            [event] = provider.changes(person, None, WINDOW).events
            assert (event.organizer, dict(event.answers)) == (dana, {sam: Answer.ACCEPTED})
            assert event.key is None

    # --- checks -------------------------------------------------------------------------------------------------------

    def test_a_check_that_succeeds_changes_nothing(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        cursor = provider.changes(person, None, WINDOW).cursor
        findings = provider.check(person)
        assert findings and all(finding.ok and finding.statement for finding in findings)
        changes = provider.changes(person, cursor, WINDOW)
        assert (changes.events, changes.deleted_ids) == ((), ())

    def test_a_check_that_fails_gives_a_remedy(self, provider: CalendarProvider, hands: Hands) -> None:
        failed = [finding for finding in provider.check(hands.unreadable_person()) if not finding.ok]
        assert failed and all(finding.remedy and "\n" not in finding.remedy for finding in failed)


class TextContract:
    """For calendar services that store titles and texts. Longarc writes them and never reads them, so `hands` do."""

    def test_update_gives_the_event_the_title_and_text_of_the_draft(
        self, provider: CalendarProvider, hands: TextReader
    ) -> None:
        dana, _, event_draft = book(provider, hands)
        assert "Career conversation: Dana and Sam" in hands.read_title_and_text(dana, event_draft.key)
        event = provider.find(dana, event_draft.key)
        assert event is not None
        provider.update(event.ref, replace(event_draft, title="Review of the plan", body="Another place to meet."))
        title_and_text = hands.read_title_and_text(dana, event_draft.key)
        assert "Review of the plan" in title_and_text and "Another place to meet." in title_and_text
        assert "Career conversation" not in title_and_text and "Strichpunkt" not in title_and_text


class GuestDeletionContract:
    """For calendar services that report it when a guest deletes the event from the guest's own calendar."""

    def test_a_guest_who_deletes_the_event_has_declined(self, provider: CalendarProvider, hands: Hands) -> None:
        """R-8: deleting the event is an answer, too."""
        dana, sam, event_draft = book(provider, hands)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.delete(sam, event_draft.key)
        [event] = provider.changes(dana, cursor, WINDOW).events
        assert (event.key, event.answers, event.span) == (event_draft.key, {sam: Answer.DECLINED}, event_draft.span)
        assert provider.create(dana, event_draft).answers == {sam: Answer.DECLINED}
        assert provider.free_busy([sam], WINDOW)[sam].busy == ()
        moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13)))
        assert moved_event.answers == {sam: Answer.NEEDS_ACTION}
        assert [busy.span for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [span(11, 13)]

    def test_an_update_that_moves_nothing_does_not_bring_the_event_back(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        """R-9: a change of its text alone does not put the event back on the calendar of a guest who deleted it."""
        dana, sam, event_draft = book(provider, hands)
        hands.delete(sam, event_draft.key)
        event = provider.find(dana, event_draft.key)
        assert event is not None
        renamed_event = provider.update(event.ref, replace(event_draft, title="Career conversation"))
        assert renamed_event.answers == {sam: Answer.DECLINED}
        assert provider.free_busy([sam], WINDOW)[sam].busy == ()


class GuestMoveContract:
    """For calendar services in which a guest can move the event on the guest's own calendar."""

    def test_a_guest_who_moves_the_event_has_declined(self, provider: CalendarProvider, hands: Hands) -> None:
        dana, sam, event_draft = book(provider, hands)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.move(sam, event_draft.key, span(10, 9, 75))
        [event] = provider.changes(dana, cursor, WINDOW).events
        assert (event.span, event.answers) == (event_draft.span, {sam: Answer.DECLINED})


def _by_start(event: Event) -> datetime:
    return event.span.start
