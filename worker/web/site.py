"""The site: the objects that every page needs, such as the worker, the link signer, languages and page templates."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, g, request, url_for
from jinja2 import Environment

from worker.app import Worker
from worker.domain.model import Handover, Pair, PairState, Person, Session
from worker.domain.planning.cadence import choose_interval
from worker.errors import LongarcError
from worker.i18n.language import Language, Languages
from worker.links import make_link_signer
from worker.logs import Action
from worker.mail.compose import Composer
from worker.mail.context import MailContext, ReadableCommitment
from worker.mail.templates import find_template_folder, load_default_templates, make_page_environment
from worker.mail.view import MailView
from worker.settings.load import Settings
from worker.store.store import Store
from worker.web.messages import CONFIRMATIONS, NOTICES
from worker.web.rate_limit import RateLimiter

log = logging.getLogger(__name__)

#: The media type of each asset, which is a file beside the page templates.
ASSET_TYPES = {
    "pages.css": "text/css",
    "quarter.css": "text/css",
    "pages.js": "text/javascript",
    "pages.svg": "image/svg+xml",
}


class Site:
    """The objects that the pages of one worker share."""

    def __init__(self, worker: Worker) -> None:
        settings = worker.settings
        links = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
        if links is None:
            raise LongarcError(
                "The pages need their public address: set `base_url`, for example https://longarc.example.com."
            )
        self.worker = worker
        self.links = links
        self.limiter = RateLimiter(worker.clock)
        self.composer = Composer(settings)
        self.is_secure = urlsplit(settings.base_url).scheme == "https"
        self._folder = find_template_folder() / "pages"
        overrides = [settings.templates / "locale"] if settings.templates else []
        self._languages = Languages([*overrides, find_template_folder() / "locale"])
        self._loaded_languages: dict[str, Language] = {}
        self._environments: dict[str, Environment] = {}

    @property
    def store(self) -> Store:
        return self.worker.store

    @property
    def settings(self) -> Settings:
        return self.worker.settings

    def now(self) -> datetime:
        return self.worker.clock()

    # --- language ---

    def choose_language(self, locale: str = "") -> Language:
        """Return the language of the locale; without a locale, that of the person logged in or of the browser."""
        locale = locale or self._choose_locale()
        if locale not in self._loaded_languages:
            self._loaded_languages[locale] = self._load_language(locale)
        return self._loaded_languages[locale]

    def _load_language(self, locale: str) -> Language:
        try:
            return self._languages.find_language(locale)
        except Exception as error:  # a catalogue of the company's own may have any fault
            message = "The catalogue for %s can't be read (%s): see `longarc check`."
            log.error(message, locale, type(error).__name__, extra={"action": Action.CATALOGUE_UNREAD})
            return load_default_templates().languages.find_language(locale)

    def _choose_locale(self) -> str:
        """Return the locale of the person logged in, or else the browser's first language that has a catalogue.

        Languages without a catalogue are ignored, because every language that is loaded stays in memory.
        """
        if "login" in g:
            return str(g.login.person.locale)
        available = self._languages.list_tags()
        accepted = (tag.partition("-")[0] for tag in request.accept_languages.values())
        return next((tag for tag in accepted if tag in available), self.settings.locale)

    def build_view(self, context: MailContext) -> MailView:
        """Return the view of a context in its reader's language. Pages and mails use the same kind of view."""
        return MailView(context, self.choose_language(context.to.locale))

    def build_page_context(self, to: Person, state: PairState, session: Session | None = None) -> MailContext:
        """Return the values that a page about a pair shows to the reader `to`, and about `session` if there is one.

        The contract in force and the texts of the commitments are decrypted.
        """
        latest = self.store.content.get_latest_contracts([state.pair.id]).get(state.pair.id)
        commitments = self.store.queries.list_commitments(state.pair.id)
        written = self.store.content.get_written_commitments([commitment.id for commitment in commitments])
        return MailContext(
            name="page",
            key="",
            to=to,
            now=self.now(),
            manager=state.manager,
            report=state.report,
            pair=state.pair,
            every=choose_interval(state.pair, self.now().date(), self.settings.policy),
            session=session,
            contract=latest.contract if latest else None,
            revision=latest.revision if latest else 1,
            commitments=tuple(
                ReadableCommitment(commitment=c, promise=written[c.id]) for c in commitments if c.id in written
            ),
            openings=self.composer.choose_openings(state.report, self.now()),
            deferrals=tuple(d for d in state.deferrals if session and d.session == session.id),
            deferral_reasons=self._load_deferral_reasons(session) if session else {},
        )

    def _load_deferral_reasons(self, session: Session) -> Mapping[int, str]:
        return self.store.content.load_deferral_reasons([session.id]).get(session.id, {})

    def load_state(self, pair: Pair) -> PairState:
        """Return the stored state of a pair: its people, sessions, deferrals and commitments."""
        return self.store.plans.load([pair.id], self.now()).states[0]

    def load_former_state(self, handover: Handover) -> PairState:
        """Return the stored state of the handover's former pair."""
        return self.store.plans.load([handover.former_pair], self.now()).states[0]

    # --- rendering ---

    def render_page(self, name: str, language: Language, values: Mapping[str, Any], status: int = 200) -> Response:
        """Return the page of the template `name`. `values` override the values that every page has."""
        if language.tag not in self._environments:
            environment = make_page_environment(language)
            environment.globals.update(url=url_for, asset=self.make_asset_url)
            self._environments[language.tag] = environment
        confirmation = CONFIRMATIONS.get(request.args.get("said", ""), "")
        shared = {"said": language.gettext(confirmation), "token": "", "to": None}
        html = self._environments[language.tag].get_template(f"{name}.html.j2").render({**shared, **values})
        return Response(
            html, status, content_type="text/html; charset=utf-8", headers={"Content-Language": language.tag}
        )

    def render_notice(self, name: str, status: int, detail: str = "", renewal: str = "") -> Response:
        """Return the page with one of NOTICES. `detail`: another sentence. `renewal`: the URL that mails a new link."""
        values = {**self.describe_notice(name), "detail": detail, "renewal": renewal}
        return self.render_page("notice", self.choose_language(), values, status)

    def describe_notice(self, name: str) -> dict[str, str]:
        """Return the translated title and text of one of NOTICES."""
        language, (title, text) = self.choose_language(), NOTICES[name]
        return {"title": language.gettext(title), "text": language.gettext(text)}

    def render_too_many(self) -> Response:
        """Return the response to a request above the rate limit."""
        response = self.render_notice("too_many", 429)
        response.headers["Retry-After"] = "60"
        return response

    # --- style and script ---

    def make_asset_url(self, name: str) -> str:
        """Return the URL of an asset. The URL changes with the content, so browsers can cache the file forever."""
        return url_for("asset", name=name, v=self.assets[name][1])

    @cached_property
    def assets(self) -> Mapping[str, tuple[bytes, str]]:
        """By name of an asset: its content, and the first digits of the content's digest."""
        contents = {name: Path(self._folder, name).read_bytes() for name in ASSET_TYPES}
        return {name: (content, hashlib.sha256(content).hexdigest()[:12]) for name, content in contents.items()}


def redirect_to(url: str) -> Response:
    """Return a redirect (303) after a form or a link was handled. The browser opens the URL with GET."""
    return Response(status=303, headers={"Location": url})


def redirect_with_confirmation(endpoint: str, confirmation: str | None, **url_values: Any) -> Response:
    """Return a redirect to an endpoint's page, which shows a confirmation: a key of CONFIRMATIONS, or None.

    `url_values` are passed to `url_for`.
    """
    return redirect_to(url_for(endpoint, said=confirmation, **url_values))


def current_site() -> Site:
    """Return the site of the application that handles this request."""
    site: Site = current_app.extensions["longarc"]
    return site
