"""What `longarc status` shows on one screen: does it run, since when, what waits, and what needs a person.

Each thing that needs a person comes with what helps. What does not fit is counted; `longarc status --all` shows all.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.commands.terminal import format_count, format_time

#: A usual terminal: a report fits it, with a line for the prompt.
WIDTH, HEIGHT = 80, 23
#: Lines at most about one thing that needs a person, before its remedy.
MAX_LINES = 2
#: Lines at most about the company, and about what waits, so that there is room for what needs a person.
MAX_COMPANY_LINES, MAX_WAITING_LINES = 8, 7
_INDENT = "  "
_STANDING_WORDS = {"unproven": "not yet proven", "silent": "silent", "failing": "refused"}
_TROUBLE_WORDS = {"silent": "The channel is silent", "failing": "There is no channel"}
#: What helps when changes are not told.
CHANNEL_REMEDY = "`longarc check` tries the address. Meanwhile they are read as often as without `sync.notify_url`."


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A line of the screen, with its style."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person."""

    what: str
    remedy: str
    is_severe: bool = False


def build_screen(report: Mapping[str, Any], width: int = WIDTH, height: int = HEIGHT) -> list[StatusLine]:
    """Return the report of `collect_status` as at most `height` lines of at most `width` characters."""
    needs = list(list_needs(report))
    company = [text for sentence in _describe_company(report) for text in _wrap(sentence, width)]
    head = [_describe_run(report), *map(StatusLine, company[:MAX_COMPANY_LINES])]
    waits = [StatusLine(text) for text in _list_waiting(report)][:MAX_WAITING_LINES]
    lines = [*head, *([StatusLine(""), StatusLine("Waits", "bold"), *waits] if waits else [])]
    lines = [StatusLine(_cut(line.text, width), line.style) for line in lines]
    if not needs:
        return [*lines[: height - 2], StatusLine(""), StatusLine("Nothing needs a person.", "green")]
    blocks = [_build_block(need, width) for need in needs]
    return [*lines, *_fit_blocks(blocks, height - len(lines) - 2, width)]


def _fit_blocks(blocks: Sequence[list[StatusLine]], room: int, width: int) -> Iterator[StatusLine]:
    """Yield a heading and as many whole blocks as have room; if not all do, a line counts the others."""
    yield StatusLine("")
    yield StatusLine("Needs a person", "bold")
    used = 0
    for number, block in enumerate(blocks):
        is_last = number == len(blocks) - 1
        if used + len(block) + (not is_last) > room:
            more = format_count(len(blocks) - number, "more thing", "more things")
            yield StatusLine(_cut(f"{_INDENT}… and {more}: `longarc status --all` shows all.", width), "yellow")
            return
        yield from block
        used += len(block)


def _build_block(need: Need, width: int) -> list[StatusLine]:
    style = "red" if need.is_severe else "yellow"
    what, remedy = _wrap(need.what, width - 2), _wrap(need.remedy, width - 4)
    marked = [f"{'!' if number == 0 else ' '} {text}" for number, text in enumerate(what)]
    advice = [f"{_INDENT}{'→' if number == 0 else ' '} {text}" for number, text in enumerate(remedy)]
    return [*(StatusLine(text, style) for text in marked), *(StatusLine(text) for text in advice)]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, max_lines=MAX_LINES, placeholder=" …", break_on_hyphens=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


# --- does it run ---


def _describe_run(report: Mapping[str, Any]) -> StatusLine:
    live = [worker for worker in report["workers"] if worker["lives"]]
    if not live:
        seen = max((worker["seen_at"] for worker in report["workers"]), default=None)
        return StatusLine(f"Longarc does not run{f' since {_format(seen)}' if seen else ''}.", "red")
    hosts = sorted({worker["host"] for worker in live})
    versions = ", ".join(sorted({worker["version"] for worker in live}))
    since = _format(min(worker["started_at"] for worker in live))
    where = f"{', '.join(hosts[:3])}{f' and {len(hosts) - 3:,} more' if len(hosts) > 3 else ''}"
    return StatusLine(
        f"Longarc {versions} runs since {since}: {format_count(len(live), 'worker')} on {where}.", "green"
    )


def _describe_company(report: Mapping[str, Any]) -> Iterator[str]:
    pairs, sessions = report["pairs"], report["sessions"]
    others = [f"{pairs[name]:,} {name}" for name in ("paused", "outside", "ended") if pairs[name]]
    active = format_count(pairs["active"], "active pair")
    yield f"{', '.join([format_count(report['people'], 'person', 'people'), active, *others])}."
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(sessions.items()))
    yield f"Sessions: {states or 'none'}."
    mail = ", ".join(name + (f" ({guarantee})" if guarantee else "") for name, guarantee in report["mail"].items())
    yield f"Calendars: {report['calendars']['read']:,} read. Mail: {mail or 'none'}."
    if report["channels"]["total"]:
        yield describe_channels(report["channels"])
    yield from report["rollout"]
    if any(report["retention"].values()):
        yield describe_retention(report["retention"])


def describe_channels(channels: Mapping[str, Any]) -> str:
    """Return a sentence on of how many calendars we are told changes, and what is with the others."""
    others = [f"{channels[standing]:,} {words}" for standing, words in _STANDING_WORDS.items() if channels[standing]]
    told = f"Told of changes: {channels['trusted']:,} of {format_count(channels['total'], 'calendar')}"
    return f"{told} ({', '.join(others)})." if others else f"{told}."


def describe_channel_trouble(trouble: Mapping[str, Any]) -> str:
    """Return a sentence on the channels of one service that stand alike, with the problem of one of them."""
    count = format_count(trouble["count"], "calendar")
    problem = trouble["problem"] or f"Our own change on the calendar of {trouble['calendar']} did not come back."
    return f"{_TROUBLE_WORDS[trouble['standing']]} for {count} ({trouble['service']}): {problem}"


