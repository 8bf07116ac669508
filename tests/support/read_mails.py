"""Mails as their readers see them: rendered, sent over the wire and read back, in text and in HTML."""

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


class Shown(HTMLParser):
    """What a reader sees of an HTML page, and the tags it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.hidden = 0
        self.link = ""
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
    """A mail as it arrives."""

    headers: Mapping[str, str]
    text: str
    html: str

    def says(self, words: str) -> bool:
        """Whether both forms say it, however their lines are broken."""
        return all(words in " ".join(form.split()) for form in (self.text, self.seen))

    def silent(self, words: str) -> bool:
        """Whether neither form says it."""
        return not any(words.casefold() in " ".join(form.split()).casefold() for form in (self.text, self.seen))

    @property
    def seen(self) -> str:
        return " ".join(Shown(self.html).words)


def arrived(message: EmailMessage) -> Mail:
    parsed = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    text, html = (parsed.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    return Mail(dict(parsed.items()), text.get_content().replace("\r\n", "\n"), html.get_content())


def read(letter: MailContext, emails: MailRenderer = ENGLISH) -> Mail:
    return arrived(emails.render(letter))


def bare(text: str) -> str:
    """The letters and digits alone: what two forms of one mail must share."""
    return re.sub(r"\W|_", "", text)


@cache
def samples(name: str) -> list[tuple[MailContext, Mail]]:
    """Every sample of a message, as it arrives."""
    return [(letter, read(letter)) for letter in SAMPLES if letter.name == name]


def kept(standing: CommitmentStanding) -> ReadableCommitment:
    return replace(COMMITMENTS[0], commitment=replace(COMMITMENTS[0].commitment, standing=standing, closed_at=NOW))
