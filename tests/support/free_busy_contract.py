"""What `worker.providers.base` promises about free/busy, as tests that every calendar inherits."""

from datetime import date, timedelta

import pytest

from tests.support.drafts import DAY, WINDOW, Hands, at, days, draft, span
from worker.domain.model import Answer, ShowAs, Span
from worker.providers.base import CalendarProvider


class FreeBusyContract:
    """One test for each promise about the time that a calendar shows."""

    reads_away = True  #: the service distinguishes out of office from busy
    reads_tentative = True  #: the service distinguishes tentative from busy

    # --- known and unknown time ---------------------------------------------------------------------------------------

    def test_an_unreadable_calendar_is_unknown_and_not_free(self, provider: CalendarProvider, hands: Hands) -> None:
        """T-2: a person whose calendar can't be read is in the answer as unknown, with a reason in one line."""
        person, stranger = hands.person(), hands.unreadable_person()
        results = provider.free_busy([person, stranger], WINDOW)
        assert set(results) == {person, stranger}
        assert results[person].is_known and results[person].busy == ()
        assert not results[stranger].is_known and results[stranger].busy == ()
        assert results[stranger].reason and "\n" not in results[stranger].reason

    def test_a_request_for_nobody_has_an_empty_answer(self, provider: CalendarProvider, hands: Hands) -> None:
        assert dict(provider.free_busy([], WINDOW)) == {}

    # --- busy time ----------------------------------------------------------------------------------------------------

    def test_busy_time_is_sorted_and_clipped_to_the_window(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        hands.add(person, span(5, 14))
        hands.add(person, Span(at(4, 22), at(5, 2)))
        hands.add(person, Span(at(5, 23), at(6, 3)))
        hands.add(person, span(7, 9))
        window = Span(at(5, 0), at(6, 0))
        busy = provider.free_busy([person], window)[person].busy
        assert [period.span for period in busy] == [Span(at(5, 0), at(5, 2)), span(5, 14), Span(at(5, 23), at(6, 0))]
        assert all(period.show_as is ShowAs.BUSY and period.key is None for period in busy)

    def test_an_event_that_only_touches_the_window_is_outside(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        hands.add(person, Span(at(4, 23), at(5, 0)))
        hands.add(person, Span(at(6, 0), at(6, 1)))
        assert provider.free_busy([person], Span(at(5, 0), at(6, 0)))[person].busy == ()

    def test_times_are_aware_and_in_utc(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person("America/New_York")
        hands.add(person, span(5, 14))
        event = provider.create(person, draft(person))
        [first, second] = provider.free_busy([person], WINDOW)[person].busy
        for period in (first.span, second.span, event.span):
            assert period.start.utcoffset() == period.end.utcoffset() == timedelta(0)

    def test_an_event_shown_as_free_leaves_the_time_free(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        hands.add(person, span(5, 14), show=None)
        assert provider.free_busy([person], WINDOW)[person].busy == ()

    def test_tentative_and_out_of_office_differ_from_busy(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        hands.add(person, span(5, 14), show=ShowAs.TENTATIVE)
        hands.add(person, span(6, 14), show=ShowAs.AWAY)
        tentative, away = provider.free_busy([person], WINDOW)[person].busy
        assert tentative.show_as is (ShowAs.TENTATIVE if self.reads_tentative else ShowAs.BUSY)
        assert away.show_as is (ShowAs.AWAY if self.reads_away else ShowAs.BUSY)

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (Answer.ACCEPTED, ShowAs.BUSY),
            (Answer.NEEDS_ACTION, ShowAs.TENTATIVE),
            (Answer.TENTATIVE, ShowAs.TENTATIVE),
            (Answer.DECLINED, None),
        ],
    )
    def test_the_guests_answer_decides_how_an_invitation_counts(
        self, provider: CalendarProvider, hands: Hands, answer: Answer, expected: ShowAs | None
    ) -> None:
        """An invitation that is not answered yet is tentative; a declined one is free."""
        organizer, guest = hands.person(), hands.person()
        hands.invite(organizer, guest, span(5, 14), answer)
        shows = [busy.show_as for busy in provider.free_busy([guest], WINDOW)[guest].busy]
        if not self.reads_tentative and expected is ShowAs.TENTATIVE:
            expected = ShowAs.BUSY
        assert shows == ([expected] if expected else [])
        assert [busy.show_as for busy in provider.free_busy([organizer], WINDOW)[organizer].busy] == [ShowAs.BUSY]

    @pytest.mark.parametrize(
        ("zone", "first", "last"),
        [
            ("UTC", date(2027, 3, 9), date(2027, 3, 9)),
            ("Europe/Berlin", date(2027, 3, 27), date(2027, 3, 29)),  # the clocks go forward in between
            ("America/Los_Angeles", date(2027, 3, 13), date(2027, 3, 14)),
            ("Asia/Kolkata", date(2027, 3, 9), date(2027, 3, 10)),
            ("Pacific/Kiritimati", date(2027, 3, 9), date(2027, 3, 9)),  # UTC+14
            ("Pacific/Pago_Pago", date(2027, 3, 9), date(2027, 3, 9)),  # UTC-11
            ("Africa/Cairo", date(2027, 4, 29), date(2027, 4, 30)),  # the clocks skip the midnight of the 30th
        ],
    )
    def test_an_all_day_event_is_busy_on_its_days_in_the_owners_time_zone(
        self, provider: CalendarProvider, hands: Hands, zone: str, first: date, last: date
    ) -> None:
        person = hands.person(zone)
        hands.add_all_day(person, first, last)
        expected = days(zone, first, last)
        window = Span(expected.start - 3 * DAY, expected.end + 3 * DAY)
        [busy] = provider.free_busy([person], window)[person].busy
        assert busy.span == expected
        assert busy.show_as in (ShowAs.BUSY, ShowAs.AWAY)
        [event] = provider.changes(person, None, window).events
        assert event.all_day and event.span == expected

    def test_an_all_day_event_shown_as_free_leaves_its_days_free(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        person = hands.person("Europe/Berlin")
        hands.add_all_day(person, date(2027, 3, 9), date(2027, 3, 10), opaque=False)
        assert provider.free_busy([person], WINDOW)[person].busy == ()

    def test_each_occurrence_of_a_series_is_busy_at_its_own_time(
        self, provider: CalendarProvider, hands: Hands
    ) -> None:
        """A moved occurrence is busy at its new time only. A cancelled occurrence is free."""
        person = hands.person()
        series = hands.add_daily(person, span(8, 9, 30), times=4)
        hands.move_occurrence(person, series, 1, span(9, 15, 30))
        hands.cancel_occurrence(person, series, 2)
        busy = provider.free_busy([person], WINDOW)[person].busy
        assert [period.span for period in busy] == [span(8, 9, 30), span(9, 15, 30), span(11, 9, 30)]

    def test_an_occurrence_moved_into_the_window_is_busy(self, provider: CalendarProvider, hands: Hands) -> None:
        person = hands.person()
        series = hands.add_daily(person, span(8, 9, 30), times=3)
        hands.move_occurrence(person, series, 2, span(20, 9, 30))
        busy = provider.free_busy([person], Span(at(20, 0), at(21, 0)))[person].busy
        assert [period.span for period in busy] == [span(20, 9, 30)]
