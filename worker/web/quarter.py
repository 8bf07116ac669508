"""The operator's page about the next quarter: which sessions are booked, and which mails will be sent about them.

The page reads the database and no calendar. `longarc plan --html` also shows what is still to be booked. The page
contains nothing of what people wrote, and no session that somebody asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from flask import Blueprint, Response, abort, url_for

from worker.clock import is_recent
from worker.domain.model import Plan
from worker.engine.sweep import BATCH, PlannedPair
from worker.ops.preview.concerns import ConcernKind
from worker.ops.preview.quarter import MAIL_PERIOD, QuarterPreview, build_quarter
from worker.ops.preview.sample_mails import SampleMail, render_samples
from worker.ops.preview.view import QuarterView
from worker.web.logins import current_login
from worker.web.security import MAIL_CONTENT_SECURITY
from worker.web.site import Site, current_site

#: A cached quarter is used for this long, because computing it takes seconds for a large company.
MAX_AGE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CachedQuarter:
    """A quarter and its sample mails, as they were computed at `computed_at`."""

    computed_at: datetime
    preview: QuarterPreview
    samples: Sequence[SampleMail]


class QuarterPages:
    """The page about the quarter and its sample mails, which are cached for `MAX_AGE`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cached: CachedQuarter | None = None

    def add_to(self, pages: Blueprint) -> None:
        """Register the page and its mails on the blueprint of the operator's pages."""
        pages.add_url_rule("/quarter", "quarter", self._show)
        pages.add_url_rule("/quarter/mail/<int:number>", "quarter_mail", self._show_mail)

    def _show(self) -> Response:
        site, language = current_site(), current_site().choose_language()
        page = {
            "to": current_login().person,
            "token": current_login().token,
            "view": self._make_view(site),
            "sample_url": lambda number: url_for(".quarter_mail", number=number),
        }
        return site.render_page("quarter", language, page)

    def _show_mail(self, number: int) -> Response:
        samples = self._make_view(current_site()).mailing.samples
        sample = next((sample for sample in samples if sample.id == number), None)
        if sample is None:
            abort(404)
        response = Response(sample.html, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = MAIL_CONTENT_SECURITY
        return response

    def _make_view(self, site: Site) -> QuarterView:
        with self._lock:
            if self._cached is None or not is_recent(self._cached.computed_at, site.now(), MAX_AGE):
                self._cached = _compute_quarter(site)
            cached = self._cached
        rollout = site.store.participation.load().rollout
        return QuarterView(cached.preview, site.choose_language(), cached.samples, rollout=rollout, is_booked=True)


def _compute_quarter(site: Site) -> CachedQuarter:
    """Return the quarter from the database, with the mails that are expected within `MAIL_PERIOD`."""
    now = site.now()
    preview = build_quarter(
        _load_pairs(site, now),
        now,
        site.settings.policy,
        more_mails=site.worker.pulse.list_coming_mails(now + MAIL_PERIOD),
        length=MAIL_PERIOD,  # booked sessions need no forecast, and mails are listed for this period only
    )
    # A pair whose free/busy was not read yet needs no attention: the next sweep reads it and plans the pair.
    concerns = tuple(concern for concern in preview.concerns if concern.kind is not ConcernKind.NO_FREE_BUSY)
    preview = replace(preview, concerns=concerns)
    return CachedQuarter(now, preview, render_samples(preview.samples, site.settings, site.worker.mail_renderer))


def _load_pairs(site: Site, now: datetime) -> Iterator[PlannedPair]:
    """Yield the pairs, each with its stored state and an empty plan. The pairs of a manager follow one another.

    Pairs whose sealed values can't be opened are left out.
    """
    pairs = sorted(site.store.people.load_all_pairs(), key=str)
    for first in range(0, len(pairs), BATCH):
        for state in site.store.plans.load_readable(pairs[first : first + BATCH], now).states:
            yield PlannedPair(state, Plan(pair=state.pair.id, due_at=now))
