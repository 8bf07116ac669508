"""The promises hold after any sequence of actions of people and failures of services, once nothing is due any more.

The company of `tests/support/random_company.py` uses services in memory, and the doubles of Google and Microsoft 365.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.doubles.google.company import GoogleCompany
from tests.doubles.graph import Double
from tests.doubles.graph.company import GraphCompany
from tests.support.proof import FULL
from tests.support.random_company import Company
from worker.domain.model import Pair, PairId, Person
from worker.simulation.world import SimulatedWorld

pytestmark = pytest.mark.proof

TestCompany = Company.TestCase

TestCompany.settings = settings(
    max_examples=300 if FULL else 3,
    stateful_step_count=60 if FULL else 25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink) if FULL else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class OnGoogle(Company):
    """The same company with the provider for Google and its double."""

    def make_world(self, everybody: dict[str, Person], listed: dict[PairId, Pair]) -> SimulatedWorld:
        world = super().make_world(everybody, listed)
        world.calendar = self.google = GoogleCompany(everybody, world.clock)
        return world

    def _is_on_calendar(self, calendar: str, key: str) -> bool:
        return self.google.has_event(calendar, key)

    def teardown(self) -> None:
        super().teardown()
        self.google.stop()


TestOnGoogle = OnGoogle.TestCase

TestOnGoogle.settings = settings(
    TestCompany.settings,
    max_examples=40 if FULL else 3,
    stateful_step_count=60 if FULL else 25,
)


class OnOutlook(Company):
    """The same company with the provider for Microsoft 365 and its double."""

    def make_world(self, everybody: dict[str, Person], listed: dict[PairId, Pair]) -> SimulatedWorld:
        world = super().make_world(everybody, listed)
        self.double = Double()
        self.double.__enter__()
        world.calendar = GraphCompany(self.double, everybody.values())
        return world

    def teardown(self) -> None:
        super().teardown()
        self.double.__exit__()


TestOnOutlook = OnOutlook.TestCase

TestOnOutlook.settings = settings(
    TestCompany.settings,
    max_examples=40 if FULL else 2,
    stateful_step_count=60 if FULL else 15,
)
