"""Five small companies: a plain one, and four with one difficulty each: new people, rhythms, working weeks, zones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from worker.domain.model import Address, Format, Interval, Pair, PairId, Person, ReviewMode
from worker.domain.time.worktime import parse_hours

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
WEEK = timedelta(weeks=1)
OFFICE_HOURS = "Mon-Fri 09:00-17:00"
BERLIN, LONDON, PARIS = ("Europe/Berlin", "DE-BE"), ("Europe/London", "GB-ENG"), ("Europe/Paris", "FR")
NEW_YORK, LOS_ANGELES = ("America/New_York", "US-NY"), ("America/Los_Angeles", "US-CA")
KOLKATA, SYDNEY = ("Asia/Kolkata", "IN"), ("Australia/Sydney", "AU-NSW")


@dataclass(slots=True)
class Company:
    """People and pairs, and the pairs that join later."""

    name: str
    persons: dict[Address, Person] = field(default_factory=dict)
    pairs: dict[PairId, Pair] = field(default_factory=dict)  #: from the start on
    joins: list[tuple[datetime, Pair]] = field(default_factory=list)  #: when each pair is imported, and the pair

    def add_person(self, name: str, place: tuple[str, str] = BERLIN, hours: str = OFFICE_HOURS) -> Address:
        """Add a person, and return their address."""
        email = f"{name}@{self.name}.example"
        zone, country = place
        self.persons[email] = Person(
            email=email,
            name=name.title(),
            zone=zone,
            country=country,
            hours=parse_hours(hours),
            calendar="memory",
            mail="memory",
        )
        return email

    def add_pair(self, manager: Address, report: Address, weeks_later: int = 0, **fields: object) -> None:
        """Add a pair; with `weeks_later`, it joins so many weeks after the start and may meet two weeks after that."""
        joins = START + weeks_later * WEEK
        if weeks_later:
            fields["start"] = (joins + 2 * WEEK).date()
        pair = Pair(manager=manager, report=report, first_seen=joins.date(), **fields)  # type: ignore[arg-type]
        if weeks_later:
            self.joins.append((joins, pair))
        else:
            self.pairs[pair.id] = pair

    @property
    def all_pairs(self) -> Mapping[PairId, Pair]:
        """All pairs, also those that join later."""
        return {**self.pairs, **{pair.id: pair for _, pair in self.joins}}


def build_growing(copies: int = 1) -> Company:
    """Return a company with two pairs to which others come through the year, one of them with a second manager."""
    company = Company("growing")
    for n in range(copies):
        first, second = company.add_person(f"ada{n}"), company.add_person(f"bo{n}", LONDON)
        for number, week in enumerate((0, 0, 7, 19, 33)):
            report = company.add_person(f"g{n}{number}", LONDON if number % 2 else BERLIN)
            company.add_pair(second if number == 3 else first, report, week)
    return company


def build_odd_rhythms(copies: int = 1) -> Company:
    """Return a company with rhythms from two months to half a year, one of them as a series."""
    company = Company("rhythms")
    rhythms = [Interval(weeks=8), Interval(weeks=10), Interval(weeks=26), Interval(months=2), Interval(months=6)]
    for n in range(copies):
        manager = company.add_person(f"cy{n}", PARIS)
        for number, every in enumerate(rhythms):
            style = Format.SERIES if every.weeks == 26 else Format.COMBINED
            company.add_pair(manager, company.add_person(f"o{n}{number}", PARIS), every=every, format=style)
    return company


def build_part_time(copies: int = 1) -> Company:
    """Return a company whose people work on Tuesdays only, in the mornings, at night, or on three or four days."""
    company = Company("parttime")
    weeks = ("Tue 09:00-17:00", "Mon-Fri 08:00-12:00", "Mon-Thu 07:00-17:00", "Mon-Wed 10:00-16:00")
    for n in range(copies):
        manager, night = (
            company.add_person(f"di{n}", LONDON),
            company.add_person(f"el{n}", LONDON, "Mon-Fri 15:00-23:30"),
        )
        for number, hours in enumerate(weeks):
            company.add_pair(manager, company.add_person(f"p{n}{number}", LONDON, hours))
        company.add_pair(night, company.add_person(f"night{n}", LONDON, "Mon-Thu 21:00-05:00"))
    return company


def build_plain(copies: int = 1) -> Company:
    """Return a company with one zone and one rhythm; of five pairs, one has a series, one reviews in its 1:1."""
    company = Company("plain")
    for n in range(copies):
        manager = company.add_person(f"flo{n}")
        for number in range(5):
            style = Format.SERIES if number == 4 else Format.COMBINED
            review = ReviewMode.IN_1ON1 if number == 3 else ReviewMode.ALONE
            company.add_pair(manager, company.add_person(f"q{n}{number}"), format=style, review=review)
    return company


def build_far_zones(copies: int = 1) -> Company:
    """Return a company whose managers and reports share only a few working hours a day."""
    company = Company("zones")
    for n in range(copies):
        berlin, london = company.add_person(f"gil{n}", BERLIN), company.add_person(f"hal{n}", LONDON)
        company.add_pair(berlin, company.add_person(f"ny{n}", NEW_YORK))
        company.add_pair(berlin, company.add_person(f"kol{n}", KOLKATA, "Mon-Fri 10:00-18:30"))
        company.add_pair(london, company.add_person(f"la{n}", LOS_ANGELES, "Mon-Fri 07:30-15:30"))
        company.add_pair(london, company.add_person(f"syd{n}", SYDNEY, "Mon-Fri 10:00-19:30"))
    return company


BUILDERS: Mapping[str, Callable[[int], Company]] = {
    "growing": build_growing,
    "rhythms": build_odd_rhythms,
    "part-time": build_part_time,
    "plain": build_plain,
    "zones": build_far_zones,
}
