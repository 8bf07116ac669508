"""Arguments that several commands share (pairs, sessions, times, days, text), and the functions that resolve them."""

import os
import re
import select
import stat
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.clock import SUPPORTED_YEARS
from worker.errors import LongarcError, Problem, Problems, Refused, UnknownName

if TYPE_CHECKING:
    from worker.domain.model import Address, Pair, PairId, Person, Session
    from worker.store.store import Store

#: PAIR on the command line is one word (`manager>report`, or the report alone) or two words (`manager report`).
pair_argument = click.argument("pair_words", nargs=-1, required=True, metavar="PAIR")
session_argument = click.argument("session_id", metavar="SESSION")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for another program.")

#: A larger text file is refused, since it can only have been named by mistake.
MAX_TEXT_BYTES = 1_000_000
#: How long to wait for the first byte of a named pipe.
PIPE_TIMEOUT_SECONDS = 5
#: Matches `2027-03-02 10:00`, `2027-03-02T10:00` and `2027-03-02 9:00`: the day, the hour, the minute.
_WALL_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{1,2}):(\d{2})")


class WallTime(click.ParamType[datetime]):
    """A date and a time of day without a zone, as `2027-03-02 10:00`."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        match = _WALL_TIME.fullmatch(value.strip())
        with suppress(ValueError):
            if match and int(match[1][:4]) in SUPPORTED_YEARS:
                return datetime.fromisoformat(f"{match[1]}T{match[2]:0>2}:{match[3]}")
        return self.fail('This is no time of the years 2000 to 2099. Write it as "2027-03-02 10:00".', param, ctx)


class Day(click.ParamType[date]):
    """A date, as YYYY-MM-DD."""

    name = "day"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> date:
        with suppress(ValueError):
            day = date.fromisoformat(value.strip())
            if day.year in SUPPORTED_YEARS:
                return day
        return self.fail("This is no day of the years 2000 to 2099. Write it as 2027-03-02.", param, ctx)


class TextLine(click.ParamType[str]):
    """Text on one line; `-` reads it from standard input."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from worker.domain.contract.markdown import MAX_LINE_CHARACTERS
        from worker.i18n.language import to_single_line

        line = to_single_line(read_text_file(value) if value == "-" else value)
        if len(line) > MAX_LINE_CHARACTERS:
            self.fail(f"This is longer than {MAX_LINE_CHARACTERS:,} characters. Shorten it.", param, ctx)
        return line


def read_text_file(file: str) -> str:
    """Return the content of a text file, or of standard input for `-`. Raises LongarcError when it can't be read."""
    from worker.i18n.language import strip_invisible

    try:
        content = _read_stdin() if file == "-" else _read_file(file)
        if len(content) > MAX_TEXT_BYTES:
            what, remedy = f"This is larger than {MAX_TEXT_BYTES:,} bytes.", "Keep what matters."
            raise Problems([Problem(get_display_name(file), what, remedy)])
        return strip_invisible(content.decode("utf-8-sig"))
    except OSError as error:
        raise LongarcError(f"{get_display_name(file)} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Problems([Problem(get_display_name(file), "This is not UTF-8 text.", "Save it as UTF-8.")]) from None


def get_display_name(file: str) -> str:
    """Return the name of the file for a problem report."""
    return "standard input" if file == "-" else file


def _read_stdin() -> bytes:
    """Read at most MAX_TEXT_BYTES + 1 bytes, as `_read_file` does."""
    if sys.stdin is None:
        raise LongarcError("Standard input is closed. Pipe the text in.")
    return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)


def _read_file(file: str) -> bytes:
    """Read at most MAX_TEXT_BYTES + 1 bytes, which is enough to see that a file is too large.

    A named pipe is opened without blocking. Raises LongarcError when no program writes to it in PIPE_TIMEOUT_SECONDS.
    """
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        is_pipe = stat.S_ISFIFO(os.fstat(opened.fileno()).st_mode)
        if is_pipe and not select.select([opened], [], [], PIPE_TIMEOUT_SECONDS)[0]:
            raise LongarcError(f"{file} is a pipe that nobody writes to. Give a file, or `-` for standard input.")
        os.set_blocking(opened.fileno(), True)
        return opened.read(MAX_TEXT_BYTES + 1)


at_option = click.option(
    "--at",
    "local_time",
    type=WallTime(),
    metavar="TIME",
    help='As "2027-03-02 10:00", in the time zone of the manager.',
)


