"""Carries out the pulse (R-37): opens and closes rounds, sends the question, and counts answers.

The person and the answer meet in the memory of one request, and nowhere else: what is stored, logged and shown does not
join them.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Collection, Iterable, Set
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import Address, Effect, EffectKind, MailName, Pair, Person
from worker.domain.planning.notices import find_next_working_morning
from worker.domain.pulse import PulseCell, assign_cells, is_large_enough, select_shown_cells
from worker.errors import Refused, WrongKey
from worker.logs import Action
from worker.settings.load import Settings
from worker.store.pulse import ClosedRound, OpenRound, Voter
from worker.store.store import Store

log = logging.getLogger(__name__)

#: Name of the stored value that holds the month for which rounds were last opened and closed.
_MONTH_NAME = "pulse"
#: A round that could not begin on the first days of its month is left out.
LAST_OPENING_DAY = 14


class PulseStatus(StrEnum):
    """How a round stands for one person."""

    OPEN = "open"
    ANSWERED = "answered"
    NOT_ASKED = "not_asked"
    CLOSED = "closed"


class Pulse:
    """The rounds of one anonymous question."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock

    def run(self) -> None:
        """Close the rounds of earlier months, and open that of this month. Does nothing when that was done."""
        now = self._clock()
        month = f"{now:%Y-%m}"
        if self._store.people.get_stored_value(_MONTH_NAME) == month:
            return
        if self._settings.keys and self._settings.base_url:
            try:
                self._close_rounds(month)
                if now.month in self._settings.pulse.months and now.day <= LAST_OPENING_DAY:
                    self._open_round(month, now)
            except WrongKey as error:  # everything else goes on; it is tried again
                log.warning("the pulse waits: %s", error, extra={"action": Action.PULSE_WAITS})
                return
        self._store.people.set_stored_value(_MONTH_NAME, month)

    def list_coming_mails(self, until: datetime) -> list[Effect]:
        """Return the mails of the rounds that open before `until`, as the pairs are now. Stores nothing."""
        now = self._clock()
        is_done = self._store.people.get_stored_value(_MONTH_NAME) == f"{now:%Y-%m}"
        instants = [] if is_done or now.day > LAST_OPENING_DAY else [now]
        first = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while first < until:
            instants.append(first)
            first = (first + timedelta(days=32)).replace(day=1)
        if not self._settings.base_url:
            return []
        people = self._store.people.load_current_people()
        return [
            _build_mail(f"{at:%Y-%m}", people[who], pair, at)
            for at in instants
            if at.month in self._settings.pulse.months
            for who, pair in sorted(self._list_asked(at).items())
        ]

    def get_status(self, person: Address, round_name: str) -> PulseStatus:
        """Return whether the person may answer in that round. Raises WrongKey."""
        names = self._store.aliases.list_names(person)
        with self._store.database.read() as connection:
            content = self._store.pulse.load_open_round(connection, round_name)
        if content is None or round_name != f"{self._clock():%Y-%m}":
            return PulseStatus.CLOSED
        tokens = {_make_token(content.salt, name) for name in names}
        if tokens & content.answered.keys():
            return PulseStatus.ANSWERED
        return PulseStatus.OPEN if tokens & content.waiting.keys() else PulseStatus.NOT_ASKED

    def answer(self, person: Address, round_name: str, *, sees_future: bool) -> None:
        """Count the answer, for good. Raises Refused unless the person may answer just now; WrongKey."""
        names = self._store.aliases.list_names(person)
        if round_name != f"{self._clock():%Y-%m}":
            raise Refused("This round is over.")
        with self._store.database.write() as connection:
            content = self._store.pulse.load_open_round(connection, round_name, for_change=True)
            if content is None:
                raise Refused("This round is over.")
            waiting = dict(content.waiting)
            token = next((one for name in names if (one := _make_token(content.salt, name)) in waiting), None)
            if token is None:
                raise Refused("There is no answer to give, or it was given before. Nothing was counted.")
            voter = waiting.pop(token)
            counts = content.yes if sees_future else content.no
            counted = {**counts, voter.cell: counts.get(voter.cell, 0) + 1}
            changed = replace(content, waiting=waiting, answered={**content.answered, token: voter})
            changed = replace(changed, yes=counted) if sees_future else replace(changed, no=counted)
            self._store.pulse.save_open_round(connection, round_name, changed)

    # --- opening ---

    def _open_round(self, name: str, now: datetime) -> None:
        asked = self._list_asked(now)
        if not asked:
            return
        people = self._store.people.load_current_people()
        aliases = self._store.aliases.load().names
        with self._store.database.write() as connection:
            closed = self._store.pulse.load_closed_rounds(connection)
            salt = next((one.salt for one in closed if one.salt), "") or secrets.token_hex(32)
            known = _collect_tokens(closed)
            tokens = {
                who: _find_token(salt, {who, *aliases.get(who, ())}, who, known)
                for who in {*asked, *(pair.manager for pair in asked.values())}
            }
            managers = {tokens[who]: tokens[pair.manager] for who, pair in asked.items()}
            cells = assign_cells({tokens[who]: people[who].group for who in asked}, managers)
            waiting = {token: Voter(cell=cells[token], manager=managers[token]) for token in sorted(managers)}
            if self._store.pulse.add_round(connection, name, OpenRound(salt=salt, waiting=waiting)):
                mails = [_build_mail(name, people[who], pair, now) for who, pair in sorted(asked.items())]
                self._store.outbox.add_mails(connection, mails)

    def _list_asked(self, now: datetime) -> dict[Address, Pair]:
        """Return the reports who are asked, each with the active pair that counts for them: the first by manager.

        Nobody is asked where they are too few.
        """
        pairs = self._store.people.load_all_pairs().values()
        active = [p for p in pairs if p.is_active and not (p.start and p.start > now.date())]
        asked = {pair.report: pair for pair in sorted(active, key=lambda pair: pair.manager, reverse=True)}
        return asked if is_large_enough({who: str(pair.manager) for who, pair in asked.items()}) else {}

    # --- closing ---

    def _close_rounds(self, month: str) -> None:
        with self._store.database.write() as connection:
            for name in self._store.pulse.list_open_rounds(connection):
                if name < month:
                    self._close_round(connection, name)

    def _close_round(self, connection: Connection, name: str) -> None:
        content = self._store.pulse.load_open_round(connection, name, for_change=True)
        if content is None:
            return
        earlier = [one.cells for one in self._store.pulse.load_closed_rounds(connection)]
        shown = select_shown_cells(_build_cells(content), earlier)
        self._store.pulse.close_round(connection, name, content.salt, shown)


