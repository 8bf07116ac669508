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

from worker.clock import YEARS
from worker.errors import LongarcError, Problem, Problems, Refused, UnknownName

if TYPE_CHECKING:
    from worker.domain.model import Address, Pair, PairId, Person, Session
    from worker.store.store import Store

#: PAIR as an argument: one word or two.
pair_argument = click.argument("pair", nargs=-1, required=True, metavar="PAIR")
session_argument = click.argument("session", metavar="SESSION")
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")

#: People write little; nobody means a file larger than this, in bytes.
LARGEST = 1_000_000
#: How long somebody who feeds a pipe may take to begin. Seconds.
PATIENCE = 5
_WALL = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{1,2}):(\d{2})")


class WallTime(click.ParamType[datetime]):
    """A day and a time of day, without a zone."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        found = _WALL.fullmatch(value.strip())
        with suppress(ValueError):
            if found and int(found[1][:4]) in YEARS:
                return datetime.fromisoformat(f"{found[1]}T{found[2]:0>2}:{found[3]}")
        return self.fail('This is no time of the years 2000 to 2099. Write it as "2027-03-02 10:00".', param, ctx)


class Day(click.ParamType[date]):
    """A day of the calendar."""

    name = "day"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> date:
        with suppress(ValueError):
            found = date.fromisoformat(value.strip())
            if found.year in YEARS:
                return found
        return self.fail("This is no day of the years 2000 to 2099. Write it as 2027-03-02.", param, ctx)


class Said(click.ParamType[str]):
    """What somebody says, as one line; `-` reads it from standard input."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from worker.domain.contract.markdown import MAX_LINE
        from worker.i18n.language import line

        found = line(text_of(value) if value == "-" else value)
        if len(found) > MAX_LINE:
            self.fail(f"This is longer than {MAX_LINE:,} characters. Shorten it.", param, ctx)
        return found


def text_of(file: str) -> str:
    """What stands in a text file, or comes by standard input (`-`). Raises LongarcError, whatever lies there."""
    from worker.i18n.language import visible

    try:
        found = _input() if file == "-" else _contents(file)
        if len(found) > LARGEST:
            what, remedy = f"This is larger than {LARGEST:,} bytes.", "Keep what matters."
            raise Problems([Problem(shown_name(file), what, remedy)])
        return visible(found.decode("utf-8-sig"))
    except OSError as error:
        raise LongarcError(f"{shown_name(file)} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Problems([Problem(shown_name(file), "This is not UTF-8 text.", "Save it as UTF-8.")]) from None


def shown_name(file: str) -> str:
    """What a problem calls that file."""
    return "standard input" if file == "-" else file


def _input() -> bytes:
    if sys.stdin is None:
        raise LongarcError("Standard input is closed. Pipe the text in.")
    return sys.stdin.buffer.read(LARGEST + 1)


def _contents(file: str) -> bytes:
    """The beginning of a file of any kind. A pipe opens before anybody writes to it, and is left when nobody does."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        if stat.S_ISFIFO(os.fstat(opened.fileno()).st_mode) and not select.select([opened], [], [], PATIENCE)[0]:
            raise LongarcError(f"{file} is a pipe that nobody writes to. Give a file, or `-` for standard input.")
        os.set_blocking(opened.fileno(), True)
        return opened.read(LARGEST + 1)


at_option = click.option("--at", type=WallTime(), metavar="TIME", help='As "2027-03-02 10:00", where the manager is.')


def pair_named(store: "Store", words: str | Sequence[str]) -> "Pair":
    """The pair of `manager>report`, `manager report`, or of the report alone. Aliases will do. Raises UnknownName."""
    from worker.domain.model import PairId

    text = words if isinstance(words, str) else " ".join(words)
    people = [primary_address(store, part) for part in text.replace(PairId.SEPARATOR, " ").split()]
    if not 1 <= len(people) <= 2:
        raise click.UsageError("Name a pair as `manager>report`, by address, or by the report's address alone.")
    pairs = store.people.pairs()
    if len(people) == 2:
        return _exactly(PairId(*people), pairs)
    mine = [pair for pair in pairs.values() if pair.report == people[0]]
    alive = [pair for pair in mine if not pair.ended] or mine
    if len(alive) == 1:
        return alive[0]
    raise UnknownName(_which(people[0], alive or list(pairs.values())))


def _exactly(wanted: "PairId", pairs: "Mapping[PairId, Pair]") -> "Pair":
    from worker.settings.parsers import nearest

    if wanted not in pairs:
        near = nearest(str(wanted), [str(known) for known in pairs], 0.8)
        raise UnknownName(f"There is no pair {wanted}. " + (f"Did you mean {near}?" if near else _ALL_PAIRS))
    return pairs[wanted]


_ALL_PAIRS = "`longarc sessions` shows whose sessions there are."
_ALL_PEOPLE = "The setting `people` names that file; `longarc people` shows what it would change."


def _which(one: str, pairs: "Sequence[Pair]") -> str:
    managed = [pair for pair in pairs if pair.manager == one]
    if managed:
        reports = ", ".join(sorted(pair.report for pair in managed)[:5])
        return f"{one} is the manager of a pair. Name the report: {reports}."
    theirs = [str(pair.id) for pair in pairs if pair.report == one]
    if theirs:
        return f"{one} is in more than one pair: {', '.join(theirs)}. Name one of them."
    return _nobody(one, {pair.report for pair in pairs}, _ALL_PAIRS)


def _nobody(one: str, known: "Collection[Address]", where_to_look: str) -> str:
    from worker.settings.parsers import nearest

    near = nearest(one, known, 0.8)
    return f"Nobody in the people file is {one}. " + (f"Did you mean {near}?" if near else where_to_look)


def primary_address(store: "Store", address: str) -> "Address":
    """The primary address of the person who has this one; the address in lower case when nobody has."""
    from worker.providers.identities import normalize

    form = normalize(address)
    return store.forms.owner(form) or form


def person_named(store: "Store", people: "Collection[Address]", address: str) -> "Address":
    """The primary address of that person; an alias will do. Raises UnknownName when nobody ever had it."""
    person = primary_address(store, address)
    if person not in people:
        raise UnknownName(_nobody(person, people, _ALL_PEOPLE))
    return person


def session_named(store: "Store", session_id: str) -> "Session":
    """The session of that id. Raises UnknownName."""
    found = store.register.session(session_id)
    if found is None:
        raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists those there are.")
    return found


def manager_of(store: "Store", pair_id: "PairId") -> "Person":
    """The manager of a pair, also one who has left since."""
    from worker.store.statistics import Figures

    return Figures(store.database).everybody()[pair_id.manager]


def instant_there(at: datetime, zone: str) -> datetime:
    """The instant at which the clocks of the zone show that time. Raises Refused when they skip it."""
    from worker.commands.context import local
    from worker.domain.time.worktime import wall

    found = wall(zone, at.date(), at.hour * 60 + at.minute)
    if local(found, zone).replace(tzinfo=None) != at:
        raise Refused(f"The clocks of {zone} skip {at:%H:%M} on {at:%Y-%m-%d}. Give a time that exists.")
    return found
