"""Write the page of the demo, which shows a run: one HTML file without scripts, which loads nothing else."""

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
from examples.northlight.timeline_svg import TALL, WIDE, draw_timeline
from worker.domain.model import Address, PairId, SessionKind
from worker.domain.reason_texts import format_short_date
from worker.simulation.world import LedgerLine

#: Mails shown in full: the template, the ledger fields that the mail must have, a heading and a caption. `last` selects
#: the last of the matching mails instead of the first.
FEATURED_MAILS: Sequence[tuple[str, Mapping[str, object], str, str]] = (
    (
        "reflection_prompt",
        {},
        "A few thoughts, ahead of time",
        "To the report, in the manager's voice. Nothing to fill in, nothing stored.",
    ),
    (
        "brief",
        {"to": people.HELEN, "pair": str(PairId(people.HELEN, people.MARA)), "last": True},
        "The manager's brief",
        "Own promises first: kept or not.",
    ),
    (
        "brief",
        {"topic": "gap"},
        "“I don't know” is an answer",
        "After the talk about direction Arjun left a note for both. It stands in the next brief, and nobody pushes.",
    ),
    (
        "contract_summary",
        {"to": people.ARJUN},
        "What both keep",
        "Within minutes of being written down. The open question stays open.",
    ),
    (
        "deferral_notice",
        {"to": people.GRACE},
        "Three times to choose from",
        "The report hears of a deferral, too, without the other's reason. Grace takes the Monday.",
    ),
    (
        "deferral_notice",
        {"number": 3},
        "The third time it moves",
        "The manager is asked to choose, or to say what stands in the way.",
    ),
    (
        "new_manager",
        {"to": people.GRACE},
        "Another manager",
        "Grace chooses, line by line, what goes on to Helen. Untouched means nothing goes.",
    ),
    (
        "open_promises",
        {"to": people.MARA},
        "What the old manager promised",
        "It stays Mara's: to keep, to suggest to the new manager, or to end.",
    ),
    (
        "third_voice_request",
        {},
        "A third voice",
        "Noah asks a colleague one question. The answer reaches him alone.",
    ),
    ("third_voice_answered", {}, "The answer", "The mail holds nothing of it; it stands on Noah's page."),
    ("booked_over_warning", {}, "Something else in its place", "A day to make room, before anything moves."),
    (
        "weekly",
        {"to": people.MARA, "last": True},
        "One mail a week",
        "For a manager of three and more: what the week holds, and what waits.",
    ),
    ("unplaceable", {}, "No time to be found", "Silence is never the outcome: why, and what would free a time."),
    (
        "contract_reminder",
        {"number": 2},
        "Still to write",
        "Inside the manager's working hours, before the 48 hours are over.",
    ),
    (
        "review_note",
        {"to": people.MARA},
        "The monthly look",
        "At the contract, inside the 1:1 that the two have anyway.",
    ),
)
_NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailGroup:
    """Mails of one person about one conversation."""

    title: str
    mails: Sequence[DeliveredMail]