def find_pair(store: "Store", pair_words: str | Sequence[str]) -> "Pair":
    """Return the pair named by `manager>report`, `manager report`, or the report alone.

    Aliases are accepted. Raises UnknownName.
    """
    from worker.domain.model import PairId

    text = pair_words if isinstance(pair_words, str) else " ".join(pair_words)
    people = [find_primary_address(store, part) for part in text.replace(PairId.SEPARATOR, " ").split()]
    if not 1 <= len(people) <= 2:
        raise click.UsageError("Name a pair as `manager>report`, by address, or by the report's address alone.")
    pairs = store.people.load_all_pairs()
    if len(people) == 2:
        return _require_pair(PairId(*people), pairs)
    # Ended pairs count only when the report has no other pair.
    all_matches = [pair for pair in pairs.values() if pair.report == people[0]]
    matches = [pair for pair in all_matches if not pair.ended] or all_matches
    if len(matches) == 1:
        return matches[0]
    # without a match, all pairs: they show whether the person is a manager, and which address is similar
    raise UnknownName(_explain_no_single_pair(people[0], matches or list(pairs.values())))


def _require_pair(pair_id: "PairId", pairs: "Mapping[PairId, Pair]") -> "Pair":
    """Return the pair with this id. Raises UnknownName, which suggests the most similar id."""
    from worker.settings.parsers import find_nearest

    if pair_id not in pairs:
        suggestion = find_nearest(str(pair_id), [str(known_id) for known_id in pairs], cutoff=_MIN_SIMILARITY)
        raise UnknownName(
            f"There is no pair {pair_id}. " + (f"Did you mean {suggestion}?" if suggestion else _SESSIONS_HINT)
        )
    return pairs[pair_id]


#: How many reports of a manager an error names.
_MAX_REPORTS_NAMED = 5
#: How similar a name has to be to be suggested, from 0 to 1.
_MIN_SIMILARITY = 0.8
_SESSIONS_HINT = "`longarc sessions` lists the sessions of all pairs."
_PEOPLE_HINT = "`longarc people` reads the roster, and shows what it would change."


def _explain_no_single_pair(address: str, pairs: "Sequence[Pair]") -> str:
    """Return why the address of one person does not name exactly one of these pairs, and what to write instead."""
    managed = [pair for pair in pairs if pair.manager == address]
    if managed:
        reports = ", ".join(sorted(pair.report for pair in managed)[:_MAX_REPORTS_NAMED])
        return f"{address} is the manager of a pair. Name the report: {reports}."
    pair_ids = [str(pair.id) for pair in pairs if pair.report == address]
    if pair_ids:
        return f"{address} is in more than one pair: {', '.join(pair_ids)}. Name one of them."
    return _explain_unknown_person(address, {pair.report for pair in pairs}, _SESSIONS_HINT)


def _explain_unknown_person(address: str, addresses: "Collection[Address]", hint: str) -> str:
    """Return the error text for an unknown address. It suggests the most similar address, or else has the hint."""
    from worker.settings.parsers import find_nearest

    suggestion = find_nearest(address, addresses, cutoff=_MIN_SIMILARITY)
    return f"Nobody in the roster is {address}. " + (f"Did you mean {suggestion}?" if suggestion else hint)


def find_primary_address(store: "Store", address: str) -> "Address":
    """Return the primary address of the person with this address or alias; the address itself for unknown people."""
    from worker.providers.identities import normalize_alias

    return store.aliases.find_primary(normalize_alias(address))


def find_person(store: "Store", people: "Collection[Address]", address: str) -> "Address":
    """Return the primary address of the person; aliases are accepted. Raises UnknownName."""
    person = find_primary_address(store, address)
    if person not in people:
        raise UnknownName(_explain_unknown_person(person, people, _PEOPLE_HINT))
    return person


def find_session(store: "Store", session_id: str) -> "Session":
    """Return the session with this id. Raises UnknownName."""
    session = store.queries.get_session(session_id)
    if session is None:
        raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists the sessions there are.")
    return session


def find_manager(store: "Store", pair_id: "PairId") -> "Person":
    """Return the manager of a pair, even one who has left the company."""
    return store.people.load_all_people()[pair_id.manager]


def resolve_local_time(local_time: datetime, zone: str) -> datetime:
    """Return the instant at which clocks in the zone show that time. Raises Refused when daylight saving skips it."""
    from worker.commands.context import to_local_time
    from worker.domain.time.worktime import wall_to_utc

    instant = wall_to_utc(zone, local_time.date(), local_time.hour * 60 + local_time.minute)
    if to_local_time(instant, zone).replace(tzinfo=None) != local_time:
        day = f"{local_time:%Y-%m-%d}"
        raise Refused(f"The clocks of {zone} skip {local_time:%H:%M} on {day}. Give a time that exists.")
    return instant


def require_folder_of(target: Path) -> None:
    """Raise LongarcError unless there is a folder in which this file or folder can be written.

    A command that takes minutes or writes to the database calls this before anything else.
    """
    if not target.absolute().parent.is_dir():
        raise LongarcError(f"There is no folder {target.parent}. Make it, or name another place than {target}.")
