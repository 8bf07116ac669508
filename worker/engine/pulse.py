"""Carries out the pulse: rounds in which all reports are asked one anonymous question by mail (R-37).

A round opens in each month that the settings name, and closes at the end of that month. Answers are only counted, by
cell, which is a group of reports that is large enough to keep its members anonymous. Who gave which answer is known
only while the request is processed: nothing that is stored, logged or shown joins a person and an answer. In stored
rounds, tokens stand for people. A token is computed from a person's address and the salt, which is a secret.
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
from worker.errors import NothingToAnswer, RoundOver, WrongKey
from worker.logs import Action
from worker.settings.load import Settings
from worker.store.pulse import ClosedRound, OpenRound, Voter
from worker.store.store import Store

log = logging.getLogger(__name__)

#: Name of the stored value that holds the month in which rounds were last opened and closed.
_MONTH_VALUE_NAME = "pulse"
#: The last day of a month on which its round may still open. After that day the round is left out.
LAST_OPENING_DAY = 14
#: The length of a token, in hexadecimal digits.
_TOKEN_LENGTH = 24


class PulseStatus(StrEnum):
    """The status of a round for one person."""

    OPEN = "open"  #: the person may answer
    ANSWERED = "answered"
    NOT_ASKED = "not_asked"
    CLOSED = "closed"


class Pulse:
    """Opens and closes rounds, and counts answers. The name of a round is its month, such as `2026-09`."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock

    def run(self) -> None:
        """Close the rounds of earlier months, and open the round of this month. Does nothing when that was done."""
        now = self._clock()
        month = f"{now:%Y-%m}"
        if self._store.people.get_stored_value(_MONTH_VALUE_NAME) == month:
            return
        # without an encryption key or pages nobody could answer, so that this month is left without a round
        if self._settings.keys and self._settings.base_url:
            try:
                self._close_rounds(month)
                if now.month in self._settings.pulse.months and now.day <= LAST_OPENING_DAY:
                    self._open_round(month, now)
            except WrongKey as error:  # tried again at the next call, without stopping the rest of the tick
                log.warning("the pulse waits: %s", error, extra={"action": Action.PULSE_WAITS})
                return
        self._store.people.set_stored_value(_MONTH_VALUE_NAME, month)

    def list_coming_mails(self, until: datetime) -> list[Effect]:
        """Return the mails of the rounds that open before `until`, for the pairs as they are now. Stores nothing."""
        # a preview may run without the encryption keys, which every worker that opens rounds has
        if not self._settings.base_url:
            return []
        now = self._clock()
        is_month_done = self._store.people.get_stored_value(_MONTH_VALUE_NAME) == f"{now:%Y-%m}"
        opening_times = [] if is_month_done or now.day > LAST_OPENING_DAY else [now]
        month_start = _find_next_month(now)
        while month_start < until:
            opening_times.append(month_start)
            month_start = _find_next_month(month_start)
        people, pairs = self._store.people.load_current_roster()
        return [
            _build_mail(f"{opens_at:%Y-%m}", people[report], pair, opens_at)
            for opens_at in opening_times
            if opens_at.month in self._settings.pulse.months
            for report, pair in sorted(_find_asked_reports(pairs, opens_at).items())
        ]

    def get_status(self, person: Address, round_name: str) -> PulseStatus:
        """Return the status of a round for a person. Raises WrongKey."""
        addresses = self._store.aliases.list_names(person)
        with self._store.database.read() as connection:
            open_round = self._store.pulse.load_open_round(connection, round_name)
        # a round is over when its month ends, even if no tick has closed it yet
        if open_round is None or round_name != f"{self._clock():%Y-%m}":
            return PulseStatus.CLOSED
        tokens = {_make_token(open_round.salt, address) for address in addresses}
        if tokens & open_round.answered.keys():
            return PulseStatus.ANSWERED
        return PulseStatus.OPEN if tokens & open_round.waiting.keys() else PulseStatus.NOT_ASKED

    def answer(self, person: Address, round_name: str, *, sees_future: bool) -> None:
        """Count an answer, which can't be changed afterwards.

        `sees_future` is the answer: whether the person sees a future in the company. Raises RoundOver and
        NothingToAnswer when the person may not answer, and WrongKey.
        """
        addresses = self._store.aliases.list_names(person)
        if round_name != f"{self._clock():%Y-%m}":
            raise RoundOver
        with self._store.database.write() as connection:
            open_round = self._store.pulse.load_open_round(connection, round_name, for_change=True)
            if open_round is None:
                raise RoundOver
            waiting = dict(open_round.waiting)
            tokens = [_make_token(open_round.salt, address) for address in addresses]
            token = next((token for token in tokens if token in waiting), None)
            if token is None:
                raise NothingToAnswer("There is no answer to give, or it was given before. Nothing was counted.")
            voter = waiting.pop(token)
            old_counts = open_round.yes if sees_future else open_round.no
            new_counts = {**old_counts, voter.cell: old_counts.get(voter.cell, 0) + 1}
            updated_round = replace(open_round, waiting=waiting, answered={**open_round.answered, token: voter})
            updated_round = (
                replace(updated_round, yes=new_counts) if sees_future else replace(updated_round, no=new_counts)
            )
            self._store.pulse.save_open_round(connection, round_name, updated_round)

    # --- opening ---

    def _open_round(self, name: str, now: datetime) -> None:
        """Store a round with a token for each report who is asked, and add the mails to the outbox."""
        people, pairs = self._store.people.load_current_roster()
        pair_by_report = _find_asked_reports(pairs, now)
        if not pair_by_report:
            return
        aliases = self._store.aliases.load().names
        with self._store.database.write() as connection:
            closed_rounds = self._store.pulse.load_closed_rounds(connection)
            # With the salt of an earlier round people keep their tokens, so that the people of cells can be compared
            # between rounds. A closed round of which no cell is shown has no salt.
            earlier_salts = (closed_round.salt for closed_round in closed_rounds if closed_round.salt)
            salt = next(earlier_salts, "") or secrets.token_hex(32)
            known_tokens = _collect_tokens(closed_rounds)
            manager_addresses = {pair.manager for pair in pair_by_report.values()}
            tokens = {
                address: _find_token(salt, {address, *aliases.get(address, ())}, address, known_tokens)
                for address in {*pair_by_report, *manager_addresses}
            }
            # all three are keyed by the token of the report; managers are tokens, too
            managers = {tokens[report]: tokens[pair.manager] for report, pair in pair_by_report.items()}
            groups = {tokens[report]: people[report].group for report in pair_by_report}
            cells = assign_cells(groups, managers)
            waiting = {token: Voter(cell=cells[token], manager=manager) for token, manager in sorted(managers.items())}
            if self._store.pulse.add_round(connection, name, OpenRound(salt=salt, waiting=waiting)):
                mails = [
                    _build_mail(name, people[report], pair, now) for report, pair in sorted(pair_by_report.items())
                ]
                self._store.outbox.add_mails(connection, mails)

    # --- closing ---

    def _close_rounds(self, month: str) -> None:
        """Close the open rounds of the months before this one."""
        with self._store.database.write() as connection:
            for name in self._store.pulse.list_open_rounds(connection):
                if name < month:
                    self._close_round(connection, name)

    def _close_round(self, connection: Connection, name: str) -> None:
        """Replace the content of a round by the counts that may be disclosed, given what earlier rounds disclosed."""
        open_round = self._store.pulse.load_open_round(connection, name, for_change=True)
        if open_round is None:
            return
        earlier_cells = [closed_round.cells for closed_round in self._store.pulse.load_closed_rounds(connection)]
        disclosed_cells = select_shown_cells(_build_cells(open_round), earlier_cells)
        self._store.pulse.close_round(connection, name, open_round.salt, disclosed_cells)


