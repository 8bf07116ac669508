"""Builds the one screen of `longarc status`: whether Longarc runs, what waits, and what needs a person.

Each item that needs a person has a remedy. Items that do not fit are counted; `longarc status --all` shows all of them.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.commands.terminal import format_time
from worker.domain.counts import format_count

#: The size of a usual terminal in characters, with a line left for the prompt.
WIDTH, HEIGHT = 80, 23
#: How many lines the description or the remedy of an item can have.
MAX_LINES = 2
#: How many hosts are named.
MAX_HOSTS = 3
#: How many names are listed in a sentence, and how many effects that will be tried again.
MAX_NAMED = 2
#: How many lines the company and the waiting items can have, so that there is room for what needs a person.
MAX_COMPANY_LINES, MAX_WAITING_LINES = 8, 7
_INDENT = "  "
#: The words for the operator about a channel, by its standing: in a list of counts, and at the beginning of a sentence
#: about a channel that does not work. The standing `failing` means that the service refused to open a channel.
_STANDING_WORDS = {"unproven": "not yet proven", "silent": "silent", "failing": "refused"}
_TROUBLE_WORDS = {"silent": "The channel is silent", "failing": "There is no channel"}
#: The remedy when a channel brings no notifications.
CHANNEL_REMEDY = (
    "`longarc check` tries the address. Meanwhile calendars are read as often as without `sync.notify_url`."
)


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A line of the screen, with its style."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """An item that needs a person, with its remedy."""

    what: str  #: a sentence that describes it
    remedy: str
    is_severe: bool = False


def build_screen(report: Mapping[str, Any], width: int = WIDTH, height: int = HEIGHT) -> list[StatusLine]:
    """Return the report of `collect_status` as at most `height` lines of at most `width` characters."""
    needs = list(list_needs(report))
    company = [text for sentence in _describe_company(report) for text in _wrap(sentence, width)]
    head = [_describe_run(report), *map(StatusLine, company[:MAX_COMPANY_LINES])]
    waiting = [StatusLine(text) for text in _list_waiting(report)][:MAX_WAITING_LINES]
    waiting_section = [StatusLine(""), StatusLine("Waits", "bold"), *waiting] if waiting else []
    lines = [StatusLine(_cut(line.text, width), line.style) for line in [*head, *waiting_section]]
    if not needs:
        return [*lines[: height - 2], StatusLine(""), StatusLine("Nothing needs a person.", "green")]
    blocks = [_build_block(need, width) for need in needs]
    room = height - len(lines) - 2  # the blocks follow an empty line and a heading
    return [*lines, *_fit_blocks(blocks, room, width)]


def _fit_blocks(blocks: Sequence[list[StatusLine]], room: int, width: int) -> Iterator[StatusLine]:
    """Yield a heading and as many whole blocks as fit into `room` lines, and count the others in a last line."""
    yield StatusLine("")
    yield StatusLine("Needs a person", "bold")
    used_lines = 0
    for number, block in enumerate(blocks):
        is_last = number == len(blocks) - 1
        needed_lines = len(block) if is_last else len(block) + 1  # the last line may have to count the others
        if used_lines + needed_lines > room:
            more = format_count(len(blocks) - number, "more thing", "more things")
            yield StatusLine(_cut(f"{_INDENT}… and {more}: `longarc status --all` shows all.", width), "yellow")
            return
        yield from block
        used_lines += len(block)


def _build_block(need: Need, width: int) -> list[StatusLine]:
    """Return the lines about one item: its description after a mark, and its remedy after an arrow."""
    style = "red" if need.is_severe else "yellow"
    what_lines = _wrap(need.what, width - len("! "))
    remedy_lines = _wrap(need.remedy, width - len(f"{_INDENT}→ "))
    block = [StatusLine(f"{'!' if number == 0 else ' '} {text}", style) for number, text in enumerate(what_lines)]
    for number, text in enumerate(remedy_lines):
        block.append(StatusLine(f"{_INDENT}{'→' if number == 0 else ' '} {text}"))
    return block


def _wrap(text: str, width: int) -> list[str]:
    """Return the text in at most MAX_LINES lines."""
    return textwrap.wrap(text, width, max_lines=MAX_LINES, placeholder=" …", break_on_hyphens=False)


def _cut(text: str, width: int) -> str:
    """Return the text, shortened with an ellipsis to at most `width` characters."""
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


# --- whether Longarc runs ---


def _describe_run(report: Mapping[str, Any]) -> StatusLine:
    """Return the first line: since when workers run and on which hosts, or since when none does."""
    live_workers = [worker for worker in report["workers"] if worker["lives"]]
    if not live_workers:
        seen_at = max((worker["seen_at"] for worker in report["workers"]), default=None)
        text = f"Longarc has not run since {_format(seen_at)}." if seen_at else "Longarc does not run."
        return StatusLine(text, "red")
    hosts = sorted({worker["host"] for worker in live_workers})
    versions = ", ".join(sorted({worker["version"] for worker in live_workers}))
    since = _format(min(worker["started_at"] for worker in live_workers))
    more_hosts = f" and {len(hosts) - MAX_HOSTS:,} more" if len(hosts) > MAX_HOSTS else ""
    workers = f"{format_count(len(live_workers), 'worker')} on {', '.join(hosts[:MAX_HOSTS])}{more_hosts}"
    return StatusLine(f"Longarc {versions} has run since {since}: {workers}.", "green")


def _describe_company(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about people, sessions, calendars, mail, channels, the rollout and retention."""
    pairs, sessions = report["pairs"], report["sessions"]
    # "outside" counts the pairs that the rollout does not include.
    others = [f"{pairs[name]:,} {name}" for name in ("paused", "outside", "ended") if pairs[name]]
    active = format_count(pairs["active"], "active pair")
    yield f"{', '.join([format_count(report['people'], 'person', 'people'), active, *others])}."
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(sessions.items()))
    yield f"Sessions: {states or 'none'}."
    # By mail service: its delivery guarantee, such as "at most once"; empty where there is no choice.
    delivery_guarantees = report["mail"].items()
    mail = ", ".join(service + (f" ({guarantee})" if guarantee else "") for service, guarantee in delivery_guarantees)
    yield f"Calendars: {report['calendars']['read']:,} read. Mail: {mail or 'none'}."
    if report["channels"]["total"]:
        yield describe_channels(report["channels"])
    yield from report["rollout"]
    if any(report["retention"].values()):
        yield describe_retention(report["retention"])


