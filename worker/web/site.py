"""What every page needs: the worker, the links, the words of its reader, and how a page is written."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, g, request, url_for
from jinja2 import Environment, FileSystemLoader

from worker.app import Worker
from worker.domain.model import Pair, PairState, Person, Session
from worker.errors import LongarcError
from worker.i18n.language import Language, Languages
from worker.links import make_link_signer
from worker.mail.compose import Composer
from worker.mail.context import MailContext, ReadableCommitment
from worker.mail.templates import find_template_folder, load_default_templates, make_environment
from worker.mail.view import MailView
from worker.settings.load import Settings
from worker.store.store import Store
from worker.web.messages import CONFIRMATIONS, NOTICES
from worker.web.rate_limit import RateLimiter

log = logging.getLogger(__name__)

PRODUCT = "Longarc"
ASSET_TYPES = {"pages.css": "text/css", "pages.js": "text/javascript", "pages.svg": "image/svg+xml"}


class Site:
    """The pages of one worker."""

    def __init__(self, worker: Worker) -> None:
        settings = worker.settings
        links = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
        if links is None:
            raise LongarcError(
                "Pages need to know where they are reached: set `base_url`, as https://longarc.example.com."
            )
        self.worker = worker
        self.links = links
        self.limits = RateLimiter(worker.clock)
        self.drafts = Composer(settings)
        self.secure = urlsplit(settings.base_url).scheme == "https"
        self._folder = find_template_folder() / "pages"
        overrides = [settings.templates / "locale"] if settings.templates else []
        self._languages = Languages([*overrides, find_template_folder() / "locale"])
        self._words: dict[str, Language] = {}
        self._environments: dict[str, Environment] = {}

    @property
    def store(self) -> Store:
        return self.worker.store

    @property
    def settings(self) -> Settings:
        return self.worker.settings

    def now(self) -> datetime:
        return self.worker.clock()

    # --- words ---

    def choose_language(self, locale: str = "") -> Language:
        """The reader's language; of somebody unknown, what their browser asks for."""
        wish = locale or self._choose_locale()
        if wish not in self._words:
            self._words[wish] = self._load_language(wish)
        return self._words[wish]

    def _load_language(self, wish: str) -> Language:
        try:
            return self._languages.find_language(wish)
        except Exception as error:  # a catalogue of the company's own may be wrong in any way
            log.error("The catalogue for %s can't be read (%s): see `longarc check`.", wish, type(error).__name__)
            return load_default_templates().languages.find_language(wish)

    def _choose_locale(self) -> str:
        """The first of the browser's languages that there is, of which nobody can make up more; of somebody who came
        by a link, their own."""
        if "visit" in g:
            return str(g.visit.person.locale)
        known = self._languages.list_tags()
        wishes = (wish.partition("-")[0] for wish in request.accept_languages.values())
        return next((wish for wish in wishes if wish in known), self.settings.locale)

    def build_view(self, letter: MailContext) -> MailView:
        """What a letter speaks of, in its reader's words; a page is read like one."""
        return MailView(letter, self.choose_language(letter.to.locale))

    def build_mail_context(self, to: Person, state: PairState, session: Session | None = None) -> MailContext:
        """Everything a page about a pair may speak of. Opens the contract in force and the promises."""
        recorded = self.store.content.get_latest_contracts([state.pair.id]).get(state.pair.id)
        commitments = self.store.queries.list_commitments(state.pair.id)
        promises = self.store.content.get_written_commitments([one.id for one in commitments])
        return MailContext(
            name="page",
            key="",
            to=to,
            now=self.now(),
            manager=state.manager,
            report=state.report,
            pair=state.pair,
            session=session,
            contract=recorded.contract if recorded else None,
            revision=recorded.revision if recorded else 1,
            commitments=tuple(
                ReadableCommitment(commitment=c, promise=promises[c.id]) for c in commitments if c.id in promises
            ),
            deferrals=tuple(d for d in state.deferrals if session and d.session == session.id),
        )

    def load_state(self, pair: Pair) -> PairState:
        """All that is known of a pair."""
        return self.store.plans.load([pair.id], self.now()).states[0]

    # --- writing a page ---

    def render_page(self, name: str, words: Language, values: Mapping[str, Any], status: int = 200) -> Response:
        """The page of that name. `values` go before what every page has."""
        if words.tag not in self._environments:
            made = make_environment(FileSystemLoader(self._folder), words, html=True)
            made.globals.update(url=url_for, asset=self.make_asset_url, product=PRODUCT)
            self._environments[words.tag] = made
        said = CONFIRMATIONS.get(request.args.get("said", ""), "")
        shared = {"lang": words.tag, "direction": words.direction, "said": words.gettext(said), "token": "", "to": None}
        html = self._environments[words.tag].get_template(f"{name}.html.j2").render({**shared, **values})
        return Response(html, status, content_type="text/html; charset=utf-8", headers={"Content-Language": words.tag})

    def render_notice(self, name: str, status: int, detail: str = "", renewal: str = "") -> Response:
        """A page that says one thing. `detail`: words of an error of ours; `renewal`: where to ask for a new link."""
        title, text = NOTICES[name]
        words = self.choose_language()
        values = {"title": words.gettext(title), "text": words.gettext(text), "detail": detail, "renewal": renewal}
        return self.render_page("notice", words, values, status)

    def render_too_many(self) -> Response:
        """Somebody asks for too much."""
        answer = self.render_notice("too_many", 429)
        answer.headers["Retry-After"] = "60"
        return answer

    # --- style and script ---

    def make_asset_url(self, name: str) -> str:
        """Where a file of ours is, by an address that changes with it."""
        return url_for("asset", name=name, v=self.assets[name][1])

    @cached_property
    def assets(self) -> Mapping[str, tuple[bytes, str]]:
        """Our few files, each with its digest."""
        found = {name: Path(self._folder, name).read_bytes() for name in ASSET_TYPES}
        return {name: (raw, hashlib.sha256(raw).hexdigest()[:12]) for name, raw in found.items()}


def redirect_to(where: str) -> Response:
    """After a form was taken, or a link followed: look at that page now."""
    return Response(status=303, headers={"Location": where})


def current_site() -> Site:
    """The site this request is for."""
    found: Site = current_app.extensions["longarc"]
    return found
