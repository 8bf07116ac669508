"""Openings: positions, projects and role paths that people-ops list, so that the two can talk about them (R-29)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from worker.domain.model.time import Address

#: A brief or a page shows at most this many openings.
MAX_OPENINGS_SHOWN = 5


class OpeningKind(StrEnum):
    """What an opening offers."""

    OPENING = "opening"  #: an open position
    PROJECT = "project"  #: a temporary piece of work
    PATH = "path"  #: a way from one role to another


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One row of the openings file."""

    title: str
    kind: OpeningKind
    until: date  #: the last day on which it is shown
    group: str = ""  #: the department or team that offers it; empty for the whole company
    link: str = ""  #: the URL of a page about it
    contact: Address = ""  #: the person to write to
    note: str = ""
    line: int = 0  #: the line in the openings file


def select_openings(openings: Iterable[Opening], group: str, today: date) -> tuple[Opening, ...]:
    """Return up to MAX_OPENINGS_SHOWN current openings for a person of that group.

    Openings of the person's group and of the whole company come before those of other groups. Within both parts, the
    opening that ends soonest comes first. Nothing else about the person matters.
    """
    own_groups = {"", group.casefold()}
    current = (opening for opening in openings if opening.until >= today)
    in_order = sorted(
        current, key=lambda opening: (opening.group.casefold() not in own_groups, opening.until, opening.line)
    )
    return tuple(in_order[:MAX_OPENINGS_SHOWN])