def describe_channels(channels: Mapping[str, Any]) -> str:
    """Return a sentence that counts the calendars with a trusted channel, and those with another one."""
    others = [f"{channels[standing]:,} {words}" for standing, words in _STANDING_WORDS.items() if channels[standing]]
    trusted = f"Notifications come for {channels['trusted']:,} of {format_count(channels['total'], 'calendar')}"
    return f"{trusted} ({', '.join(others)})." if others else f"{trusted}."


def describe_channel_trouble(trouble: Mapping[str, Any]) -> str:
    """Return a sentence that counts the channels of one service and one standing, with the problem of one of them."""
    count = format_count(trouble["count"], "calendar")
    no_notification = f"No notification came after our own change on the calendar of {trouble['calendar']}."
    problem = trouble["problem"] or no_notification
    return f"{_TROUBLE_WORDS[trouble['standing']]} for {count} ({trouble['service']}): {problem}"


def describe_retention(retention: Mapping[str, Any]) -> str:
    """Return a sentence that says when contents are erased, and the contents of how many pairs were erased."""
    months, count = retention["months"], retention["erased_pairs"]
    so_far = f" {format_count(count, 'pair was', 'pairs were')} erased so far." if count else ""
    if months is None:
        return f"What pairs wrote is kept until somebody erases it.{so_far}"
    return f"What a pair wrote is erased {format_count(months, 'month')} after it ended.{so_far}"


# --- what waits ---


