"""Renders a mail from its context, using three templates in the reader's language, and adds the headers.

The Message-ID depends only on the key of the mail's effect, so it stays the same when a mail is sent twice. A reader's
mails about one pair are replies to the introduction, so that mail programs show them as one thread.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Template

from worker.domain.model import Person
from worker.errors import Problem, Problems
from worker.i18n.language import Language, has_visible_text, to_single_line, wrap_text
from worker.mail.check_templates import (
    MAX_SIZE,
    find_broken_translations,
    find_changed_mails,
    find_misplaced_files,
    find_rendering_problems,
    find_unreadable_files,
)
from worker.mail.context import MailContext
from worker.mail.headers import MAIL_POLICY, format_address
from worker.mail.kinds import KINDS, SenderName, list_samples
from worker.mail.templates import PARTS, PRODUCT, MailTemplates, load_default_templates
from worker.mail.view import MailView

#: Everything in HTML that a reader doesn't see: comments, styles, the title, and all tags except images.
_INVISIBLE_HTML = re.compile(r"<!--.*?-->|<(style|title)\b.*?</\1>|<(?!img\b)[^>]*>", re.DOTALL | re.IGNORECASE)

#: The MIME boundary between the parts of a mail is fixed, so that a mail that is sent twice has the same bytes. No
#: quoted-printable text can contain it, because in such a text a hexadecimal digit or the end of the line follows each
#: `=`.
_MIME_BOUNDARY = "=_longarc_="


class MailRenderer:
    """Renders mails with our own templates, or with those of a company.

    `overrides` is a company's folder with the layout of `templates/emails`. It contains only the files that differ from
    ours, and catalogues in `overrides/locale`.
    """

    def __init__(self, *, sender: str, domain: str, overrides: Path | None = None, product: str = PRODUCT) -> None:
        self._sender = sender
        self._domain = domain
        self._product = product
        self._overrides = overrides
        self._templates = MailTemplates(overrides) if overrides else load_default_templates()
        self._languages = self._templates.languages

    def render(self, context: MailContext) -> EmailMessage:
        """Return the mail, ready to be sent. A broken template of a company may raise any exception."""
        return self._build_mail(context, self._templates)

    def render_default(self, context: MailContext) -> EmailMessage | None:
        """Return the mail from our own templates, for when `render` has failed with the company's.

        Return None without overrides: `render` has used our own templates then.
        """
        return self._build_mail(context, load_default_templates()) if self._overrides else None

    def _build_mail(self, context: MailContext, templates: MailTemplates) -> EmailMessage:
        language = templates.languages.find_language(context.to.locale)
        variables = self._collect_variables(context, language)
        subject, text, html = (templates.get_template(context.name, part, language) for part in PARTS)
        variables["subject"] = to_single_line(_render_template(subject, variables))
        text_body = _render_template(text, variables)
        html_body = _render_template(html, variables)
        message = EmailMessage(MAIL_POLICY)
        self._add_addresses(message, context)
        self._add_headers(message, context)
        message["Subject"] = variables["subject"]
        message.set_content(wrap_text(text_body), cte="quoted-printable")
        message.add_alternative(html_body, subtype="html", cte="quoted-printable")
        message.set_boundary(_MIME_BOUNDARY)
        # This header is added last, because `add_alternative` moves all Content-* headers into the first part.
        message["Content-Language"] = language.tag
        return message

    def _collect_variables(self, context: MailContext, language: Language) -> dict[str, object]:
        return {**MailView(context, language).collect_variables(), "product": self._product}

    def make_sender(self, context: MailContext) -> Address:
        """Return the name and the address for the From header."""
        name, email = self._find_sender(context)
        return Address(name, addr_spec=email)

    def _find_sender(self, context: MailContext) -> tuple[str, str]:
        """Return the name and the address of the sender."""
        return self._choose_sender_name(context), context.sender or self._sender

    def make_message_id(self, key: str) -> str:
        """Return the Message-ID of the mail with that outbox key."""
        return f"<{sha256(key.encode()).hexdigest()[:32]}@{self._domain}>"

    def check_templates(self) -> list[Problem]:
        """Return the problems of the templates and catalogues in use, found by rendering sample mails.

        Every sample of the mails that the overrides may change is rendered. Without overrides, one sample of each mail
        is enough, because tests render all samples before a release.
        """
        if self._overrides is None:
            return list(_check_default_templates(self._sender, self._domain, self._product))
        problems = _check_overrides(self._overrides)
        return problems or self.check_samples(self._list_samples(find_changed_mails(self._overrides)))

    def check_samples(self, samples: Iterable[MailContext]) -> list[Problem]:
        """Return the problems of rendering these sample mails."""
        return find_rendering_problems(self.render, self._render_part, samples)

    def _list_samples(self, names: Collection[str]) -> Iterator[MailContext]:
        """Yield every sample of these mails in every language."""
        for language in self._languages.list_tags():
            yield from (context for context in list_samples(language) if context.name in names)

    def list_first_samples(self) -> list[MailContext]:
        """Return the first sample of each mail in every language."""
        samples: dict[tuple[str, str], MailContext] = {}
        for context in self._list_samples(KINDS):
            samples.setdefault((context.to.locale, context.name), context)
        return list(samples.values())

    def _render_part(self, context: MailContext, part: str) -> None:
        """Render one of PARTS without keeping it, to see whether it raises."""
        language = self._languages.find_language(context.to.locale)
        template = self._templates.get_template(context.name, part, language)
        # any subject will do: the rendered subject, which a body can show, is checked as a part of its own
        _render_template(template, {**self._collect_variables(context, language), "subject": context.name})

    def has_language(self, locale: str) -> bool:
        """Return whether mails exist in the language of the locale. If not, its readers get English."""
        return self._languages.has_language(locale)

    def _add_addresses(self, message: EmailMessage, context: MailContext) -> None:
        """Add the headers From, To and Reply-To.

        Replies go to the other person of the pair, and those of a third person to the report, who asked the question.
        """
        message["From"] = format_address(*self._find_sender(context))
        message["To"] = _format_person(context.to)
        other_person = context.report if _is_from_report(context) else _find_other_person(context)
        # a mail from the other person's own mailbox needs no Reply-To
        if other_person and not KINDS[context.name].omits_reply_to and other_person.email != context.sender:
            message["Reply-To"] = _format_person(other_person)

    def _choose_sender_name(self, context: MailContext) -> str:
        if context.report and _is_from_report(context):
            return to_single_line(context.report.name)
        return to_single_line(context.manager.name) if context.manager and _is_from_manager(context) else self._product

    def _add_headers(self, message: EmailMessage, context: MailContext) -> None:
        """Add the date, the ids of the mail and of its thread, and the headers that suppress automatic replies."""
        message["Date"] = context.now
        message["Message-ID"] = self.make_message_id(context.key)
        if context.thread:  # the key of the mail with which the thread began
            message["In-Reply-To"] = message["References"] = self.make_message_id(context.thread)
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"


@lru_cache(8)
def _check_default_templates(sender: str, domain: str, product: str) -> tuple[Problem, ...]:
    """Return the problems of our own templates. They are cached, because our templates don't change in a process."""
    renderer = MailRenderer(sender=sender, domain=domain, product=product)
    return tuple(renderer.check_samples(renderer.list_first_samples()))


