"""How a command names a pair, a session, a time and a day, and how these are found in the database; and how it is
given words: on its line, in a file, or by standard input."""

import os
import re
import select
import stat
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from worker.clock import SUPPORTED_YEARS
from worker.errors import LongarcError, Problem, Problems, Refused, UnknownName

if TYPE_CHECKING:
    from worker.domain.model import Address, Pair, PairId, Person, Session
    from worker.store.store import Store

#: PAIR as an argument: one word or two.
pair_argument = click.argument("pair", nargs=-1, required=True, metavar="PAIR")
session_argument = click.argument("session", metavar="SESSION")
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")

#: People write little; nobody means a file larger than this, in bytes.
MAX_TEXT_BYTES = 1_000_000
#: How long somebody who feeds a pipe may take to begin. Seconds.
PIPE_TIMEOUT = 5
_WALL_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{1,2}):(\d{2})")


class WallTime(click.ParamType[datetime]):
    """A day and a time of day, without a zone."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        found = _WALL_TIME.fullmatch(value.strip())
        with suppress(ValueError):
            if found and int(found[1][:4]) in SUPPORTED_YEARS:
                return datetime.fromisoformat(f"{found[1]}T{found[2]:0>2}:{found[3]}")
        return self.fail('This is no time of the years 2000 to 2099. Write it as "2027-03-02 10:00".', param, ctx)


class Day(click.ParamType[date]):
    """A day of the calendar."""

    name = "day"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> date:
        with suppress(ValueError):
            found = date.fromisoformat(value.strip())
            if found.year in SUPPORTED_YEARS:
                return found
        return self.fail("This is no day of the years 2000 to 2099. Write it as 2027-03-02.", param, ctx)


class TextLine(click.ParamType[str]):
    """What somebody says, as one line; `-` reads it from standard input."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from worker.domain.contract.markdown import MAX_LINE
        from worker.i18n.language import to_single_line

        found = to_single_line(read_text_file(value) if value == "-" else value)
        if len(found) > MAX_LINE:
            self.fail(f"This is longer than {MAX_LINE:,} characters. Shorten it.", param, ctx)
        return found


def read_text_file(file: str) -> str:
    """What stands in a text file, or comes by standard input (`-`). Raises LongarcError, whatever lies there."""
    from worker.i18n.language import strip_invisible

    try:
        found = _read_stdin() if file == "-" else _read_file(file)
        if len(found) > MAX_TEXT_BYTES:
            what, remedy = f"This is larger than {MAX_TEXT_BYTES:,} bytes.", "Keep what matters."
            raise Problems([Problem(display_name(file), what, remedy)])
        return strip_invisible(found.decode("utf-8-sig"))
    except OSError as error:
        raise LongarcError(f"{display_name(file)} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Problems([Problem(display_name(file), "This is not UTF-8 text.", "Save it as UTF-8.")]) from None


def display_name(file: str) -> str:
    """What a problem calls that file."""
    return "standard input" if file == "-" else file


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise LongarcError("Standard input is closed. Pipe the text in.")
    return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)


def _read_file(file: str) -> bytes:
    """The beginning of a file of any kind. A pipe opens before anybody writes to it, and is left when nobody does."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        if stat.S_ISFIFO(os.fstat(opened.fileno()).st_mode) and not select.select([opened], [], [], PIPE_TIMEOUT)[0]:
            raise LongarcError(f"{file} is a pipe that nobody writes to. Give a file, or `-` for standard input.")
        os.set_blocking(opened.fileno(), True)
        return opened.read(MAX_TEXT_BYTES + 1)


at_option = click.option("--at", type=WallTime(), metavar="TIME", help='As "2027-03-02 10:00", where the manager is.')


def find_pair(store: "Store", words: str | Sequence[str]) -> "Pair":
    """The pair of `manager>report`, `manager report`, or of the report alone. Aliases will do. Raises UnknownName."""
    from worker.domain.model import PairId

    text = words if isinstance(words, str) else " ".join(words)
    people = [find_primary_address(store, part) for part in text.replace(PairId.SEPARATOR, " ").split()]
    if not 1 <= len(people) <= 2:
        raise click.UsageError("Name a pair as `manager>report`, by address, or by the report's address alone.")
    pairs = store.people.load_all_pairs()
    if len(people) == 2:
        return _require_pair(PairId(*people), pairs)
    mine = [pair for pair in pairs.values() if pair.report == people[0]]
    alive = [pair for pair in mine if not pair.ended] or mine
    if len(alive) == 1:
        return alive[0]
    raise UnknownName(_explain_no_single_pair(people[0], alive or list(pairs.values())))


def _require_pair(wanted: "PairId", pairs: "Mapping[PairId, Pair]") -> "Pair":
    from worker.settings.parsers import find_nearest

    if wanted not in pairs:
        near = find_nearest(str(wanted), [str(known) for known in pairs], 0.8)
        raise UnknownName(f"There is no pair {wanted}. " + (f"Did you mean {near}?" if near else _SESSIONS_HINT))
    return pairs[wanted]


_SESSIONS_HINT = "`longarc sessions` shows whose sessions there are."
_ALL_PEOPLE = "The setting `people` names that file; `longarc people` shows what it would change."


def _explain_no_single_pair(one: str, pairs: "Sequence[Pair]") -> str:
    managed = [pair for pair in pairs if pair.manager == one]
    if managed:
        reports = ", ".join(sorted(pair.report for pair in managed)[:5])
        return f"{one} is the manager of a pair. Name the report: {reports}."
    theirs = [str(pair.id) for pair in pairs if pair.report == one]
    if theirs:
        return f"{one} is in more than one pair: {', '.join(theirs)}. Name one of them."
    return _explain_unknown_person(one, {pair.report for pair in pairs}, _SESSIONS_HINT)


def _explain_unknown_person(one: str, known: "Collection[Address]", where_to_look: str) -> str:
    from worker.settings.parsers import find_nearest

    near = find_nearest(one, known, 0.8)
    return f"Nobody in the people file is {one}. " + (f"Did you mean {near}?" if near else where_to_look)


def find_primary_address(store: "Store", address: str) -> "Address":
    """The primary address of the person who has this one; the address in lower case when nobody has."""
    from worker.providers.identities import normalize

    form = normalize(address)
    return store.person_forms.find_owner(form) or form


def find_person(store: "Store", people: "Collection[Address]", address: str) -> "Address":
    """The primary address of that person; an alias will do. Raises UnknownName when nobody ever had it."""
    person = find_primary_address(store, address)
    if person not in people:
        raise UnknownName(_explain_unknown_person(person, people, _ALL_PEOPLE))
    return person


def find_session(store: "Store", session_id: str) -> "Session":
    """The session of that id. Raises UnknownName."""
    found = store.queries.get_session(session_id)
    if found is None:
        raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists those there are.")
    return found


def find_manager(store: "Store", pair_id: "PairId") -> "Person":
    """The manager of a pair, also one who has left since."""
    from worker.store.statistics import Statistics

    return Statistics(store.database).load_all_people()[pair_id.manager]


def resolve_local_time(at: datetime, zone: str) -> datetime:
    """The instant at which the clocks of the zone show that time. Raises Refused when they skip it."""
    from worker.commands.context import to_local_time
    from worker.domain.time.worktime import wall_to_utc

    found = wall_to_utc(zone, at.date(), at.hour * 60 + at.minute)
    if to_local_time(found, zone).replace(tzinfo=None) != at:
        raise Refused(f"The clocks of {zone} skip {at:%H:%M} on {at:%Y-%m-%d}. Give a time that exists.")
    return found