def _list_waiting(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each kind of work that waits: effects, sessions without a time, calendars never read."""
    later_count = report["outbox"].get("waiting", 0) - sum(group["count"] for group in report["due"])
    if later_count > 0:
        yield f"{_INDENT}{format_count(later_count, 'mail or change', 'mails and changes')} that are not due yet"
    if report["due"]:
        names = ", ".join(f"{group['count']:,} {_get_group_name(group)}" for group in report["due"])
        yield f"{_INDENT}due since {_format(min(group['since'] for group in report['due']))}: {names}"
    for group in report["tried_again"][:MAX_NAMED]:
        retry_at = _format(group["again"])
        yield f"{_INDENT}{group['count']:,} {_get_group_name(group)}, tried again at {retry_at}: {group['why']}"
    if report["owed"]:
        next_search = min((session["again"] for session in report["owed"] if session["again"]), default=None)
        when = f", next search at {_format(next_search)}" if next_search else ""
        yield f"{_INDENT}{format_count(len(report['owed']), 'session')} without a time yet{when}"
    if never_read := report["calendars"]["never_read"]:
        count = format_count(len(never_read), "calendar")
        yield f"{_INDENT}{count} to be read for the first time: {_list_some(never_read)}"


def _get_group_name(group: Mapping[str, Any]) -> str:
    """Return what the effects of a group have in common: the name of their mail, or for other effects their kind."""
    return str(group["message"] or group["what"])


# --- what needs a person ---


def list_needs(report: Mapping[str, Any]) -> Iterator[Need]:
    """Yield the items that need a person, the most severe first."""
    if not any(worker["lives"] for worker in report["workers"]):
        what = "No worker runs, so nothing is booked, moved or mailed."
        yield Need(what, "Start `longarc run`.", is_severe=True)
    elif report["calendars"]["behind"]:
        behind = report["calendars"]["behind"]
        what = f"{format_count(len(behind), 'calendar')} should have been read by now: {_list_some(behind)}."
        yield Need(what, "See in the log what takes so long, or start another worker.")
    yield from _list_suspended(report["suspended"])
    yield from _list_unreachable(report["unreachable"])
    yield from _list_troubled_effects(report["troubled"])
    for channel_trouble in report["channels"]["troubles"]:
        yield Need(describe_channel_trouble(channel_trouble), CHANNEL_REMEDY)
    yield from _list_unplaceable(report["unplaceable"])
    dead_workers = [worker for worker in report["workers"] if not worker["lives"]]
    if dead_workers and len(dead_workers) < len(report["workers"]):
        last_seen = max(dead_workers, key=lambda worker: worker["seen_at"])
        more = f", and {format_count(len(dead_workers) - 1, 'more worker')}" if dead_workers[1:] else ""
        what = f"{last_seen['host']} ({last_seen['pid']}): no heartbeat since {_format(last_seen['seen_at'])}{more}."
        yield Need(what, "Start it again if it should run. The other workers have taken over its work.")


def _list_suspended(suspended: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    """Yield one item about all calendars that Longarc may no longer access, if there are any."""
    if not suspended:
        return
    people = [calendar["person"] for calendar in suspended]
    until = _format(min(calendar["until"] for calendar in suspended))
    command = f"`longarc retry {people[0] if len(people) == 1 else '--all'}`"
    what = f"{_list_some(people)}: no access to the calendar; tried again at {until}."
    yield Need(what, f"Give access again, then {command} tries it at once.", is_severe=True)


def _list_unreachable(unreachable: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    """Yield an item for each group of calendars that the same service can't read for the same reason."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for calendar in unreachable:
        groups[calendar["service"], calendar["why"]].append(calendar)
    for (service, reason), group in groups.items():
        since = min(calendar["since"] for calendar in group)
        retry_at = min(calendar["again"] for calendar in group)
        people = _list_some([calendar["person"] for calendar in group])
        what = f"{people}: not read since {_format(since)} ({service}): {reason}"
        yield Need(what, f"Tried again at {_format(retry_at)}. `longarc check` tries each part and names a remedy.")


#: The remedy for mails and events that did not get through, by the progress of the effect.
_TROUBLE_REMEDIES = {
    "uncertain": "It is unknown whether it arrived, and it is not sent again: ask a recipient whether it did.",
    "dead": "Fix the cause. When the pair is planned next, whatever is still needed is sent again.",
    "waiting": "It is tried again by itself. `longarc check` tries the service and names a remedy.",
}


def _list_troubled_effects(troubled: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    """Yield an item for each group of effects with the same progress and problem.

    A mail is called by its name, `effect["name"]`, and another effect by its kind, `effect["what"]`.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for effect in troubled:
        groups[effect["progress"], effect["problem"] or ""].append(effect)
    for (progress, problem), group in groups.items():
        names = _list_some(sorted({effect["name"] or effect["what"] for effect in group}))
        people = _list_some(sorted({effect["to"] or effect["pair"] for effect in group} - {""}))
        recipients = f" to {people}" if people else ""
        reason = f": {problem}" if problem else "."
        what = f"{len(group):,} {progress}: {names}{recipients}{reason}"
        remedy = _TROUBLE_REMEDIES.get(progress, "`longarc status --all` shows more.")
        yield Need(what, remedy, is_severe=progress == "dead")


def _list_unplaceable(unplaceable: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    for session in unplaceable:
        what = f"No time exists for {session['pair']}: {session['reason']}"
        yield Need(
            what, f"Both were told what would make time. `longarc why {session['session']}` shows the decisions."
        )


def _list_some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"


def _format(instant: datetime) -> str:
    return f"{format_time(instant, 'UTC')} UTC"
