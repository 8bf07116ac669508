"""The page that tells a run to somebody who was not there: one file, nothing to load, no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.northlight import TEMPLATES, people
from examples.northlight.figures import figures
from examples.northlight.mailbox import Letter, by_time
from examples.northlight.names import both_clocks, city, first, instant, names, talk
from examples.northlight.result import Result
from examples.northlight.story import rows
from examples.northlight.timeline_svg import picture
from worker.domain.model import Address, Kind, PairId
from worker.domain.reason_texts import date_text
from worker.simulation.world import Line

#: The letters laid out on the page, each with why it is worth a look: by name, and what it has to be about.
SHOWN: Sequence[tuple[str, Mapping[str, object], str]] = (
    ("reflection_prompt", {}, "To the report, in the manager's voice. Nothing to fill in, nothing stored."),
    (
        "brief",
        {"to": people.HELEN, "pair": str(PairId(people.HELEN, people.MARA)), "last": True},
        "Own promises first: kept or not.",
    ),
    ("contract_summary", {"to": people.EMILY}, "What both keep, within minutes of being written down."),
    ("deferral_notice", {"number": 3}, "The third time it moves, the manager is asked to choose."),
    ("booked_over_warning", {}, "A day to make room, before anything moves."),
    ("unplaceable", {}, "When there is no time, a person is told why, and what would free one."),
    ("contract_reminder", {"number": 2}, "Inside the manager's working hours, before the 48 hours are over."),
    ("review_note", {"to": people.MARA}, "The monthly look at the contract, inside the 1:1 they have anyway."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Mails of one person about one conversation."""

    title: str
    letters: Sequence[Letter]


def write(result: Result, out: Path) -> None:
    """Write `index.html`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subjects = {letter.id: letter.subject for letter in result.letters}
    story = list(rows(result.ledger, subjects))
    text = environment.get_template("index.html.j2").render(
        company=people.COMPANY,
        start=people.START,
        end=result.end,
        real=result.real,
        keeper=result.keeper,
        weeks=(result.end - people.START).days // 7,
        people=[(one.name, city(one.zone), _role(one.email, result)) for one in result.persons.values()],
        picture=picture(result),
        figures=figures(result),
        months=[(month, list(some)) for month, some in groupby(story, key=lambda row: row.month)],
        shown=[(found, why) for name, about, why in SHOWN if (found := _find(result, name, about))],
        mailboxes=[(first(who), who, _groups(result, who)) for who in result.persons if _has_mail(result, who)],
        letters={letter.id: letter for letter in result.letters},
        sent=_sent,
        ahead=_ahead(result),
        calendars=list(result.persons),
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
            found.append((names(pair), both_clocks({"pair": str(pair), "start": soonest.span.start.isoformat()})))
    return found


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
    if letter.pair is None:
        return "To the operator"
    other = first(letter.pair.report if who == letter.pair.manager else letter.pair.manager)
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
    return ZoneInfo(people.ZONES[who])
