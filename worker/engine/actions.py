"""What people say to the program, performed: each act reads the pair, decides purely, and writes it in one transaction.

The commands use it, and so does whoever stands in for people in a simulation. Content comes in as values, goes into
the database sealed, and is never in an error's text or a log.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.contract.lint import days_for
from worker.domain.contract.revisions import carry, compare
from worker.domain.model import (
    Access,
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Format,
    MailName,
    Message,
    Owner,
    PairState,
    Policy,
    Promise,
    Session,
    Span,
    Standing,
    Trigger,
    What,
)
from worker.domain.planning import actions, cadence
from worker.domain.planning.actions import Dated
from worker.domain.planning.notices import TOGETHER
from worker.domain.planning.plan_builder import Planning
from worker.errors import LeaseLost, Refused, UnknownName
from worker.store import history
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
#: A sweep may have the two in its hands: how often, and how long between, an act asks again. Seconds.
TRIES, PAUSE = 100, 0.1

#: What becomes of commitments, by their ids (None: they are let go), and why.
_Changes = Mapping[str, tuple[Promise | None, str]]
#: Changes the working copy of a pair; returns what has to be written with it, if anything.
Act = Callable[[Planning], Callable[[Connection], None] | None]


class Acts:
    """What a manager, a report or a command may do."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._holder = holder

    # --- sessions ---

    def not_held(self, session_id: str) -> bool:
        """It did not take place; it is owed. False when that is recorded already, and nothing else happens."""
        repeated: list[str] = []

        def act(p: Planning, session: Session) -> None:
            if actions.is_missed(p, session):
                repeated.append(session.id)
            else:
                actions.not_held(p, session)

        self._on_session(session_id, act)
        return not repeated

    def held(self, session_id: str, end: datetime | None = None) -> None:
        """It took place; `end` when it was not at its time."""
        self._on_session(session_id, lambda p, s: actions.held(p, s, end))

    def defer(self, session_id: str, wish: Span | None = None) -> None:
        """Another time: ours, or the one wished for."""
        self._on_session(session_id, lambda p, s: actions.ask(p, s, wish))

    def talk(
        self,
        pair_id: str,
        trigger: Trigger,
        reason: str = "",
        *,
        at_once: bool = False,
        by: Owner = Owner.MANAGER,
    ) -> str:
        """A conversation soon, which one of the two asked for; returns the session's id. Why is sealed."""
        made: list[str] = []

        def act(p: Planning) -> Callable[[Connection], None]:
            session = actions.talk(p, trigger, at_once=at_once)
            made.append(session.id)
            return lambda connection: self._store.content.seal_trigger(connection, session.id, trigger, reason, by)

        self._on_pair(pair_id, act)
        return made[-1]

    def check_in(self, pair_id: str) -> str:
        """An informal check-in soon; returns the session's id."""
        made: list[str] = []

        def act(p: Planning) -> None:
            made.append(actions.check_in(p).id)

        self._on_pair(pair_id, act)
        return made[-1]

    # --- how a pair wants it ---

    def choose_format(self, pair_id: str, wanted: Format) -> None:
        """R-4: one conversation or three, as the report wants it, from the next that can still be changed."""
        self._choose(pair_id, lambda p: actions.choose_format(p, wanted), format=wanted.value)

    def set_trust(self, pair_id: str, *, there: bool) -> None:
        """R-12: whether the hardest questions belong into the brief."""
        self._choose(pair_id, lambda _: None, trust=there)

    def set_transition(self, pair_id: str, until: date | None) -> None:
        """R-5: a tighter rhythm until that day, or no longer."""
        self._choose(
            pair_id, lambda p: actions.re_think(p, until), transition_until=until.isoformat() if until else None
        )

    def _choose(self, pair_id: str, decide: Callable[[Planning], None], **chosen: str | bool | None) -> None:
        def act(p: Planning) -> Callable[[Connection], None]:
            decide(p)
            return lambda connection: self._store.people.choose(connection, pair_id, **chosen)

        self._on_pair(pair_id, act)

    # --- contract ---

    def record(self, session_id: str, contract: Contract, after: int | None = None) -> int:
        """Record a contract, or a new revision of it; returns the revision. The summary leaves with the next tick.

        What says the same as the newest revision is that revision: nobody is written to again. With `after`, what was
        being written on its page is recorded, and done with: only when the newest revision is the one it was begun on
        (0: there was none).
        """
        return self._record(session_id, contract, after, {})

    def _record(self, session_id: str, contract: Contract, after: int | None, changes: _Changes) -> int:
        revisions = self._store.content.revisions(session_id)
        let_go = {one for one, (becomes, _) in changes.items() if becomes is None}
        same = bool(revisions) and not let_go and not compare(revisions[-1].contract, contract)
        number = len(revisions) + (not same)
        known = self._promises(session_id)
        gone = [(c, promise) for c, promise in known if c.id in let_go]
        old = [(c, promise) for c, promise in known if c.open and c.id not in let_go]
        done = {(c.owner, promise.text, promise.due) for c, promise in known if c.standing is Standing.DONE}

        def act(p: Planning, session: Session) -> Callable[[Connection], None]:
            content = self._store.content
            if after not in (None, len(revisions)) or len(content.revisions(session_id)) != len(revisions):
                raise Refused("Another revision of this contract was recorded meanwhile. Look at it first.")
            if same:
                return lambda connection: content.drop_sketch(connection, session_id) if after is not None else None
            identified = _identified(session.id, number, old, contract, changes)
            ids = {c.id for c, _ in old}
            # What was done stays in the contract, and stays done.
            promises = [
                (dated, promise)
                for dated, promise in identified
                if dated.id in ids or (dated.owner, promise.text, promise.due) not in done
            ]
            for c, _ in gone:
                actions.close(p, p.commitments.get(c.id, c), Standing.LET_GO)
            actions.record(p, session, [dated for dated, _ in promises], number)

            def write(connection: Connection) -> None:
                content.seal_contract(connection, session.pair, session.id, number, contract, p.now)
                words = [(c.id, promise) for c, promise in gone] + [(dated.id, promise) for dated, promise in promises]
                for one, promise in words:
                    content.seal_promise(connection, one, promise, changes.get(one, (None, ""))[1])
                if after is not None:
                    content.drop_sketch(connection, session_id)

            return write

        self._on_session(session_id, act)
        return number

    def close(self, commitment_id: str, standing: Standing, reason: str = "") -> None:
        """A commitment is done, or let go; of the latter both hear, in a new revision (R-18)."""
        commitment, promise = self._commitment(commitment_id)
        if standing is not Standing.DONE:
            self._revise(commitment, promise, None, reason)
            return

        def act(p: Planning) -> Callable[[Connection], None]:
            actions.close(p, p.commitments.get(commitment.id, commitment), standing)
            return lambda connection: self._store.content.seal_promise(connection, commitment.id, promise, reason)

        self._on_pair(commitment.pair, act)

    def change(self, commitment_id: str, *, text: str = "", due: date | None = None, reason: str = "") -> bool:
        """A commitment gets other words or another date; both hear of it, in a new revision. False when it is
        promised just so already."""
        commitment, promise = self._commitment(commitment_id)
        days = days_for(self._clock().date(), [commitment.due])
        if due and due not in days:
            raise Refused(f"{due} is too long ago or too far ahead. Give one {days}.")
        new = replace(promise, text=text or promise.text, due=due or promise.due)
        self._revise(commitment, promise, new, reason)
        return new != promise

    def _revise(self, commitment: Commitment, promise: Promise, new: Promise | None, reason: str) -> None:
        """Write the contract anew with one promise changed or taken out."""
        if not commitment.open:
            raise Refused(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
        revisions = self._store.content.revisions(commitment.session)
        contract = _with_promise(revisions[-1].contract, commitment.owner, promise, new)
        self._record(commitment.session, contract, None, {commitment.id: (new, reason)})

    def pair_of_commitment(self, commitment_id: str) -> str:
        """The pair a commitment belongs to. Raises UnknownName."""
        return self._commitment(commitment_id)[0].pair

    def _commitment(self, commitment_id: str) -> tuple[Commitment, Promise]:
        found = self._store.register.commitment(commitment_id)
        if found is None:
            raise UnknownName(
                f"There is no commitment {commitment_id}. `longarc commitment list` shows those there are."
            )
        return found, self._store.content.promises([commitment_id])[commitment_id]

    def _promises(self, session_id: str) -> list[tuple[Commitment, Promise]]:
        found = self._store.register.commitments_of(session_id)
        words = self._store.content.promises([c.id for c in found])
        return [(c, words[c.id]) for c in found if c.id in words]

    # --- what commands do with it ---

    def tell_access(self, pair_id: str, access: Access, on_behalf_of: Address, reason: str) -> None:
        """Note that a command showed or changed what the two wrote down, and have both told by mail the same day.

        Several within a quarter of an hour are told in one mail. The reason is sealed; the history does not hold it.
        """
        now = self._clock()
        since = now - (now - datetime.min.replace(tzinfo=UTC)) % TOGETHER
        record = AccessRecord(pair=pair_id, at=now, access=access, on_behalf_of=on_behalf_of, reason=reason)
        words = f"`longarc {access}` opened what the two wrote down, for {on_behalf_of}. Both are told by mail."
        mails = [_access_mail(pair_id, who, now, since) for who in pair_id.split(">")]
        with self._store.database.write() as connection:
            self._store.content.seal_access(connection, record)
            history.record(connection, [(now, "access", pair_id, "", words, {"command": access.value})])
            self._store.outbox.add_within(connection, mails)

    # --- how ---

    def _on_session(
        self, session_id: str, act: Callable[[Planning, Session], Callable[[Connection], None] | None]
    ) -> None:
        pair = self._store.register.pair_of(session_id)
        if pair is None:
            raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists those there are.")

        def found(p: Planning) -> Callable[[Connection], None] | None:
            session = p.sessions.get(session_id) or self._store.register.session(session_id)
            if session is None:
                raise UnknownName(f"There is no session {session_id}.")
            return act(p, session)

        self._on_pair(pair, found)

    def _on_pair(self, pair_id: str, act: Act) -> None:
        """Decide with the two in our hands, write, and have the pair planned at the next tick."""
        holder = f"{self._holder}-{uuid.uuid4().hex[:6]}"
        for _ in range(TRIES):
            now = self._clock()
            if self._store.plans.claim_pairs([pair_id], now, holder, now + LEASE):
                break
            if pair_id not in self._store.people.pairs():
                raise UnknownName(f"There is no pair {pair_id}. Give it as manager>report, by address.")
            time.sleep(PAUSE)
        else:
            raise LeaseLost(f"{pair_id} is being planned just now. Try again in a moment.")
        try:
            loaded = self._store.plans.load([pair_id], now)
            state: PairState = loaded.states[0]
            p = Planning(now, state, None, self._policy)
            also = act(p) or (lambda _: None)
            p.wake(now)
            self._store.plans.commit([p.plan()], loaded.wakes, holder, now, also)
        except BaseException:
            self._store.plans.release(holder)
            raise


def _access_mail(pair_id: str, to: Address, now: datetime, since: datetime) -> Message:
    """The mail that tells one of the two of every access in the quarter of an hour since then; due at its end."""
    return Message(
        key=f"content_accessed:{pair_id}:{to}:{since:%Y-%m-%dT%H:%M}",
        what=What.MAIL,
        pair=pair_id,
        subject=pair_id,
        due_at=since + TOGETHER,
        snapshot_at=now,
        start=since,
        name=MailName.CONTENT_ACCESSED.value,
        to=to,
    )


def _identified(
    session_id: str,
    revision: int,
    old: Sequence[tuple[Commitment, Promise]],
    contract: Contract,
    changes: _Changes,
) -> list[tuple[Dated, Promise]]:
    """Each promise with the id of the commitment it continues, or with a new one."""
    found: list[tuple[Dated, Promise]] = []
    for owner, promises in ((Owner.MANAGER, contract.manager), (Owner.REPORT, contract.report)):
        words = {c.id: promise.text for c, promise in old if c.owner is owner}
        before = [(c.id, changes.get(c.id, (None, ""))[0] or promise) for c, promise in old if c.owner is owner]
        for n, (promise, known) in enumerate(zip(promises, carry(before, promises), strict=True)):
            if promise.due is None:
                raise Refused("A commitment has no date. Give every commitment one: `by 2027-02-15`.")
            one = known or _new_id(session_id, revision, owner, n)
            reworded = one in words and words[one] != promise.text
            found.append((Dated(id=one, owner=owner, due=promise.due, reworded=reworded), promise))
    return found


def _new_id(session_id: str, revision: int, owner: Owner, number: int) -> str:
    seed = f"{session_id}|{revision}|{owner}|{number}"
    return "p" + cadence.base32(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big"))


def _with_promise(contract: Contract, owner: Owner, old: Promise, new: Promise | None) -> Contract:
    def swapped(promises: Sequence[Promise]) -> tuple[Promise, ...]:
        kept: list[Promise] = []
        for promise in promises:
            same = (promise.text, promise.due) == (old.text, old.due)
            kept += ([new] if new else []) if same else [promise]
        return tuple(kept)

    if owner is Owner.MANAGER:
        return replace(contract, manager=swapped(contract.manager))
    return replace(contract, report=swapped(contract.report))