def _check_overrides(overrides: Path) -> list[Problem]:
    """Return the problems of the overrides that can be found without rendering."""
    return find_unreadable_files(overrides) or [*find_misplaced_files(overrides), *find_broken_translations(overrides)]


def _render_template(template: Template, variables: Mapping[str, object]) -> str:
    """Return the rendered template. Raises Problems when the result is too long, or has no visible text."""
    rendered = template.render(variables)
    visible = _INVISIBLE_HTML.sub("", rendered) if str(template.name).endswith(".html.j2") else rendered
    if not has_visible_text(visible):
        what, remedy = "This template gives nothing.", "Write some text, or delete the file: then ours is used."
    elif len(rendered) > MAX_SIZE:
        what, remedy = f"This template gives more than {MAX_SIZE:,} characters.", "Keep what a reader needs."
    else:
        return rendered
    raise Problems([Problem(str(template.filename), what, remedy)])


def _is_from_manager(context: MailContext) -> bool:
    """Return whether the mail is sent to the report in the manager's name (R-2, R-11)."""
    is_for_report = context.report is not None and context.to.email == context.report.email
    return is_for_report and KINDS[context.name].sender_name is SenderName.MANAGER


def _is_from_report(context: MailContext) -> bool:
    """Return whether the mail is sent to somebody outside the pair in the report's name (R-30)."""
    return KINDS[context.name].sender_name is SenderName.REPORT


def _find_other_person(context: MailContext) -> Person | None:
    """Return the person of the pair who is not the reader; None for a mail to somebody outside the pair."""
    if context.manager and context.report and context.to.email in (context.manager.email, context.report.email):
        return context.report if context.to.email == context.manager.email else context.manager
    return None


def _format_person(person: Person) -> str:
    return format_address(to_single_line(person.name), person.email)
