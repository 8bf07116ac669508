"""The mails that the mail service of the demo received, and their files: as received, as HTML and as text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from examples.northlight.names import get_pair, parse_instant
from worker.domain.model import Address, PairId
from worker.simulation.world import LedgerLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredMail:
    """A received mail with its line of the ledger."""

    number: int
    name: str  #: name of the mail template
    to: Address
    pair: PairId | None  #: None for a mail to the operator
    session: str
    line: LedgerLine
    subject: str
    sender: str
    html: str
    text: str
    raw: bytes

    @property
    def id(self) -> str:
        return str(self.line["message_id"])

    @property
    def path(self) -> str:
        """The path of its files below the output folder, without extension."""
        return f"mail/{self.to.partition('@')[0]}/{self.number:03}-{self.name.replace('_', '-')}"


def read_mails(folder: Path, ledger: Iterable[LedgerLine]) -> Iterator[DeliveredMail]:
    """Yield the mails in the order they were received. `folder` contains one file for each."""
    lines: Mapping[str, LedgerLine] = {line["message_id"]: line for line in ledger if line["what"] == "mail"}
    for number, file in enumerate(sorted(folder.glob("*.eml")), 1):
        raw = file.read_bytes()
        mail = message_from_bytes(raw, policy=policy.default)
        line = lines[str(mail["Message-ID"])]
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
            text=_get_part(mail, "plain"),
            raw=raw,
        )


def write_mails(mails: Iterable[DeliveredMail], out: Path) -> None:
    """Write each mail as .eml, .html and .txt."""
    for mail in mails:
        base = out / mail.path
        base.parent.mkdir(parents=True, exist_ok=True)
        base.with_suffix(".eml").write_bytes(mail.raw)
        base.with_suffix(".html").write_text(mail.html, encoding="utf-8")
        base.with_suffix(".txt").write_text(mail.text, encoding="utf-8")


def sort_by_time(mails: Iterable[DeliveredMail]) -> list[DeliveredMail]:
    """Return the mails in the order in which they were sent."""
    return sorted(mails, key=lambda mail: (parse_instant(mail.line["at"]), mail.number))


def _get_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    if part is None:
        raise LookupError(f"The mail {mail['Subject']!r} has no {kind} part.")
    return str(part.get_content()).replace("\r\n", "\n")  # mails have CRLF line ends
