"""Mails as their readers see them: rendered, serialized for SMTP and parsed again, in text and in HTML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from functools import cache
from html.parser import HTMLParser

from worker.domain.model import CommitmentStanding
from worker.mail.context import MailContext, ReadableCommitment
from worker.mail.kinds import list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import COMMITMENTS, CONTRACT, DANA, NOW, PAIR, SAM, SESSION

ENGLISH = MailRenderer(sender="longarc@example.com", domain="example.com")

SAMPLES = list(list_samples())

TO_MANAGER = MailContext(
    name="brief", key="k", to=DANA, now=NOW, manager=DANA, report=SAM, pair=PAIR, session=SESSION, contract=CONTRACT
)

TO_REPORT = replace(TO_MANAGER, name="reflection_prompt", to=SAM)


class HtmlText(HTMLParser):
    """The words that a reader sees in an HTML text, the links after their words, and all tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.hidden = 0  #: how many tags around this place hide their content
        self.link = ""  #: the address of the last link
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hidden += tag in ("style", "title")
        self.link = dict(attrs).get("href") or self.link

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "title")
        if tag == "a":
            self.words.append(self.link)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)


@dataclass(frozen=True)
class Mail:
    """A mail as it arrives, with its text and its HTML."""

    headers: Mapping[str, str]
    text: str
    html: str

    def says(self, words: str) -> bool:
        """Whether text and HTML both contain these words, wherever their lines are broken."""
        return all(words in " ".join(form.split()) for form in (self.text, self.html_text))

    def omits(self, words: str) -> bool:
        """Whether neither text nor HTML contains these words, in capital letters or small ones."""
        return not any(words.casefold() in " ".join(form.split()).casefold() for form in (self.text, self.html_text))

    @property
    def html_text(self) -> str:
        """The words that a reader sees in the HTML."""
        return " ".join(HtmlText(self.html).words)


def read_message(message: EmailMessage) -> Mail:
    """Return a message as it arrives."""
    parsed = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    text, html = (parsed.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    return Mail(dict(parsed.items()), text.get_content().replace("\r\n", "\n"), html.get_content())


def render(context: MailContext, renderer: MailRenderer = ENGLISH) -> Mail:
    """Render a mail, and return it as it arrives."""
    return read_message(renderer.render(context))


def keep_letters(text: str) -> str:
    """Return the letters and digits of a text alone, in which the text and the HTML of a mail must be equal."""
    return re.sub(r"\W|_", "", text)


@cache
def render_samples(name: str) -> list[tuple[MailContext, Mail]]:
    """Return each sample of the mail of that name: its context, and the mail as it arrives."""
    return [(context, render(context)) for context in SAMPLES if context.name == name]


def commitment_with_standing(standing: CommitmentStanding) -> ReadableCommitment:
    """Return a commitment of the samples that has now ended with this standing."""
    return replace(COMMITMENTS[0], commitment=replace(COMMITMENTS[0].commitment, standing=standing, closed_at=NOW))