def describe_retention(retention: Mapping[str, Any]) -> str:
    """Return a sentence on when contents are erased, and how many pairs' were."""
    months, count = retention["months"], retention["erased_pairs"]
    so_far = f" {format_count(count, 'pair was', 'pairs were')} erased so far." if count else ""
    if months is None:
        return f"What pairs wrote is kept until somebody erases it.{so_far}"
    return f"What a pair wrote is erased {months} months after it ended.{so_far}"


# --- what waits ---


def _list_waiting(report: Mapping[str, Any]) -> Iterator[str]:
    waiting = report["outbox"].get("waiting", 0) - sum(effect["count"] for effect in report["due"])
    if waiting > 0:
        yield f"{_INDENT}{format_count(waiting, 'mail or change', 'mails and changes')} that are not due yet"
    if report["due"]:
        names = ", ".join(f"{effect['count']:,} {_name(effect)}" for effect in report["due"])
        yield f"{_INDENT}due since {_format(min(effect['since'] for effect in report['due']))}: {names}"
    for effect in report["tried_again"][:2]:
        again = _format(effect["again"])
        yield f"{_INDENT}{effect['count']:,} {_name(effect)}, tried again at {again}: {effect['why']}"
    if report["owed"]:
        next_look = min((session["again"] for session in report["owed"] if session["again"]), default=None)
        when = f", looked for at {_format(next_look)}" if next_look else ""
        yield f"{_INDENT}{format_count(len(report['owed']), 'session')} without a time yet{when}"
    if never := report["calendars"]["never_read"]:
        yield f"{_INDENT}{format_count(len(never), 'calendar')} to be read for the first time: {_list_some(never)}"


def _name(effect: Mapping[str, Any]) -> str:
    return str(effect["message"] or effect["what"])


# --- what needs a person ---


def list_needs(report: Mapping[str, Any]) -> Iterator[Need]:
    """Yield what needs a person, the most severe first, each with its remedy."""
    if not any(worker["lives"] for worker in report["workers"]):
        what = "No worker is at work, so nothing is booked, moved or mailed."
        yield Need(what, "Start `longarc run`.", is_severe=True)
    elif report["calendars"]["behind"]:
        behind = report["calendars"]["behind"]
        what = f"{format_count(len(behind), 'calendar')} should have been read by now: {_list_some(behind)}."
        yield Need(what, "Look at the log for what takes so long, or start another worker.")
    yield from _list_suspended(report["suspended"])
    yield from _list_unreachable(report["unreachable"])
    yield from _list_troubled(report["troubled"])
    for trouble in report["channels"]["troubles"]:
        yield Need(describe_channel_trouble(trouble), CHANNEL_REMEDY)
    yield from _list_unplaceable(report["unplaceable"])
    silent = [worker for worker in report["workers"] if not worker["lives"]]
    if silent and len(silent) < len(report["workers"]):
        worker = max(silent, key=lambda one: one["seen_at"])
        more = f", and {len(silent) - 1:,} more" if silent[1:] else ""
        what = f"{worker['host']} ({worker['pid']}) was not heard of since {_format(worker['seen_at'])}{more}."
        yield Need(what, "Start it again if it is missed. The others have taken over its work.")


def _list_suspended(suspended: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    if not suspended:
        return
    people = [calendar["person"] for calendar in suspended]
    until = _format(min(calendar["until"] for calendar in suspended))
    who = f"`longarc retry {people[0] if len(people) == 1 else '--all'}`"
    what = f"{_list_some(people)}: no access to the calendar; tried again at {until}."
    yield Need(what, f"Give access again, then {who} tries it at once.", is_severe=True)


def _list_unreachable(unreachable: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for calendar in unreachable:
        groups[calendar["service"], calendar["why"]].append(calendar)
    for (service, why), group in groups.items():
        since, again = min(one["since"] for one in group), min(one["again"] for one in group)
        what = f"{_list_some([one['person'] for one in group])}: not read since {_format(since)} ({service}): {why}"
        yield Need(what, f"Tried again at {_format(again)}. `longarc check` tries each part and names a remedy.")


#: What helps with messages that did not get through, by their progress.
_TROUBLE_REMEDIES = {
    "uncertain": "Nobody can tell whether it arrived, and it is not sent again: ask a reader who waits for it.",
    "dead": "Fix the cause. What is still wanted is decided again when its pair is planned next.",
    "waiting": "It is tried again by itself. `longarc check` tries the service and names a remedy.",
}


def _list_troubled(troubled: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for effect in troubled:
        groups[effect["progress"], effect["problem"] or ""].append(effect)
    for (progress, problem), group in groups.items():
        names = _list_some(sorted({effect["name"] or effect["what"] for effect in group}))
        people = _list_some(sorted({effect["to"] or effect["pair"] for effect in group} - {""}))
        to, why = f" to {people}" if people else "", f": {problem}" if problem else "."
        what = f"{len(group):,} {progress}: {names}{to}{why}"
        yield Need(what, _TROUBLE_REMEDIES.get(progress, "`longarc status --all` shows more."), progress == "dead")


def _list_unplaceable(unplaceable: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    for session in unplaceable:
        what = f"No time exists for {session['pair']}: {session['reason']}"
        yield Need(what, f"Both were told what would free one. `longarc why {session['session']}` shows the decisions.")


def _list_some(names: Sequence[str]) -> str:
    """Return the first two names, and how many more there are."""
    return ", ".join(names[:2]) + (f" and {len(names) - 2:,} more" if len(names) > 2 else "")


def _format(instant: datetime) -> str:
    return f"{format_time(instant, 'UTC')} UTC"
