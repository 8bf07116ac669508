"""Subscriptions of Microsoft 365: the contract of channels, and what only this vendor does."""

from collections.abc import Sequence

import pytest

from tests.doubles.graph import Double
from tests.doubles.graph.subscriptions import Subscriptions
from tests.support.channel_contract import ChannelContract
from tests.support.loopback import Asked
from worker.providers.base import Notification
from worker.providers.outlook.notifications import read_notifications


class TestOutlookChannels(ChannelContract):
    """Everything a calendar with channels promises."""

    path = "/notify/outlook"
    renews = True

    def read(self, request: Asked) -> Sequence[Notification]:
        return read_notifications(request.body)

    @pytest.fixture
    def service(self, double: Double) -> Subscriptions:
        return double.subscriptions
