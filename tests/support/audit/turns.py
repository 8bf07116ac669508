"""Whose turn an audit finds it to be, when a session follows no other (T-3a)."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from datetime import datetime
from itertools import chain

from tests.support.audit import distances, rules
from tests.support.audit.known import Talk
from worker.domain.model import Address, Pair, PairId, Person, Span


class Turns:
    """Looks at what an audit keeps in mind of pairs and their career sessions; it changes with it."""

    def __init__(
        self,
        persons: Mapping[Address, Person],
        pairs: Collection[Pair],
        careers: Mapping[PairId, Sequence[Talk]],
        resting: Set[PairId],
    ) -> None:
        self._persons = persons
        self._pairs = pairs
        self._careers = careers
        self._resting = resting

    def judge_place(self, talk: Talk, span: Span, people: rules.People, now: datetime) -> Iterator[rules.Fault]:
        """What is wrong with the time of a session that lost none."""
        careers = self._list_of_pair(talk.pair)
        if talk.kind == "review":
            return distances.review(talk, span, careers, people[0].zone)
        if talk.topic in ("direction", "gap"):
            return rules.series(talk, span, careers, people, now)
        if talk.first:
            return rules.first(talk, span, self._list_waiting(talk.pair, now), careers, people, now)
        return rules.rhythm(talk, span, careers, people, now)

    def note_first(self, talk: Talk, now: datetime) -> None:
        """Note whether it follows no other, or a day that is over, when it gets its time."""
        if talk.count or talk.adhoc or talk.topic in ("direction", "gap"):
            return
        others = [other for other in self._list_of_pair(talk.pair) if other is not talk and not other.adhoc]
        if not any(other.state in rules.OWED or other.booked for other in others):
            held = max((other.held for other in others if other.held), default=None)
            talk.first = talk.first or rules.overdue(talk.pair, held, now.date())

    def may_wait(self, talk: Talk) -> bool:
        """Whether it may have no time though nobody was told: a review (T-9), or a part that waits for one before it
        (T-13)."""
        parts = ["now", "direction", "gap"]
        earlier = parts[: parts.index(talk.topic)] if talk.topic in parts else []
        before = (one for one in self._list_of_pair(talk.pair) if one.topic in earlier and not one.adhoc)
        return talk.kind == "review" or any(one.state in rules.OWED for one in before)

    def judge_held(self, talk: Talk, introduced: Collection[tuple[PairId | None, Address]]) -> Iterator[rules.Fault]:
        """What is wrong with a career session that was just held: who knows nothing of it, what should come first."""
        pair = talk.pair
        once = {(None, pair.manager), (pair.id, pair.report)}  #: a manager once, for all reports
        for key, person in once if talk.kind == "career" else ():
            if (key, person) not in introduced:
                yield "R-23", f"{talk.id} was held before {person} was introduced to this"
        if talk.kind == "career" and not talk.adhoc:
            yield from distances.in_order(talk, self._list_of_pair(talk.pair))

    def find_heard_early(self, pair: Pair, what: str, now: datetime) -> Iterator[rules.Fault]:
        """Nobody hears of us earlier than seven days before the start, unless somebody asked to talk."""
        asked = any(talk.adhoc for talk in self._list_of_pair(pair))
        if not asked and now < rules.notice(pair, self._persons[pair.manager]):
            yield "T-3a", f"{what} more than seven days before the start, {pair.start}"

    def list_careers(self, manager: Address) -> Iterator[Talk]:
        """The career sessions of all pairs of the manager."""
        return chain.from_iterable(self._list_of_pair(pair) for pair in self._list_team(manager))

    def _list_of_pair(self, pair: Pair) -> Sequence[Talk]:
        return self._careers.get(pair.id, ())

    def _list_team(self, manager: Address) -> list[Pair]:
        return [pair for pair in self._pairs if pair.manager == manager]

    def _list_waiting(self, pair: Pair, now: datetime) -> list[rules.Waiting]:
        """The pairs of the manager that are there by now, and when each last met."""
        team = [other for other in self._list_team(pair.manager) if other.first_seen <= now.date()]
        active = [other for other in team if other.id == pair.id or other.id not in self._resting]
        held = {
            other.id: max((t.held for t in self._list_of_pair(other) if t.held and not t.adhoc), default=None)
            for other in active
        }
        talked: dict[Address, datetime] = {}
        for talk in chain.from_iterable(self._careers.values()):
            if talk.held:
                talked[talk.pair.report] = max(talk.held, talked.get(talk.pair.report, talk.held))
        return [rules.Waiting(other, held[other.id], talked.get(other.report)) for other in active]