def _build_cells(content: OpenRound) -> list[PulseCell]:
    names = sorted({voter.cell for voter in content.answered.values()})
    return [
        PulseCell(
            name=name,
            yes=content.yes.get(name, 0),
            no=content.no.get(name, 0),
            people={token: voter.manager for token, voter in content.answered.items() if voter.cell == name},
        )
        for name in names
    ]


def _collect_tokens(closed: Iterable[ClosedRound]) -> set[str]:
    tokens: set[str] = set()
    for one in closed:
        for cell in one.cells:
            tokens |= {*cell.people, *cell.people.values()}
    return tokens


def _find_token(salt: str, names: Collection[str], address: Address, known: Set[str]) -> str:
    """Return the token of a person: the one that earlier rounds know, also by an address that the person had then."""
    tokens = sorted(_make_token(salt, name) for name in names)
    return next((token for token in tokens if token in known), _make_token(salt, address))


def _make_token(salt: str, name: str) -> str:
    return hmac.new(salt.encode(), name.encode(), hashlib.sha256).hexdigest()[:24]


def _build_mail(name: str, report: Person, pair: Pair, now: datetime) -> Effect:
    return Effect(
        key=f"pulse:{name}:{report.email}",
        kind=EffectKind.MAIL,
        pair=pair.id,
        subject=str(pair.id),
        due_at=find_next_working_morning(report, now),
        snapshot_at=now,
        number=make_round_number(name),
        name=MailName.PULSE.value,
        to=report.email,
        counts=True,
    )


def make_round_number(name: str) -> int:
    """Return the number of a mail about a round: 202609 for 2026-09."""
    return int(name.replace("-", ""))
