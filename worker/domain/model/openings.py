"""Openings, projects and role paths that people-ops list, for a conversation about what comes next (R-29)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from worker.domain.model.time import Address

#: How many openings a brief and a page show at most.
MAX_OPENINGS_SHOWN = 5


class OpeningKind(StrEnum):
    """What an opening offers."""

    OPENING = "opening"  #: a position to be filled
    PROJECT = "project"  #: a piece of work for some time
    PATH = "path"  #: a way from one role to another


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One row of the openings file."""

    title: str
    kind: OpeningKind
    until: date  #: the last day on which it is shown
    group: str = ""  #: the department or team that has it; empty for the whole company
    link: str = ""  #: URL of a page about it
    contact: Address = ""  #: whom somebody who is interested writes to
    note: str = ""
    line: int = 0  #: in the file


def select_openings(openings: Iterable[Opening], group: str, today: date) -> tuple[Opening, ...]:
    """Return up to MAX_OPENINGS_SHOWN current openings for a person of that group.

    Those of the group and of the whole company come first, then others; within each, the one that ends soonest. No
    person is matched with an opening.
    """
    own_groups = {"", group.casefold()}
    current = (opening for opening in openings if opening.until >= today)
    in_order = sorted(current, key=lambda one: (one.group.casefold() not in own_groups, one.until, one.line))
    return tuple(in_order[:MAX_OPENINGS_SHOWN])
