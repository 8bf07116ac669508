"""Audits a run of the program: reads its ledger and its people, and lists where a rule was broken.

It imports nothing that plans, places, writes or sends, only the model and the arithmetic of working time. So a mistake
in the program's rules can't hide behind the same mistake here. A violation names the rule: see `known.Violation`.

    python -m tests.support.audit.auditor ledger.jsonl people.csv --from 2026-09-07 --days 365
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from tests.support.audit.known import Line, Violation, parse_instant
from tests.support.audit.observer import Auditor
from tests.support.audit.rules import CONTRACT_DEADLINE
from worker.domain.model import Address, Pair, PairId, Person

__all__ = ["Violation", "audit", "main", "report", "summary"]


def audit(
    lines: Iterable[Line],
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    *,
    start: datetime,
    end: datetime,
) -> list[Violation]:
    """Return every violation in a ledger of the time from `start`, the first sweep, to `end`; in order of time.

    What has to happen after `end` is not checked.
    """
    auditor = Auditor(persons, pairs, start)
    for line in lines:
        auditor.read(line)
    return auditor.close(end)


def summary(lines: Iterable[Line]) -> dict[str, Any]:
    """Return counts of what a ledger tells. A contract is in time within 48 hours of its session's end."""
    states: Counter[str] = Counter()  #: of sessions, and other kinds of lines
    deferred: Counter[str] = Counter()
    mails: Counter[str] = Counter()
    acts: Counter[str] = Counter()
    for line in lines:
        what = line["what"]
        if what == "session":
            states[line["state"]] += 1
            if line["state"] == "deferred":
                deferred[line.get("cause", "")] += 1
            states["contracted in time"] += line["state"] == "contracted" and _in_time(line)
        elif what == "mail":
            mails[line["message"]] += 1
        elif what == "human":
            acts[line["act"]] += 1
        else:
            states[what] += 1
    counted = {"deferred by cause": deferred, "mails": mails, "human acts": acts}
    return {**dict(sorted(states.items())), **{name: dict(sorted(each.items())) for name, each in counted.items()}}


def _in_time(line: Line) -> bool:
    return "end" in line and parse_instant(line["at"]) - parse_instant(line["end"]) <= CONTRACT_DEADLINE


# --- as a command ---


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a ledger file."""
    with path.open(encoding="utf-8") as file:
        for text in file:
            if text.strip():
                yield json.loads(text)


def report(violations: Sequence[Violation], examples: int = 3) -> str:
    """Return a text with the number of violations of each rule, and the first few of them."""
    by_rule: dict[str, list[Violation]] = defaultdict(list)
    for one in violations:
        by_rule[one.rule].append(one)
    lines = [f"{len(violations)} violations"]
    for rule, of_rule in sorted(by_rule.items()):
        lines.append(f"{rule}: {len(of_rule)}")
        lines += [f"    {one.at:%Y-%m-%d %H:%M} {one.pair}: {one.what}" for one in of_rule[:examples]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit a ledger file; return 1 when a violation is found, else 0."""
    from worker.providers.base import CALENDAR_FACTORIES, MAILER_FACTORIES
    from worker.roster.model import RosterRules
    from worker.roster.people_file import load_people_file

    parser = argparse.ArgumentParser(
        prog="python -m tests.support.audit.auditor",
        description="Check a ledger against the rules of time and of the practice.",
    )
    parser.add_argument("ledger", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, help="the first day")
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--examples", type=int, default=3, help="how many violations of each rule are shown")
    options = parser.parse_args(arguments)
    start = datetime.combine(options.first, time(), UTC)
    end = start + timedelta(days=options.days)
    first = next(read_lines(options.ledger), None)
    if first:
        start = max(start, parse_instant(first["at"]))
    rules = RosterRules(today=options.first, calendars=tuple(CALENDAR_FACTORIES), mailers=tuple(MAILER_FACTORIES))
    roster = load_people_file(options.people, rules)
    violations = audit(read_lines(options.ledger), roster.persons, roster.pairs, start=start, end=end)
    sys.stdout.write(json.dumps(summary(read_lines(options.ledger)), indent=2) + "\n")
    sys.stdout.write(report(violations, options.examples) + "\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
