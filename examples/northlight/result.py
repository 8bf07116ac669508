"""The result of a run, which outlives the servers: the ledger, the mails, sessions, commitments and people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from examples.northlight import people
from examples.northlight.mailbox import DeliveredMail, list_sent_times, read_mails
from examples.northlight.stage import DemoStage
from worker.domain.model import Address, Commitment, MailName, Pair, PairId, Person, Session, WrittenCommitment
from worker.simulation.world import LedgerLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Everything that the page shows."""

    end: datetime
    ledger: Sequence[LedgerLine]  #: also the lines marked `private`, which `ledger.jsonl` leaves out
    mails: Sequence[DeliveredMail]
    sessions: Sequence[Session]
    commitments: Sequence[Commitment]
    promises: Mapping[str, WrittenCommitment]  #: the texts of the commitments, opened with the key of the demo
    persons: Mapping[Address, Person]
    pairs: Mapping[PairId, Pair]
    real_parts: str  #: what of the demo is real, as a text for the page
    calendar_source: str  #: where the calendars come from, as a text for the page

    @property
    def late_sessions(self) -> set[str]:
        """The ids of the sessions whose contract was recorded after the 48 hours."""
        return {line["session"] for line in self.ledger if line["what"] == "session" and line.get("late")}


def collect_result(stage: DemoStage) -> DemoResult:
    """Read the result from the stage while its servers still run."""
    store = stage.worker.store
    ledger = sorted([*stage.ledger, *_list_private_mails(stage)], key=lambda line: str(line["at"]))
    mails = list(read_mails(stage.services.mail_folder, ledger, stage.pages.copies))
    commitments = store.queries.list_commitments()
    persons = store.people.load_current_people()
    pairs = store.people.load_all_pairs()
    return DemoResult(
        end=stage.clock(),
        ledger=ledger,
        mails=mails,
        sessions=store.queries.list_sessions(),
        commitments=commitments,
        promises=store.content.get_written_commitments([commitment.id for commitment in commitments]),
        persons={email: persons[email] for email in people.NAMES if email in persons},
        pairs={pair_id: pairs[pair_id] for pair_id in people.PAIRS if pair_id in pairs},
        real_parts=stage.services.real_parts,
        calendar_source=stage.services.calendar_source,
    )


def _list_private_mails(stage: DemoStage) -> Iterator[LedgerLine]:
    """Yield a ledger line for each mail about a third voice, which the ledger of the stage does not contain (R-30)."""
    worker = stage.worker
    times = list_sent_times(stage.services.mail_folder)
    for pair in worker.store.people.load_all_pairs().values():
        for voice in worker.third_voices.list_voices(pair.report) if pair.is_active else ():
            for name, to in (
                (MailName.THIRD_VOICE_REQUEST, voice.to),
                (MailName.THIRD_VOICE_ANSWERED, voice.report),
            ):
                mail_id = worker.mail_renderer.make_message_id(f"{name}:{voice.id}")
                if mail_id in times:
                    yield {
                        "at": f"{times[mail_id]:%Y-%m-%dT%H:%M:%SZ}",
                        "what": "mail",
                        "pair": str(pair.id),
                        "message": name.value,
                        "to": to,
                        "message_id": mail_id,
                        "private": True,
                    }
