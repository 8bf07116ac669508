"""The page that tells a run to somebody who was not there: one file, nothing to load, no script."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from worker.demo import cast
from worker.demo.picture import lost, picture
from worker.demo.post import Letter, by_time
from worker.demo.result import Result
from worker.demo.telling import both_clocks, city, first, instant, names, rows, talk
from worker.domain.deferrals import IN_WORDS
from worker.domain.model import Address, Cause, Kind, Owner, Standing, State
from worker.domain.reasons import count_text, date_text
from worker.simulate import Line
from worker.templates import folder

#: The letters laid out on the page, each with why it is worth a look: by name, and what it has to be about.
SHOWN: Sequence[tuple[str, Mapping[str, object], str]] = (
    ("reflection_prompt", {}, "To the report, in the manager's voice. Nothing to fill in, nothing stored."),
    (
        "brief",
        {"to": cast.HELEN, "pair": f"{cast.HELEN}>{cast.MARA}", "last": True},
        "Own promises first: kept or not.",
    ),
    ("contract_summary", {"to": cast.EMILY}, "What both keep, within minutes of being written down."),
    ("deferral_notice", {"number": 3}, "The third time it moves, the manager is asked to choose."),
    ("booked_over_warning", {}, "A day to make room, before anything moves."),
    ("unplaceable", {}, "When there is no time, a person is told why, and what would free one."),
    ("contract_reminder", {"number": 2}, "Inside the manager's working hours, before the 48 hours are over."),
    ("review_note", {"to": cast.MARA}, "The monthly look at the contract, inside the 1:1 they have anyway."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Mails of one person about one conversation."""

    title: str
    letters: Sequence[Letter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and what it counts."""

    value: str
    what: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the numbers were."""

    tiles: Sequence[Figure]
    deferrals: Sequence[tuple[str, int, str]]
    mails: Sequence[tuple[str, int]] = field(default_factory=tuple)


def write(result: Result, out: Path) -> None:
    """Write `index.html`."""
    environment = Environment(
        loader=FileSystemLoader(folder() / "story"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subjects = {letter.id: letter.subject for letter in result.letters}
    story = list(rows(result.ledger, subjects))
    text = environment.get_template("index.html.j2").render(
        company=cast.COMPANY,
        start=cast.START,
        end=result.end,
        weeks=(result.end - cast.START).days // 7,
        people=[(one.name, city(one.zone), _role(one.email, result)) for one in result.persons.values()],
        picture=picture(result),
        figures=figures(result),
        months=[(month, list(some)) for month, some in groupby(story, key=lambda row: row.month)],
        shown=[(found, why) for name, about, why in SHOWN if (found := _find(result, name, about))],
        mailboxes=[(first(who), who, _groups(result, who)) for who in result.persons if _has_mail(result, who)],
        letters={letter.id: letter for letter in result.letters},
        sent=_sent,
        ahead=_ahead(result),
        calendars=sorted(result.persons),
        first=first,
    )
    (out / "index.html").write_text(text, encoding="utf-8")


# --- who --------------------------------------------------------------------------------------------------------------


def _role(who: Address, result: Result) -> str:
    reports = [first(pair.report) for pair in result.pairs.values() if pair.manager == who]
    boss = next((first(pair.manager) for pair in result.pairs.values() if pair.report == who), "")
    leads = f"leads {_listed(reports)}" if reports else ""
    return ", ".join(part for part in (leads, f"reports to {boss}" if boss else "") if part)


def _listed(some: Sequence[str]) -> str:
    return some[0] if len(some) == 1 else f"{', '.join(some[:-1])} and {some[-1]}"


def _ahead(result: Result) -> list[tuple[str, str]]:
    """For each pair the next conversation on both calendars (R-3)."""
    found: list[tuple[str, str]] = []
    for pair in result.pairs:
        starts = [s for s in result.sessions if s.pair == pair and s.booked and s.kind is Kind.CAREER]
        if starts:
            soonest = min(starts, key=lambda s: s.span.start)
            found.append((names(pair), both_clocks({"pair": pair, "start": soonest.span.start.isoformat()})))
    return found


# --- numbers ----------------------------------------------------------------------------------------------------------


def figures(result: Result) -> Figures:
    """What is counted."""
    mails = [letter.name for letter in result.letters]
    return Figures(
        tiles=[*_talks(result), *_contracts(result), *_promises(result), *_effects(result)],
        deferrals=[
            (_cause(cause), len(moves), _days(moves))
            for cause, moves in sorted(lost(result.ledger).items(), key=lambda one: -len(one[1]))
        ],
        mails=sorted(((name.replace("_", " "), mails.count(name)) for name in set(mails)), key=lambda one: -one[1]),
    )


def _talks(result: Result) -> Iterable[Figure]:
    over = (State.HELD, State.CONTRACTED, State.UNFINISHED)
    held = [s for s in result.sessions if s.kind is Kind.CAREER and s.state in over]
    reviews = [s for s in result.sessions if s.kind is not Kind.CAREER and s.state in over]
    yield Figure(
        value=str(len(held)),
        what="career conversations held",
        more=f"and {len(reviews)} contract reviews and check-ins",
    )
    moves = [abs(move) for some in lost(result.ledger).values() for move in some]
    deferred = sum(line.get("state") == "deferred" for line in result.ledger)
    far = max((move.days for move in moves), default=0)
    owed = f"{deferred - len(moves)} owed still" if deferred > len(moves) else "each got another"
    yield Figure(value=str(deferred), what="lost their time", more=f"{owed}, {count_text(far, 'day')} away at most")


def _contracts(result: Result) -> Iterable[Figure]:
    asked = [s for s in result.sessions if s.state in (State.CONTRACTED, State.UNFINISHED)]
    there = [s for s in asked if s.state is State.CONTRACTED]
    late = [s for s in there if s.id in result.late]
    more = [f"{len(late)} late" if late else "", f"{len(asked) - len(there)} never" if len(asked) > len(there) else ""]
    value = f"{len(there) - len(late)} of {len(asked)}"
    yield Figure(value=value, what="contracts within 48 hours", more=", ".join(part for part in more if part))


def _promises(result: Result) -> Iterable[Figure]:
    """R-20: the manager's as hard as the report's."""
    due = [c for c in result.commitments if c.due < result.end.date() and c.standing in (Standing.OPEN, Standing.DONE)]
    kept = [c for c in due if c.standing is Standing.DONE]
    mine = [c for c in kept if c.owner is Owner.MANAGER]
    more = f"{len(mine)} of the managers, {len(kept) - len(mine)} of the reports"
    yield Figure(value=f"{len(kept)} of {len(due)}", what="promises kept of those due", more=more)


def _effects(result: Result) -> Iterable[Figure]:
    kinds = [line["what"] for line in result.ledger]
    made, moved, gone = (kinds.count(f"event.{what}") for what in ("create", "update", "cancel"))
    yield Figure(
        value=str(len(result.letters)), what="mails", more=f"{len(set(result.persons))} people, {_weeks(result)} weeks"
    )
    yield Figure(
        value=str(made + moved + gone),
        what="changes on calendars",
        more=f"{made} made, {moved} moved, {gone} taken off",
    )


def _cause(cause: str) -> str:
    words = IN_WORDS[Cause(cause)]
    return words[0].upper() + words[1:]


def _days(moves: Sequence[timedelta]) -> str:
    """By how much, in the middle: `2 days later`."""
    days = round(median(move.total_seconds() for move in moves) / 86400)
    return f"{count_text(abs(days), 'day')} {'later' if days > 0 else 'earlier'}" if days else "the same day"


# --- mails ------------------------------------------------------------------------------------------------------------


def _has_mail(result: Result, who: Address) -> bool:
    return any(letter.to == who for letter in result.letters)


def _find(result: Result, name: str, about: Mapping[str, object]) -> Letter | None:
    """The first mail of that name that is so; the last one, if that is wanted."""
    wanted = {key: value for key, value in about.items() if key != "last"}
    fits = [
        letter
        for letter in by_time(result.letters)
        if letter.name == name and all(letter.line.get(key) == value for key, value in wanted.items())
    ]
    return (fits[-1] if about.get("last") else fits[0]) if fits else None


def _groups(result: Result, who: Address) -> list[Group]:
    """A person's mails, by what they are about, in the order of the first of each."""
    groups: dict[str, list[Letter]] = {}
    soon = {line["session"] for line in result.ledger if line.get("act") == "talk"}
    for letter in by_time(result.letters):
        if letter.to == who:
            groups.setdefault(_about(letter, result, who, soon), []).append(letter)
    return [Group(title=title, letters=some) for title, some in groups.items()]


def _about(letter: Letter, result: Result, who: Address, soon: set[str]) -> str:
    manager, _, report = letter.pair.partition(">")
    other = first(report if who == manager else manager)
    session = next((s for s in result.sessions if s.id == letter.session), None)
    if session is None:
        return f"With {other}: beginnings and promises"
    line: Line = {"session": session.id, "kind": session.kind.value, "topic": session.topic.value}
    day = f" of {date_text(session.start.date())}" if session.start else ""
    return f"With {other}: {talk(line, soon)}{day}"


def _sent(letter: Letter) -> str:
    """When it was sent, where the reader is."""
    local = instant(letter.line["at"]).astimezone(_zone(letter.to))
    return f"{date_text(local.date())}, {local:%H:%M}"


def _zone(who: Address) -> ZoneInfo:
    return ZoneInfo(cast.ZONES[who])
