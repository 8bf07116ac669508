"""What is left of a run when the servers are gone: the ledger, the mails, and how everything stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from examples.northlight import people
from examples.northlight.mailbox import DeliveredMail
from examples.northlight.stage import DemoStage
from worker.domain.model import Address, Commitment, Pair, PairId, Person, Session, WrittenCommitment
from worker.simulation.world import LedgerLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """All that the page speaks of."""

    end: datetime
    ledger: Sequence[LedgerLine]
    mails: Sequence[DeliveredMail]
    sessions: Sequence[Session]
    commitments: Sequence[Commitment]
    promises: Mapping[str, WrittenCommitment]  #: the words of the commitments, opened with the demo's own key
    persons: Mapping[Address, Person]
    pairs: Mapping[PairId, Pair]
    real: str  #: what of the servers was real, in words
    keeper: str  #: who gave the calendars out, in words

    @property
    def late_sessions(self) -> set[str]:
        """The sessions whose contract came after its 48 hours."""
        return {line["session"] for line in self.ledger if line["what"] == "session" and line.get("late")}


def collect_result(stage: DemoStage, letters: Sequence[DeliveredMail]) -> DemoResult:
    """Read it from the stage, before it is left."""
    store = stage.worker.store
    commitments, persons, pairs = (
        store.queries.list_commitments(),
        store.people.load_current_people(),
        store.people.load_all_pairs(),
    )
    return DemoResult(
        end=stage.clock(),
        ledger=stage.ledger,
        mails=letters,
        sessions=store.queries.list_sessions(),
        commitments=commitments,
        promises=store.content.get_written_commitments([one.id for one in commitments]),
        persons={email: persons[email] for email in people.NAMES if email in persons},
        pairs={one: pairs[one] for one in people.PAIRS if one in pairs},
        real=stage.services.real,
        keeper=stage.services.keeper,
    )
