"""The mails of the demo as the mail service took them, as files to open: as it came, as it looks, as text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from examples.northlight.names import pair_of, parse_instant
from worker.domain.model import Address, PairId
from worker.simulation.world import LedgerLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredMail:
    """A mail, with what the ledger knows of it."""

    number: int
    name: str  #: which message
    to: Address
    pair: PairId | None  #: None for what the operator is told
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
        """Where its files are, without their endings."""
        return f"mail/{self.to.partition('@')[0]}/{self.number:03}-{self.name.replace('_', '-')}"


def read_mails(taken: Path, ledger: Iterable[LedgerLine]) -> Iterator[DeliveredMail]:
    """What the server took, in the order it came; `taken` holds a file for each."""
    known: Mapping[str, LedgerLine] = {line["message_id"]: line for line in ledger if line["what"] == "mail"}
    for number, file in enumerate(sorted(taken.glob("*.eml")), 1):
        raw = file.read_bytes()
        mail = message_from_bytes(raw, policy=policy.default)
        line = known[str(mail["Message-ID"])]
        yield DeliveredMail(
            number=number,
            name=line["message"],
            to=line["to"],
            pair=pair_of(line),
            session=line.get("session", ""),
            line=line,
            subject=str(mail["Subject"]),
            sender=mail["From"].addresses[0].display_name,
            html=_get_part(mail, "html"),
            text=_get_part(mail, "plain"),
            raw=raw,
        )


def write_mails(found: Iterable[DeliveredMail], out: Path) -> None:
    """A file each for the mail as it came, as it looks, and as text."""
    for letter in found:
        base = out / letter.path
        base.parent.mkdir(parents=True, exist_ok=True)
        base.with_suffix(".eml").write_bytes(letter.raw)
        base.with_suffix(".html").write_text(letter.html, encoding="utf-8")
        base.with_suffix(".txt").write_text(letter.text, encoding="utf-8")


def sort_by_time(found: Iterable[DeliveredMail]) -> list[DeliveredMail]:
    """In the order in which they were sent."""
    return sorted(found, key=lambda letter: (parse_instant(letter.line["at"]), letter.number))


def _get_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    if part is None:
        raise LookupError(f"The mail {mail['Subject']!r} has no part of {kind}.")
    return str(part.get_content()).replace("\r\n", "\n")  # on the wire lines end otherwise than in files
