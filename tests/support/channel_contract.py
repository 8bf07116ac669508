"""What `worker.providers.base` promises about channels, as tests that every calendar service with channels inherits.

A provider's test class derives from `ChannelContract`, defines in `read` how its vendor's notifications are parsed, and
has three fixtures: `provider`; `hands`, which changes its calendars as people do; and `service`, the part of the double
that sends notifications. Where services differ, a class attribute says so.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Condition
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.drafts import Hands, draft, span
from tests.support.loopback import ReceivedRequest, Request, serve
from worker.domain.model import Address
from worker.errors import Conflict, Permanent
from worker.providers.base import (
    CalendarProvider,
    Channel,
    Notification,
    NotificationKind,
    NotifyingCalendar,
    OpenedChannel,
)

#: The public address that a company's proxy forwards to the worker.
PUBLIC = "https://longarc.example"
_WAIT_SECONDS = 20.0  #: for a notification
#: The clock of a double may be ahead of ours by so much.
_CLOCK_TOLERANCE = timedelta(minutes=5)


class NotifyingProvider(CalendarProvider, NotifyingCalendar, Protocol):
    """A provider of a calendar service that sends notifications of changes."""


class NotifyingService(Protocol):
    """The part of a double that sends notifications."""

    routes: dict[str, str]  #: by public base URL: the URL on this machine to which requests are sent

    def settle(self) -> None:
        """Wait until each notification that is due was delivered or given up."""

    def lose(self, channel: Channel) -> None:
        """Forget the channel without a notification."""


class Listener:
    """The server behind the public address: it keeps the notifications, and answers validations of the address."""

    def __init__(self, url: str = "") -> None:
        self.url = url  #: on this machine
        self.statuses: list[int] = []  #: of the answers to the next requests; later answers have 202
        self.requests: list[ReceivedRequest] = []
        self._changed = Condition()

    def answer(self, request: Request) -> None:
        """Answer one request."""
        token = parse_qs(urlsplit(request.path).query).get("validationToken")
        if token:
            request.reply(200, token[0].encode(), Content_Type="text/plain")
            return
        with self._changed:
            status = self.statuses.pop(0) if self.statuses else 202
            self.requests.append(request.received)
            self._changed.notify_all()
        request.reply(status, b"")

    def wait_for(self, count: int) -> list[ReceivedRequest]:
        """Wait until there are at least so many requests, and return them all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, _WAIT_SECONDS), self.requests
            return list(self.requests)


@contextmanager
def listen() -> Iterator[Listener]:
    """Yield a running listener."""
    listener = Listener()
    with serve(listener.answer) as server:
        listener.url = server.url.rstrip("/")
        yield listener


def make_channel(calendar: Address, path: str, **changed: Any) -> Channel:
    """Return a channel that can be opened; `changed` replaces fields."""
    channel_id = secrets.token_hex(16)
    token = f"{channel_id}.{secrets.token_hex(32)}"
    return replace(Channel(id=channel_id, calendar=calendar, token=token, url=PUBLIC + path), **changed)


