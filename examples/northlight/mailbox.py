"""The mails that the mail service of the demo received, and their files: as received, as HTML and as text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from examples.northlight.names import get_pair, parse_instant
from examples.northlight.page_copies import PageCopy, point_to_copies
from worker.domain.model import Address, PairId
from worker.simulation.world import LedgerLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredMail:
    """A received mail with its line of the ledger."""

    number: int
    name: str  #: name of the mail template
    to: Address
    pair: PairId | None  #: None for a mail to the operator
    session: str  #: the id of its session; empty without one
    line: LedgerLine
    subject: str
    sender: str
    html: str
    pages: Mapping[str, PageCopy]  #: copies of the pages that the mail links to, by link
    text: str
    raw: bytes

    @property
    def id(self) -> str:
        return str(self.line["message_id"])

    @property
    def html_on_page(self) -> str:
        """The mail as the page of the demo shows it: its links lead to copies."""
        return point_to_copies(self.html, self.pages, "pages")

    @property
    def html_in_file(self) -> str:
        """The mail as its own HTML file shows it."""
        return point_to_copies(self.html, self.pages, "../../pages")

    @property
    def linked_pages(self) -> list[PageCopy]:
        """The pages that the mail links to, each once."""
        return list({page.name: page for page in self.pages.values()}.values())

    @property
    def path(self) -> str:
        """The path of its files below the output folder, without extension."""
        return f"mail/{self.to.partition('@')[0]}/{self.number:03}-{self.name.replace('_', '-')}"


def read_mails(
    folder: Path, ledger: Iterable[LedgerLine], copies: Mapping[str, Mapping[str, PageCopy]]
) -> Iterator[DeliveredMail]:
    """Yield the mails in the order they were received. `folder` contains one file for each.

    `copies` holds the pages that each mail links to, by Message-ID.
    """
    lines: Mapping[str, LedgerLine] = {line["message_id"]: line for line in ledger if line["what"] == "mail"}
    for number, file in enumerate(sorted(folder.glob("*.eml")), 1):
        raw = file.read_bytes()
        mail = message_from_bytes(raw, policy=policy.default)
        mail_id = str(mail["Message-ID"])
        line = lines[mail_id]
        pages = copies.get(mail_id, {})
        yield DeliveredMail(
            number=number,
            name=line["message"],
            to=line["to"],
            pair=get_pair(line),
            session=line.get("session", ""),
            line=line,
            subject=str(mail["Subject"]),
            sender=mail["From"].addresses[0].display_name,
            html=_get_part(mail, "html"),
            pages=pages,
            text=_get_part(mail, "plain"),
            raw=raw,
        )


def list_sent_times(folder: Path) -> dict[str, datetime]:
    """Return when each mail was sent, by Message-ID, in UTC."""
    mails = (BytesHeaderParser().parsebytes(file.read_bytes()) for file in folder.glob("*.eml"))
    return {mail["Message-ID"]: parsedate_to_datetime(mail["Date"]).astimezone(UTC) for mail in mails}


def write_mails(mails: Iterable[DeliveredMail], out: Path) -> None:
    """Write each mail as .eml, .html and .txt. The HTML files link to the copies of the pages."""
    for mail in mails:
        base = out / mail.path
        base.parent.mkdir(parents=True, exist_ok=True)
        base.with_suffix(".eml").write_bytes(mail.raw)
        base.with_suffix(".html").write_text(mail.html_in_file, encoding="utf-8")
        base.with_suffix(".txt").write_text(mail.text, encoding="utf-8")


def sort_by_time(mails: Iterable[DeliveredMail]) -> list[DeliveredMail]:
    """Return the mails in the order in which they were sent."""
    return sorted(mails, key=lambda mail: (parse_instant(mail.line["at"]), mail.number))


def _get_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    if part is None:
        raise LookupError(f"The mail {mail['Subject']!r} has no {kind} part.")
    return str(part.get_content()).replace("\r\n", "\n")  # mails have CRLF line ends
