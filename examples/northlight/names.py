"""What people, conversations and times are called in the story."""

from datetime import datetime
from zoneinfo import ZoneInfo

from examples.northlight.people import FIRST_NAMES, ZONES
from worker.domain.model import Address, PairId
from worker.domain.reason_texts import date_text
from worker.simulation.world import Line

_TOPICS = {"now": ", part one of three", "direction": ", part two of three", "gap": ", part three of three"}


def talk(line: Line, soon: set[str]) -> str:
    """What kind of conversation a line is about."""
    if line.get("session") in soon:
        return "conversation asked for"
    name = {"review": "contract review", "checkin": "check-in"}.get(line.get("kind", ""), "career conversation")
    return name + _TOPICS.get(line.get("topic", ""), "")


def pair_of(line: Line) -> PairId | None:
    """The pair a line is about; None for what the operator is told."""
    return PairId.parse(line["pair"]) if "pair" in line else None


def names(pair: PairId | None) -> str:
    """`Helen & Emily`"""
    return f"{first(pair.manager)} & {first(pair.report)}" if pair else ""


def first(address: Address) -> str:
    return FIRST_NAMES.get(address, address)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def city(zone: str) -> str:
    """`New York`"""
    return zone.rpartition("/")[2].replace("_", " ")


def clock(text: str, who: Address) -> str:
    """`Wed 7 Oct, 10:00` where that person is."""
    local = instant(text).astimezone(ZoneInfo(ZONES[who]))
    return f"{date_text(local.date())}, {local:%H:%M}"


def both_clocks(line: Line) -> str:
    """`Wed 7 Oct, 15:00 London, 10:00 New York`"""
    manager, report = PairId.parse(line["pair"]).people
    text = f"{clock(line['start'], manager)} {city(ZONES[manager])}"
    if ZONES[manager] == ZONES[report]:
        return text
    return f"{text}, {instant(line['start']).astimezone(ZoneInfo(ZONES[report])):%H:%M} {city(ZONES[report])}"


def day(text: str) -> str:
    return date_text(datetime.fromisoformat(text).date())