class ChannelContract:
    """One test for each promise of a calendar service that sends notifications of changes."""

    path = "/notify/google"  #: the path of the address to which notifications go
    renews = False  #: whether the service can prolong a channel
    longest = timedelta(days=7)  #: the longest life of a channel, which the provider asks for

    def read(self, request: ReceivedRequest) -> Sequence[Notification]:
        """Return the notifications in a request, as the vendor's module parses it."""
        raise NotImplementedError

    @pytest.fixture
    def listener(self, service: NotifyingService) -> Iterator[Listener]:
        with listen() as running:
            service.routes[PUBLIC] = running.url
            yield running
            service.settle()
            service.routes.pop(PUBLIC, None)

    def channel(self, calendar: Address, **changed: Any) -> Channel:
        """Return a channel that can be opened."""
        return make_channel(calendar, self.path, **changed)

    def open(self, provider: NotifyingProvider, calendar: Address) -> Channel:
        """Open a channel, and return it as the worker stores it."""
        channel = self.channel(calendar)
        return replace(channel, remote_id=provider.open_channel(channel).remote_id)

    def list_received(self, service: NotifyingService, listener: Listener) -> list[Notification]:
        """Wait until nothing is due, and return all notifications except those that a channel was opened."""
        service.settle()
        notifications = [notification for request in list(listener.requests) for notification in self.read(request)]
        return [notification for notification in notifications if notification.kind is not NotificationKind.OPENED]

    def list_tokens(self, service: NotifyingService, listener: Listener) -> set[str]:
        """Return the tokens of all notifications that `list_received` returns."""
        return {notification.token for notification in self.list_received(service, listener)}

    # --- notifications ------------------------------------------------------------------------------------------------

    def test_a_notification_has_the_token_and_the_ids_of_the_channel(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana = hands.person()
        channel = self.open(provider, dana)
        assert channel.remote_id
        assert self.list_received(service, listener) == []
        hands.add(dana, span(5, 14))
        notifications = self.list_received(service, listener)
        assert notifications
        for notification in notifications:
            assert (notification.kind, notification.token) == (NotificationKind.CHANGED, channel.token)
            assert notification.remote_id == channel.remote_id
            assert notification.channel_id in ("", channel.id)

    def test_each_change_is_notified_including_our_own(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        """The worker needs the echo of its own write as the proof that a channel works."""
        dana, sam = hands.person(), hands.person()
        self.open(provider, dana)
        event_draft = draft(dana, sam)
        event_names: list[str] = []
        changes: list[Callable[[], object]] = [
            lambda: provider.create(dana, event_draft),
            lambda: hands.move(dana, event_draft.key, span(10, 9, 75)),
            lambda: hands.delete(dana, event_draft.key),
            lambda: event_names.append(hands.add(dana, span(5, 14))),
            lambda: hands.remove(dana, event_names[0]),
        ]
        for change in changes:
            count_before = len(self.list_received(service, listener))
            change()
            assert len(self.list_received(service, listener)) > count_before

    def test_a_change_of_another_calendar_is_not_notified(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana, sam = hands.person(), hands.person()
        self.open(provider, dana)
        hands.add(sam, span(5, 14))
        assert self.list_received(service, listener) == []

    def test_each_calendar_has_a_channel_of_its_own(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana, sam = hands.person(), hands.person()
        danas_channel, sams_channel = self.open(provider, dana), self.open(provider, sam)
        assert danas_channel.remote_id != sams_channel.remote_id
        hands.add(sam, span(5, 14))
        assert self.list_tokens(service, listener) == {sams_channel.token}

    # --- opening, renewing, closing -----------------------------------------------------------------------------------

    def test_opening_returns_the_end_of_the_channel(
        self, provider: NotifyingProvider, hands: Hands, listener: Listener
    ) -> None:
        """The end is an aware time in UTC, at about the longest life that the service offers."""
        opened = provider.open_channel(self.channel(hands.person()))
        assert opened.expires_at.utcoffset() == timedelta(0)
        now = datetime.now(UTC)
        assert now + self.longest - timedelta(days=1) < opened.expires_at < now + self.longest + _CLOCK_TOLERANCE

    def test_renewing_prolongs_a_channel_or_returns_none(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana = hands.person()
        channel = self.channel(dana)
        opened = provider.open_channel(channel)
        renewed = provider.renew_channel(replace(channel, remote_id=opened.remote_id))
        if self.renews:
            assert renewed is not None
            assert renewed.remote_id == opened.remote_id and renewed.expires_at >= opened.expires_at
        else:
            assert renewed is None
        hands.add(dana, span(5, 14))
        assert self.list_received(service, listener), "the channel does not work after the attempt to renew it"

    def test_a_closed_channel_sends_no_notifications(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana = hands.person()
        provider.close_channel(self.open(provider, dana))
        hands.add(dana, span(5, 14))
        assert self.list_received(service, listener) == []

    def test_closing_a_closed_or_lost_channel_succeeds(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana, sam = hands.person(), hands.person()
        closed, lost = self.open(provider, dana), self.open(provider, sam)
        provider.close_channel(closed)
        provider.close_channel(closed)
        service.lose(lost)
        provider.close_channel(lost)
        hands.add(dana, span(5, 14))
        hands.add(sam, span(5, 14))
        assert self.list_received(service, listener) == []

    def test_a_channel_that_the_service_lost_sends_nothing_and_is_not_renewed(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana = hands.person()
        channel = self.open(provider, dana)
        service.lose(channel)
        assert provider.renew_channel(channel) is None
        hands.add(dana, span(5, 14))
        assert self.list_received(service, listener) == []

    def test_opening_twice_leaves_one_channel_or_is_a_conflict(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        """The worker opens a channel again when the answer to the first request was lost."""
        dana = hands.person()
        channel = self.channel(dana)
        opened = [provider.open_channel(channel)]
        try:
            opened.append(provider.open_channel(channel))
        except Conflict as conflict:
            assert "\n" not in str(conflict)
        hands.add(dana, span(5, 14))
        notifications = self.list_received(service, listener)
        assert {notification.remote_id for notification in notifications} == {opened[-1].remote_id}

    # --- refusals -----------------------------------------------------------------------------------------------------

    def test_an_address_without_tls_is_refused(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        service.routes["http://longarc.example"] = listener.url
        self.check_refused(provider, self.channel(hands.person(), url=f"http://longarc.example{self.path}"))
        assert listener.requests == []

    def test_an_address_that_cannot_be_reached_is_refused_or_gets_no_notification(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        dana = hands.person()
        channel = self.channel(dana, url=f"https://elsewhere.example{self.path}")
        try:
            opened: OpenedChannel | None = provider.open_channel(channel)
        except Permanent as refusal:
            assert "\n" not in str(refusal)
            opened = None
        hands.add(dana, span(5, 14))
        assert self.list_received(service, listener) == [] and listener.requests == []
        if opened:
            provider.close_channel(replace(channel, remote_id=opened.remote_id))

    def test_a_calendar_that_cannot_be_read_is_refused(
        self, provider: NotifyingProvider, hands: Hands, listener: Listener
    ) -> None:
        self.check_refused(provider, self.channel(hands.unreadable_person()))

    def check_refused(self, provider: NotifyingProvider, channel: Channel) -> None:
        """Check that the service refuses the channel for good, in one line of text without the token."""
        with pytest.raises(Permanent) as error_info:
            provider.open_channel(channel)
        assert "\n" not in str(error_info.value) and channel.token not in str(error_info.value)


class SecondChannelContract(ChannelContract):
    """For a service that can't renew channels: then two channels of a calendar can be open at once."""

    def test_closing_one_channel_leaves_the_other(
        self, provider: NotifyingProvider, hands: Hands, service: NotifyingService, listener: Listener
    ) -> None:
        """The worker opens a new channel before it closes the old one."""
        dana = hands.person()
        old, new = self.open(provider, dana), self.open(provider, dana)
        hands.add(dana, span(5, 14))
        assert self.list_tokens(service, listener) == {old.token, new.token}
        provider.close_channel(old)
        listener.requests.clear()
        hands.add(dana, span(6, 14))
        assert self.list_tokens(service, listener) == {new.token}
