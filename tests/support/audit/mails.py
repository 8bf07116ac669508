"""Judges each mail of a ledger when it goes out: whether it is sent once, to whom and when it may, and is true."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from tests.support.audit import reminders, rules
from tests.support.audit.known import PREPARING_PERIOD, Block, Flag, Line, Sent, Talk, flag_all
from tests.support.audit.mail_hours import NEVER_FOLDED, MailHours
from tests.support.audit.rules import PREPARING_MAILS, SESSION_MAILS
from tests.support.audit.turns import Turns
from worker.domain.model import Address, Owner, Pair, PairId, Person


class Mails:
    """The mails that went out so far; flags what is wrong with the next one."""

    def __init__(
        self,
        flag: Flag,
        persons: Mapping[Address, Person],
        pairs: Mapping[str, Pair],
        talks: Mapping[str, Talk],
        blocks_of: Mapping[Address, Mapping[str, Block]],
        hours: MailHours,
        turns: Turns,
    ) -> None:
        self._flag = flag
        self._persons, self._pairs, self._talks, self._blocks_of = persons, pairs, talks, blocks_of
        self._hours, self._turns = hours, turns
        self._sent: Counter[tuple[str, str]] = Counter()  #: by Message-ID and recipient
        #: Who was introduced, with the pair; without one for a manager, who is introduced once for all reports.
        self.introduced: set[tuple[PairId | None, str]] = set()
        self._wordings: dict[PairId, int] = {}  #: the number of the wording of each pair's last prompt

    def reader(self, name: str, talk: Talk) -> Address:
        """Return who reads a mail that prepares a session."""
        return talk.pair.report if PREPARING_MAILS[name].reader is Owner.REPORT else talk.pair.manager

    def read(self, line: Line, now: datetime) -> None:
        """Judge a mail that went out now."""
        name, to, message_id = line["message"], line.get("to", ""), line.get("message_id", "")
        self._sent[message_id, to] += 1
        # a summary of which it is unknown whether it arrived is rather sent twice than not at all
        if self._sent[message_id, to] > (2 if name == "contract_summary" else 1):
            self._flag("D-5", line.get("pair", ""), f"{name} {message_id} went out to {to} once more")
        pair = self._pairs.get(line.get("pair", ""))
        for rule, what in self._hours.judge(line, self._talks.get(line.get("session", "")), now):
            self._flag(rule, line.get("pair", ""), what)
        if pair is None:
            if line.get("pair"):
                self._flag("D-8", line["pair"], f"{name} for a pair that is not in the people file")
            elif name == "introduction":
                self._introduce(None, to)
            return
        flag_all(self._flag, pair, rules.judge_recipient(name, to, pair))
        if name != "operator_alert":
            flag_all(self._flag, pair, self._turns.find_heard_early(pair, f"{name} went to {to}", now))
        if name == "introduction":
            self._introduce(pair.id, to)
        elif name == "new_manager":  # it introduces the report's conversations with that manager
            self.introduced.add((pair.id, to))
        elif name == "commitment_due":
            self._check_commitment_due(pair, to, line)
        elif name in SESSION_MAILS:
            self._check_about_session(name, pair, line, now)

    def _introduce(self, pair: PairId | None, to: Address) -> None:
        """R-23: a report is introduced for each manager, a manager once for all reports."""
        if (pair, to) in self.introduced:
            self._flag("R-23", str(pair or ""), f"{to} was introduced twice")
        self.introduced.add((pair, to))

    def fold(self, line: Line, now: datetime) -> None:
        """Note a mail that was folded into an overflow mail: it counts as sent, unless it may not be folded (T-16)."""
        name, to, talk = line["message"], line.get("to", ""), self._talks.get(line.get("session", ""))
        if name in NEVER_FOLDED:
            self._flag("T-16", line.get("pair", ""), f"{name} to {to} was left to a line of another mail")
        self._hours.note_folded(to, now)
        if talk is not None:
            talk.mails[name].append(Sent(now, talk.start, to))

    def _check_wording(self, pair: Pair, line: Line) -> None:
        """T-5: two prompts in a row do not have the same wording."""
        wording = line.get("number", 0)
        if self._wordings.get(pair.id) == wording:
            self._flag("T-5", pair, f"the prompt for {line.get('session')} reads like the one before")
        self._wordings[pair.id] = wording

    def _check_commitment_due(self, pair: Pair, to: Address, line: Line) -> None:
        """A report's commitments leave no trace on a calendar, so only the manager's can be checked."""
        open_blocks = [b for b in self._blocks_of[pair.manager].values() if b.pair.id == pair.id and b.is_open]
        if to == pair.manager and not any(str(b.due) == line.get("due") for b in open_blocks):
            self._flag("T-8", pair, f"commitment_due for {line.get('due')}, when nothing is open that is due then")

    def _check_about_session(self, name: str, pair: Pair, line: Line, now: datetime) -> None:
        talk = self._talks.get(line.get("session", ""))
        if talk is None:
            self._flag("D-8", pair, f"{name} for {line.get('session')}, of which nothing was told")
            return
        if wrong := rules.describe_untruth(name, talk, line, now):
            self._flag(SESSION_MAILS[name], pair, f"{name} was not true when sent: {wrong}")
        elif name in PREPARING_MAILS:
            people, to = (self._persons[pair.manager], self._persons[pair.report]), self.reader(name, talk)
            start, since = talk.start or now, talk.booked_at or now
            latest = self._hours.next_time(to, max(rules.find_due_instant(name, people, start), since))
            is_present = not self._hours.may_be_away(to, start - PREPARING_PERIOD, start)
            flag_all(
                self._flag,
                pair,
                rules.judge_preparing_mail(name, talk, people, now, latest, is_surely_present=is_present),
            )
            if name == "reflection_prompt":
                self._check_wording(pair, line)
        elif name == "deferral_notice" and talk.is_alone_in_cycle and talk.knows_of_move(line.get("to", "")):
            self._flag("T-12", pair, f"{line['to']} was told that {talk.id} moved, and knew it")
        elif name == "contract_request" and talk.mails[name]:
            self._flag("T-7", pair, f"the contract of {talk.id} was requested twice")
        elif name == "contract_reminder":
            flag_all(self._flag, pair, reminders.judge_reminder(talk, self._persons[pair.manager], now))
        talk.mails[name].append(Sent(now, talk.start, line.get("to", "")))