def write_page(result: DemoResult, out: Path) -> None:
    """Write `index.html` to the folder `out`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subjects = {mail.id: mail.subject for mail in result.mails}
    story = list(list_rows(result.ledger, subjects))
    text = environment.get_template("index.html.j2").render(
        company=people.COMPANY,
        start=people.START,
        end=result.end,
        real_parts=result.real_parts,
        calendar_source=result.calendar_source,
        weeks=(result.end - people.START).days // 7,
        people=[
            (person.name, get_city(person.zone), _describe_role(person.email, result))
            for person in result.persons.values()
        ],
        people_count=_spell_number(len(result.persons)),
        city_count=_spell_number(len({person.zone for person in result.persons.values()})),
        wide=draw_timeline(result, WIDE),
        tall=draw_timeline(result, TALL),
        figures=compute_statistics(result),
        months=[(month, list(rows)) for month, rows in groupby(story, key=lambda row: row.month)],
        featured_mails=[
            (mail, title, caption)
            for name, fields, title, caption in FEATURED_MAILS
            if (mail := _find_mail(result, name, fields))
        ],
        mailboxes=[
            (get_first_name(who), who, _group_mails(result, who))
            for who in (*result.persons, people.OPERATOR)
            if _has_mail(result, who)
        ],
        mails_by_id={mail.id: mail for mail in result.mails},
        sent_time=_format_sent_time,
        next_sessions=_list_next_sessions(result),
        calendar_owners=list(result.persons),
        first_name=get_first_name,
    )
    (out / "index.html").write_text(text, encoding="utf-8")


# --- who --------------------------------------------------------------------------------------------------------------


def _describe_role(who: Address, result: DemoResult) -> str:
    pairs = [pair for pair in result.pairs.values() if pair.is_active]
    reports = [get_first_name(pair.report) for pair in pairs if pair.manager == who]
    manager = next((get_first_name(pair.manager) for pair in pairs if pair.report == who), "")
    leads = f"leads {_join_names(reports)}" if reports else ""
    return ", ".join(part for part in (leads, f"reports to {manager}" if manager else "") if part)


def _spell_number(number: int) -> str:
    return _NUMBER_WORDS[number] if number < len(_NUMBER_WORDS) else str(number)


def _join_names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _list_next_sessions(result: DemoResult) -> list[tuple[str, str]]:
    """Return pair and time, as texts, of the next conversation of each pair that is on both calendars (R-3)."""
    next_sessions: list[tuple[str, str]] = []
    for pair in result.pairs:
        booked = [s for s in result.sessions if s.pair == pair and s.booked and s.kind is SessionKind.CAREER]
        if booked:
            soonest = min(booked, key=lambda s: s.span.start)
            next_sessions.append(
                (format_pair(pair), format_both_times({"pair": str(pair), "start": soonest.span.start.isoformat()}))
            )
    return next_sessions


# --- mails ------------------------------------------------------------------------------------------------------------


def _has_mail(result: DemoResult, who: Address) -> bool:
    return any(mail.to == who for mail in result.mails)


def _find_mail(result: DemoResult, name: str, fields: Mapping[str, object]) -> DeliveredMail | None:
    """Return the first mail of this template with these ledger fields, or with `last` the last; None without one."""
    ledger_fields = {key: value for key, value in fields.items() if key != "last"}
    matches = [
        mail
        for mail in sort_by_time(result.mails)
        if mail.name == name and all(mail.line.get(key) == value for key, value in ledger_fields.items())
    ]
    return (matches[-1] if fields.get("last") else matches[0]) if matches else None


def _group_mails(result: DemoResult, who: Address) -> list[MailGroup]:
    """Return the mails of a person, grouped by session, in the order of the first mail of each group."""
    groups: dict[str, list[DeliveredMail]] = {}
    requested_ids = {line["session"] for line in result.ledger if line.get("act") == "talk"}
    for mail in sort_by_time(result.mails):
        if mail.to == who:
            groups.setdefault(_describe_topic(mail, result, who, requested_ids), []).append(mail)
    return [MailGroup(title=title, mails=mails) for title, mails in groups.items()]


def _describe_topic(mail: DeliveredMail, result: DemoResult, who: Address, requested_ids: set[str]) -> str:
    if mail.name.startswith("third_voice"):
        return "A question to a third person"
    if mail.pair is None:
        return "To the operator" if mail.to == people.OPERATOR else "About all conversations"
    other = get_first_name(mail.pair.report if who == mail.pair.manager else mail.pair.manager)
    session = next((s for s in result.sessions if s.id == mail.session), None)
    if session is None:
        return f"With {other}: beginnings and promises"
    line: LedgerLine = {"session": session.id, "kind": session.kind.value, "topic": session.topic.value}
    day = f" of {format_short_date(session.start.date())}" if session.start else ""
    return f"With {other}: {describe_session(line, requested_ids)}{day}"


def _format_sent_time(mail: DeliveredMail) -> str:
    """Return the time at which a mail was sent, in the zone of the recipient."""
    local = parse_instant(mail.line["at"]).astimezone(_get_zone(mail.to))
    return f"{format_short_date(local.date())}, {local:%H:%M}"


def _get_zone(who: Address) -> ZoneInfo:
    return ZoneInfo(people.ZONES.get(who, "UTC"))  # the operator is not in the people file
