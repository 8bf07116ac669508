"""Simulates a year of a company, and keeps its ledger and the absences on its calendars."""

import gc
from dataclasses import dataclass
from datetime import timedelta

from tests.support.counts.counts import Counts, Year, count_ledger
from tests.support.years.companies import START, Company
from tests.support.years.people import CALM_YEAR, CalmHumans, list_away
from worker.domain.model import Span
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.settings.load import Settings
from worker.simulation.mails import BlankMailRenderer, DiscardingMailer
from worker.simulation.people import Behaviour, OtherMeetings
from worker.simulation.world import LedgerLine, SimulatedWorld, make_simulation_settings


@dataclass(frozen=True, slots=True)
class SimulatedYear:
    """The ledger of a company's year, with its people, pairs and absences."""

    lines: list[LedgerLine]
    year: Year

    def count(self) -> Counts:
        """Return the counts of the year."""
        return count_ledger(self.lines, self.year)


def simulate_year(company: Company, seed: int, behaviour: Behaviour = CALM_YEAR, days: int = 364) -> SimulatedYear:
    """Simulate a company from START on for so many days; the same seed gives the same year."""
    settings = make_simulation_settings(Settings())
    renderer = BlankMailRenderer(sender=settings.mail.sender, domain=settings.mail.domain)
    world = SimulatedWorld(
        settings, company.persons, company.pairs, START, mailer=DiscardingMailer(), mail_renderer=renderer
    )
    end = START + timedelta(days=days)
    try:
        world.humans = CalmHumans(world, behaviour, seed)
        meetings = OtherMeetings(world, behaviour, seed)
        joins = sorted(company.joins, key=lambda join: join[0])
        while (now := world.clock()) < end:
            while joins and joins[0][0] <= now:
                _, pair = joins.pop(0)
                world.pairs[pair.id] = pair
                world.worker.store.people.apply_import(world.persons, world.pairs, now)
                # a text that differs between imports: the services load the people again when it changes
                world.worker.store.people.set_stored_value(IMPORT_VERSION_NAME, f"as of {now}")
            meetings.refresh()
            world.calendar.pop_changed_calendars()
            world.run_until(min(now + timedelta(weeks=1), end))
        away = list_away(world, Span(START, end))
    finally:
        world.worker.close()
        gc.collect(0)
    pairs = {str(pair_id): pair for pair_id, pair in company.all_pairs.items()}
    return SimulatedYear(
        world.ledger.lines, Year(persons=company.persons, pairs=pairs, away=away, start=START, end=end)
    )
