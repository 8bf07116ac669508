"""The page that tells a run to somebody who was not there: one file, nothing to load, no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.northlight import TEMPLATES, people
from examples.northlight.figures import compute_statistics
from examples.northlight.mailbox import DeliveredMail, sort_by_time
from examples.northlight.names import (
    describe_session,
    format_both_times,
    format_pair,
    get_city,
    get_first_name,
    parse_instant,
)
from examples.northlight.result import DemoResult
from examples.northlight.story import list_rows
from examples.northlight.timeline_svg import draw_timeline
from worker.domain.model import Address, PairId, SessionKind
from worker.domain.reason_texts import format_short_date
from worker.simulation.world import LedgerLine

#: The letters laid out on the page, each with why it is worth a look: by name, and what it has to be about.
FEATURED_MAILS: Sequence[tuple[str, Mapping[str, object], str]] = (
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
class MailGroup:
    """Mails of one person about one conversation."""

    title: str
    letters: Sequence[DeliveredMail]


def write_page(result: DemoResult, out: Path) -> None:
    """Write `index.html`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subjects = {letter.id: letter.subject for letter in result.mails}
    story = list(list_rows(result.ledger, subjects))
    text = environment.get_template("index.html.j2").render(
        company=people.COMPANY,
        start=people.START,
        end=result.end,
        real=result.real,
        keeper=result.keeper,
        weeks=(result.end - people.START).days // 7,
        people=[(one.name, get_city(one.zone), _describe_role(one.email, result)) for one in result.persons.values()],
        picture=draw_timeline(result),
        figures=compute_statistics(result),
        months=[(month, list(some)) for month, some in groupby(story, key=lambda row: row.month)],
        shown=[(found, why) for name, about, why in FEATURED_MAILS if (found := _find_mail(result, name, about))],
        mailboxes=[
            (get_first_name(who), who, _group_mails(result, who)) for who in result.persons if _has_mail(result, who)
        ],
        letters={letter.id: letter for letter in result.mails},
        sent=_format_sent_time,
        ahead=_list_next_sessions(result),
        calendars=list(result.persons),
        first=get_first_name,
    )
    (out / "index.html").write_text(text, encoding="utf-8")


# --- who -------------------------------------------------------------------------------------------------------------


def _describe_role(who: Address, result: DemoResult) -> str:
    reports = [get_first_name(pair.report) for pair in result.pairs.values() if pair.manager == who]
    boss = next((get_first_name(pair.manager) for pair in result.pairs.values() if pair.report == who), "")
    leads = f"leads {_join_names(reports)}" if reports else ""
    return ", ".join(part for part in (leads, f"reports to {boss}" if boss else "") if part)


def _join_names(some: Sequence[str]) -> str:
    return some[0] if len(some) == 1 else f"{', '.join(some[:-1])} and {some[-1]}"


def _list_next_sessions(result: DemoResult) -> list[tuple[str, str]]:
    """For each pair the next conversation on both calendars (R-3)."""
    found: list[tuple[str, str]] = []
    for pair in result.pairs:
        starts = [s for s in result.sessions if s.pair == pair and s.booked and s.kind is SessionKind.CAREER]
        if starts:
            soonest = min(starts, key=lambda s: s.span.start)
            found.append(
                (format_pair(pair), format_both_times({"pair": str(pair), "start": soonest.span.start.isoformat()}))
            )
    return found


# --- mails -----------------------------------------------------------------------------------------------------------


def _has_mail(result: DemoResult, who: Address) -> bool:
    return any(letter.to == who for letter in result.mails)


def _find_mail(result: DemoResult, name: str, about: Mapping[str, object]) -> DeliveredMail | None:
    """The first mail of that name that is so; the last one, if that is wanted."""
    wanted = {key: value for key, value in about.items() if key != "last"}
    fits = [
        letter
        for letter in sort_by_time(result.mails)
        if letter.name == name and all(letter.line.get(key) == value for key, value in wanted.items())
    ]
    return (fits[-1] if about.get("last") else fits[0]) if fits else None


def _group_mails(result: DemoResult, who: Address) -> list[MailGroup]:
    """A person's mails, by what they are about, in the order of the first of each."""
    groups: dict[str, list[DeliveredMail]] = {}
    soon = {line["session"] for line in result.ledger if line.get("act") == "talk"}
    for letter in sort_by_time(result.mails):
        if letter.to == who:
            groups.setdefault(_describe_topic(letter, result, who, soon), []).append(letter)
    return [MailGroup(title=title, letters=some) for title, some in groups.items()]


def _describe_topic(letter: DeliveredMail, result: DemoResult, who: Address, soon: set[str]) -> str:
    if letter.pair is None:
        return "To the operator"
    other = get_first_name(letter.pair.report if who == letter.pair.manager else letter.pair.manager)
    session = next((s for s in result.sessions if s.id == letter.session), None)
    if session is None:
        return f"With {other}: beginnings and promises"
    line: LedgerLine = {"session": session.id, "kind": session.kind.value, "topic": session.topic.value}
    day = f" of {format_short_date(session.start.date())}" if session.start else ""
    return f"With {other}: {describe_session(line, soon)}{day}"


def _format_sent_time(letter: DeliveredMail) -> str:
    """When it was sent, where the reader is."""
    local = parse_instant(letter.line["at"]).astimezone(_get_zone(letter.to))
    return f"{format_short_date(local.date())}, {local:%H:%M}"


def _get_zone(who: Address) -> ZoneInfo:
    return ZoneInfo(people.ZONES[who])
