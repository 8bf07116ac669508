"""Turns a letter into a mail: three templates in the reader's language, and headers that are safe and stable.

The Message-ID follows from the outbox key alone, so that the same mail sent twice is the same mail. The mails about one
pair form a thread under the introduction that the reader got.
"""

import re
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Template

from worker.domain.model import Person
from worker.errors import Problem, Problems
from worker.i18n.language import Language, strip_invisible, to_single_line, wrap_text
from worker.mail.check_templates import (
    MAX_SIZE,
    find_broken_translations,
    find_misplaced_files,
    find_mistakes,
    find_unreadable_files,
)
from worker.mail.context import MailContext
from worker.mail.kinds import KINDS, Voice
from worker.mail.templates import PARTS, MailTemplates, load_default_templates
from worker.mail.view import MailView

#: In HTML, whatever a reader doesn't see.
_INVISIBLE_HTML = re.compile(r"<!--.*?-->|<(style|title)\b.*?</\1>|<(?!img\b)[^>]*>", re.DOTALL | re.IGNORECASE)

#: Fixed, so that the same mail sent twice is the same mail. It is never inside a quoted-printable text, where `=` is
#: followed by digits or by the end of the line.
_BOUNDARY = "=_longarc_="


class MailRenderer:
    """Renders letters.

    `overrides` is a folder laid out like `templates/emails`, of which a company writes only what it wants to be
    different; `overrides/locale` may hold catalogues of its own.
    """

    def __init__(self, *, sender: str, domain: str, overrides: Path | None = None, product: str = "Longarc") -> None:
        self._sender = sender
        self._domain = domain
        self._product = product
        self._overrides = overrides
        self._templates = MailTemplates(overrides) if overrides else load_default_templates()
        self._languages = self._templates.languages

    def render(self, letter: MailContext) -> EmailMessage:
        """The mail, ready to be handed to a mailer. A template that is wrong may raise anything."""
        return self._build_mail(letter, self._templates)

    def render_default(self, letter: MailContext) -> EmailMessage | None:
        """The same mail as it comes from us; None when nobody wrote another, so that there is nothing to go back to."""
        return self._build_mail(letter, load_default_templates()) if self._overrides else None

    def _build_mail(self, letter: MailContext, templates: MailTemplates) -> EmailMessage:
        words = templates.languages.find_language(letter.to.locale)
        names = self._collect_names(letter, words)
        subject, text, html = (templates.get_template(letter.name, part, words) for part in PARTS)
        names["subject"] = to_single_line(_render_template(subject, names))
        bodies = _render_template(text, names), _render_template(html, names)
        message = EmailMessage(SMTP)
        self._add_addresses(message, letter)
        self._add_headers(message, letter)
        message["Subject"] = names["subject"]
        message.set_content(wrap_text(bodies[0]), cte="quoted-printable")
        message.add_alternative(bodies[1], subtype="html", cte="quoted-printable")
        message.set_boundary(_BOUNDARY)
        message["Content-Language"] = words.tag  # last: making it an alternative moves Content-* headers into a part
        return message

    def _collect_names(self, letter: MailContext, words: Language) -> dict[str, object]:
        return {**MailView(letter, words).names(), "product": self._product}

    def make_sender(self, letter: MailContext) -> Address:
        """The name and address that the mail is from."""
        return Address(self._choose_sender_name(letter), addr_spec=letter.sender or self._sender)

    def make_message_id(self, key: str) -> str:
        """The Message-ID of the mail with that outbox key."""
        return f"<{sha256(key.encode()).hexdigest()[:32]}@{self._domain}>"

    def check_templates(self) -> list[Problem]:
        """What is wrong with the templates and catalogues in use; every message is rendered in every language."""
        if self._overrides is None:
            return list(_own_mistakes(self._sender, self._domain, self._product))
        return _check_overrides(self._overrides) or self.mistakes()

    def mistakes(self) -> list[Problem]:
        """What goes wrong when every message is rendered in every language."""
        return find_mistakes(self.render, self._render_part, self._languages.list_tags())

    def _render_part(self, letter: MailContext, part: str) -> None:
        """One of PARTS by itself, of which nothing is kept: only whether it can be made."""
        words = self._languages.find_language(letter.to.locale)
        _render_template(
            self._templates.get_template(letter.name, part, words),
            {**self._collect_names(letter, words), "subject": letter.name},
        )

    def has_language(self, locale: str) -> bool:
        """Whether somebody with that locale is written to in their language; in English otherwise."""
        return self._languages.has_language(locale)

    def _add_addresses(self, message: EmailMessage, letter: MailContext) -> None:
        """Who writes, who reads, and whom an answer reaches."""
        message["From"] = self.make_sender(letter)
        message["To"] = _make_address(letter.to)
        other = _find_other_person(letter)
        if other and not KINDS[letter.name].reader_only and other.email != letter.sender:
            message["Reply-To"] = _make_address(other)

    def _choose_sender_name(self, letter: MailContext) -> str:
        return to_single_line(letter.manager.name) if letter.manager and _is_from_manager(letter) else self._product

    def _add_headers(self, message: EmailMessage, letter: MailContext) -> None:
        """When, which one, in which thread, and that no machine should answer."""
        message["Date"] = letter.now
        message["Message-ID"] = self.make_message_id(letter.key)
        if letter.thread:
            message["In-Reply-To"] = message["References"] = self.make_message_id(letter.thread)
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"


@lru_cache(8)
def _own_mistakes(sender: str, domain: str, product: str) -> tuple[Problem, ...]:
    """What is wrong with our own templates, which don't change while a process lives."""
    return tuple(MailRenderer(sender=sender, domain=domain, product=product).mistakes())


def _check_overrides(overrides: Path) -> list[Problem]:
    """What is wrong with a company's own files before anything is made of them."""
    return find_unreadable_files(overrides) or [*find_misplaced_files(overrides), *find_broken_translations(overrides)]


def _render_template(template: Template, names: Mapping[str, object]) -> str:
    """What a template makes of them. A mail with nothing in it, or with no end, is never sent. Raises Problems."""
    said = template.render(names)
    seen = _INVISIBLE_HTML.sub("", said) if str(template.name).endswith(".html.j2") else said
    if not strip_invisible(seen).strip():
        what, remedy = "This template gives nothing.", "Write some text, or delete the file: then ours is used."
    elif len(said) > MAX_SIZE:
        what, remedy = f"This template gives more than {MAX_SIZE:,} characters.", "Keep what a reader needs."
    else:
        return said
    raise Problems([Problem(str(template.filename), what, remedy)])


def _is_from_manager(letter: MailContext) -> bool:
    """True for what the manager says to the report (R-2, R-11)."""
    reads_report = letter.report is not None and letter.to.email == letter.report.email
    return reads_report and KINDS[letter.name].voice is Voice.MANAGER


def _find_other_person(letter: MailContext) -> Person | None:
    """The one of the pair who isn't the reader."""
    if letter.manager and letter.report and letter.to.email in (letter.manager.email, letter.report.email):
        return letter.report if letter.to.email == letter.manager.email else letter.manager
    return None


def _make_address(person: Person) -> Address:
    return Address(to_single_line(person.name), addr_spec=person.email)
