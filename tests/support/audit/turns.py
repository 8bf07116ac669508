"""Judges the places of career sessions and reviews among the sessions of a pair and of its manager's pairs (T-3a)."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from datetime import datetime
from itertools import chain

from tests.support.audit import distances, rules
from tests.support.audit.known import Talk, TeamPair
from worker.domain.model import Address, Pair, PairId, Person, Span


class Turns:
    """Judges by pairs and their career sessions; these collections belong to the audit, which goes on filling them."""

    def __init__(
        self,
        persons: Mapping[Address, Person],
        pairs: Collection[Pair],
        careers: Mapping[PairId, Sequence[Talk]],
        inactive: Set[PairId],
    ) -> None:
        self._persons = persons
        self._pairs = pairs
        self._careers = careers
        self._inactive = inactive

    def judge_place(self, talk: Talk, span: Span, people: rules.People, now: datetime) -> Iterator[rules.Fault]:
        """Yield what is wrong with the first time of a session."""
        careers = self._list_of_pair(talk.pair)
        if talk.kind == "review":
            return distances.judge_review_time(talk, span, careers, people[0].zone)
        if talk.topic in ("direction", "gap"):
            return rules.judge_series(talk, span, careers, people, now)
        if talk.is_first:
            return rules.judge_first(talk, span, self._list_active_team(talk.pair, now), careers, people, now)
        return rules.judge_rhythm(talk, span, careers, people, now)

    def note_first(self, talk: Talk, now: datetime) -> None:
        """Note whether the pair has never met, or is overdue, when the session gets its time."""
        if talk.deferral_count or talk.adhoc or talk.topic in ("direction", "gap"):
            return
        others = [other for other in self._list_of_pair(talk.pair) if other is not talk and not other.adhoc]
        if not any(other.state in rules.OWED_STATES or other.is_booked for other in others):
            last_held = max((other.held_end for other in others if other.held_end), default=None)
            talk.is_first = talk.is_first or rules.is_overdue(talk.pair, last_held, now.date())

    def may_wait(self, talk: Talk) -> bool:
        """Whether a session may lack a time though nobody was told why.

        That is a review (T-9), or a part of a series that waits for an earlier part (T-13).
        """
        parts = ["now", "direction", "gap"]
        earlier = parts[: parts.index(talk.topic)] if talk.topic in parts else []
        before = (one for one in self._list_of_pair(talk.pair) if one.topic in earlier and not one.adhoc)
        return talk.kind == "review" or any(one.state in rules.OWED_STATES for one in before)

    def judge_held(self, talk: Talk, introduced: Collection[tuple[PairId | None, Address]]) -> Iterator[rules.Fault]:
        """Yield what is wrong with a session that was just held: no introduction, or an earlier part is still open."""
        pair = talk.pair
        expected = {(None, pair.manager), (pair.id, pair.report)}  # a manager is introduced once for all reports
        for key, person in expected if talk.kind == "career" else ():
            if (key, person) not in introduced:
                yield "R-23", f"{talk.id} was held before {person} was introduced to this"
        if talk.kind == "career" and not talk.adhoc:
            yield from distances.judge_order(talk, self._list_of_pair(talk.pair))

    def find_heard_early(self, pair: Pair, what: str, now: datetime) -> Iterator[rules.Fault]:
        """Yield a fault when a pair without ad hoc sessions hears of Longarc over seven days before its start."""
        has_adhoc = any(talk.adhoc for talk in self._list_of_pair(pair))
        if not has_adhoc and now < rules.find_first_notice(pair, self._persons[pair.manager]):
            yield "T-3a", f"{what} more than seven days before the start, {pair.start}"

    def list_careers(self, manager: Address) -> Iterator[Talk]:
        """Yield the career sessions of all pairs of the manager."""
        return chain.from_iterable(self._list_of_pair(pair) for pair in self._list_team(manager))

    def _list_of_pair(self, pair: Pair) -> Sequence[Talk]:
        return self._careers.get(pair.id, ())

    def _list_team(self, manager: Address) -> list[Pair]:
        return [pair for pair in self._pairs if pair.manager == manager]

    def _list_active_team(self, pair: Pair, now: datetime) -> list[TeamPair]:
        """Return the active pairs of the same manager that were seen by now, and when each last met."""
        team = [other for other in self._list_team(pair.manager) if other.first_seen <= now.date()]
        active = [other for other in team if other.id == pair.id or other.id not in self._inactive]
        held = {
            other.id: max((t.held_end for t in self._list_of_pair(other) if t.held_end and not t.adhoc), default=None)
            for other in active
        }
        talked: dict[Address, datetime] = {}
        for talk in chain.from_iterable(self._careers.values()):
            if talk.held_end:
                talked[talk.pair.report] = max(talk.held_end, talked.get(talk.pair.report, talk.held_end))
        return [TeamPair(other, held[other.id], talked.get(other.report)) for other in active]