def _find_next_month(instant: datetime) -> datetime:
    """Return the first instant of the month after this one."""
    month_start = instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (month_start + timedelta(days=32)).replace(day=1)  # 32 days later is always in the next month


def _build_cells(open_round: OpenRound) -> list[PulseCell]:
    """Return the counts of each cell in which somebody has answered."""
    names = sorted({voter.cell for voter in open_round.answered.values()})
    return [
        PulseCell(
            name=name,
            yes=open_round.yes.get(name, 0),
            no=open_round.no.get(name, 0),
            people={token: voter.manager for token, voter in open_round.answered.items() if voter.cell == name},
        )
        for name in names
    ]


def _collect_tokens(closed_rounds: Iterable[ClosedRound]) -> set[str]:
    """Return the tokens of all reports and managers in these rounds."""
    tokens: set[str] = set()
    for closed_round in closed_rounds:
        for cell in closed_round.cells:
            tokens |= {*cell.people, *cell.people.values()}
    return tokens


def _find_token(salt: str, addresses: Collection[str], primary: Address, known_tokens: Set[str]) -> str:
    """Return the token that a person has in earlier rounds, or else a new one made from the primary address.

    `addresses` are the primary address and the aliases of the person. In earlier rounds, an alias may have been the
    primary address.
    """
    tokens = sorted(_make_token(salt, address) for address in addresses)
    return next((token for token in tokens if token in known_tokens), _make_token(salt, primary))


def _make_token(salt: str, address: str) -> str:
    """Return the token that stands for an address in the stored rounds."""
    return hmac.new(salt.encode(), address.encode(), hashlib.sha256).hexdigest()[:_TOKEN_LENGTH]


def _find_asked_reports(pairs: Iterable[Pair], now: datetime) -> dict[Address, Pair]:
    """Return the reports who are asked, each with an active pair; nobody when they are too few to be anonymous.

    For a report with several managers, the pair with the first manager in alphabetical order is used.
    """
    active_pairs = [pair for pair in pairs if pair.is_active and not (pair.start and pair.start > now.date())]
    # the last pair of each report wins, so the first manager comes last
    sorted_pairs = sorted(active_pairs, key=lambda pair: pair.manager, reverse=True)
    pair_by_report = {pair.report: pair for pair in sorted_pairs}
    is_anonymous = is_large_enough({report: str(pair.manager) for report, pair in pair_by_report.items()})
    return pair_by_report if is_anonymous else {}


def _build_mail(name: str, report: Person, pair: Pair, now: datetime) -> Effect:
    return Effect(
        key=f"pulse:{name}:{report.email}",
        kind=EffectKind.MAIL,
        pair=pair.id,
        subject=str(pair.id),
        due_at=find_next_working_morning(report, now),
        decided_at=now,
        number=make_round_number(name),
        name=MailName.PULSE.value,
        to=report.email,
        is_limited=True,
    )


def make_round_number(name: str) -> int:
    """Return the number of a mail about a round: 202609 for 2026-09."""
    return int(name.replace("-", ""))
