"""Spans: which of them have time in common, and which lie inside a window."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.domain.model import BusyTime, Span, clip_busy

START = datetime(2027, 3, 1, tzinfo=UTC)
spans = st.builds(
    lambda start, length: Span(START + timedelta(hours=start), START + timedelta(hours=start + length)),
    st.integers(0, 6),
    st.integers(0, 4),
)


@given(spans, spans)
def test_spans_overlap_when_they_have_time_in_common(first: Span, second: Span) -> None:
    common_time = min(first.end, second.end) - max(first.start, second.start)
    assert first.overlaps(second) == second.overlaps(first) == (common_time > timedelta())


@given(st.lists(spans, max_size=6), spans)
def test_clipped_busy_time_lies_inside_the_window_and_is_never_empty(busy: list[Span], window: Span) -> None:
    clipped = [item.span for item in clip_busy(map(BusyTime, busy), window)]
    assert all(window.start <= span.start < span.end <= window.end for span in clipped)


def test_an_empty_span_is_inside_the_window_that_contains_its_start() -> None:
    empty_span, window = Span(START, START), Span(START, START + timedelta(hours=1))
    assert empty_span.has_part_in(window) and not empty_span.overlaps(window)
    assert not Span(window.end, window.end).has_part_in(window)
