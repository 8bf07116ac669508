"""Names of people and kinds of conversations, and times, as the pages of the demo show them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from examples.northlight.people import FIRST_NAMES, ZONES
from worker.domain.model import Address, PairId
from worker.domain.reason_texts import format_short_date
from worker.simulation.world import LedgerLine

#: By topic of a part: what is added to the kind of its session.
_PART_SUFFIXES = {"now": ", part one of three", "direction": ", part two of three", "gap": ", part three of three"}


def describe_session(line: LedgerLine, requested_ids: set[str]) -> str:
    """Return the kind of the session in a line, in words: `career conversation, part one of three`.

    `requested_ids`: the ids of the ad hoc sessions.
    """
    if line.get("session") in requested_ids:
        return "conversation asked for"
    name = {"review": "contract review", "checkin": "check-in"}.get(line.get("kind", ""), "career conversation")
    return name + _PART_SUFFIXES.get(line.get("topic", ""), "")


def get_pair(line: LedgerLine) -> PairId | None:
    """Return the pair of a line; None for a line about no single pair, such as a mail to the operator."""
    return PairId.parse(line["pair"]) if "pair" in line else None


def format_pair(pair: PairId | None) -> str:
    """Return the first names of the two: `Helen & Emily`; empty without a pair."""
    return f"{get_first_name(pair.manager)} & {get_first_name(pair.report)}" if pair else ""


def get_first_name(address: Address) -> str:
    return FIRST_NAMES.get(address, address)


def parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def get_city(zone: str) -> str:
    """Return the city of a zone: `New York`."""
    return zone.rpartition("/")[2].replace("_", " ")


def format_local_time(text: str, who: Address) -> str:
    """Return the time in the zone of the person: `Wed 7 Oct, 10:00`."""
    local = parse_instant(text).astimezone(ZoneInfo(ZONES[who]))
    return f"{format_short_date(local.date())}, {local:%H:%M}"


def format_both_times(line: LedgerLine) -> str:
    """Return the start in the zones of both people: `Wed 7 Oct, 15:00 London, 10:00 New York`."""
    manager, report = PairId.parse(line["pair"]).people
    text = f"{format_local_time(line['start'], manager)} {get_city(ZONES[manager])}"
    if ZONES[manager] == ZONES[report]:
        return text
    return f"{text}, {parse_instant(line['start']).astimezone(ZoneInfo(ZONES[report])):%H:%M} {get_city(ZONES[report])}"


def format_day(text: str) -> str:
    return format_short_date(datetime.fromisoformat(text).date())
