"""The state of an audit: what the ledger has told so far, what was found wrong, and which checks are still to come."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tests.support.audit import rules
from tests.support.audit.absences import Absences
from tests.support.audit.known import Block, Line, PersonCalendars, Talk, Timers, Violation
from tests.support.audit.mail_hours import MailHours
from tests.support.audit.mails import Mails
from tests.support.audit.rules import ALLOWED_DELAY, OWED_STATES
from tests.support.audit.turns import Turns
from worker.domain.model import Address, Pair, PairId, Person


class AuditState:
    """What an auditor knows at one moment of the ledger."""

    def __init__(self, persons: Mapping[Address, Person], pairs: Mapping[PairId, Pair]) -> None:
        self._persons = persons
        self._pairs = {str(pair.id): pair for pair in pairs.values()}  #: by what a ledger calls them
        self._found: list[Violation] = []
        self._missing_acts: list[Violation] = []  #: they count only in a ledger that lists what humans do
        self._has_humans = False  #: the ledger lists what humans do
        self._last = datetime.min.replace(tzinfo=UTC)  #: the latest line
        self._now = self._last  #: the instant of the line that is read, or of the check that runs
        self._timers = Timers()
        self._talks: dict[str, Talk] = {}
        self._careers: dict[PairId, list[Talk]] = defaultdict(list)
        self._calendars = PersonCalendars()
        self._without_future: dict[PairId, datetime] = {}  #: pairs without a future career session, since when
        self._inactive = {pair.id for pair in pairs.values() if not pair.is_active}
        self._turns = Turns(persons, self._pairs.values(), self._careers, self._inactive)
        self._event_stands: dict[str, bool] = {}  #: by key; False when the event was deleted
        self._blocks: dict[str, Block] = {}
        self._blocks_of: dict[Address, dict[str, Block]] = defaultdict(dict)  #: by manager
        self._blocks_made: dict[PairId, list[datetime]] = defaultdict(list)  #: when a commitment got an event
        self._done_commitments: set[str] = set()
        self._mail_hours = MailHours(persons, self._pairs.values(), self._inactive)
        self._absences = Absences(persons)
        self._mails = Mails(
            self._flag, persons, self._pairs, self._talks, self._blocks_of, self._mail_hours, self._turns
        )

    def close(self, end: datetime) -> list[Violation]:
        """Run the checks that are due until `end`, and return all violations that were found, in order of time."""
        self._run_checks(end + timedelta(microseconds=1))
        found = self._found + (self._missing_acts if self._has_humans else [])
        return sorted(found, key=lambda violation: violation.at)

    def _run_checks(self, until: datetime) -> None:
        """Run the checks that are due before that instant."""
        for at, check in self._timers.pop_before(until):
            self._now = max(at, self._last)
            check()

    def _flag(self, rule: str, pair: Pair | str, what: str) -> None:
        self._found.append(Violation(rule, self._now, pair if isinstance(pair, str) else str(pair.id), what))

    def _flag_missing_act(self, rule: str, talk: Talk, what: str) -> None:
        """Note that a session changed for something that no human did, as far as the ledger tells."""
        self._missing_acts.append(Violation(rule, self._now, str(talk.pair.id), f"{talk.id} {what}"))

    def _people(self, pair: Pair) -> rules.People:
        return self._persons[pair.manager], self._persons[pair.report]

    def _find_talk(self, line: Line) -> Talk | None:
        """Return the session of a line, which may be its first; None, and a violation, when its pair is unknown."""
        pair = self._pairs.get(line.get("pair", ""))
        if pair is None or not line.get("session"):
            self._flag("D-8", line.get("pair", ""), f"a line of {line['what']} names no known pair or no session")
            return None
        talk = self._talks.get(line["session"])
        if talk is None:
            kind = line.get("kind", "career")
            is_adhoc = line.get("state") == "owed"  # the first line of a regular session gives it a time
            talk = Talk(line["session"], pair, kind, line.get("topic", "all"), is_adhoc, self._now, self._now)
            self._talks[talk.id] = talk
            if kind == "career":
                self._careers[pair.id].append(talk)
        talk.topic = line.get("topic", talk.topic)
        return talk

    def _list_standing_talks(self, person: Address) -> list[Talk]:
        """Return the person's sessions with a time that is not long past and with an event that nobody deleted."""
        near = self._calendars.list_sessions(person, self._now)
        return [one for one in near if not (one.is_booked and self._event_stands.get(one.key) is False)]

    def _list_standing_blocks(self, *people: Person) -> list[Block]:
        """Return the commitments that are on these people's calendars."""
        return [
            block
            for who in people
            for block in self._blocks_of[who.email].values()
            if self._event_stands.get(block.key)
        ]

    def _note_future_session(self, pair: Pair) -> None:
        """Note whether the pair has a future career session, or a person was told why it has none (T-4, R-3)."""
        careers = self._careers[pair.id]
        has_future = any(one.is_booked and one.end and one.end > self._now for one in careers)
        is_explained = any(one.is_reason_told and one.state in OWED_STATES for one in careers)
        if has_future or is_explained or pair.id in self._inactive:
            self._without_future.pop(pair.id, None)
        elif pair.id not in self._without_future:
            since = self._without_future[pair.id] = self._now
            self._timers.add(since + ALLOWED_DELAY, lambda: self._check_still_without_future(pair, since))

    def _check_still_without_future(self, pair: Pair, since: datetime) -> None:
        if self._without_future.get(pair.id) == since:
            self._flag("T-4", pair, f"no career session lies ahead since {since}, and nobody was told why")
