"""Subscriptions of Microsoft 365: the contract of channels, and what only this vendor does."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.doubles.graph import CLIENT, Double, Fault, Hands, Mishap, section
from tests.doubles.graph.login import Application
from tests.doubles.graph.subscriptions import Subscription, Subscriptions
from tests.support.channel_contract import PUBLIC, ChannelContract, Listener, channel_of, listen
from tests.support.drafts import span
from tests.support.loopback import ReceivedRequest
from worker.clock import SteppedClock
from worker.domain.model import Address
from worker.errors import (
    Conflict,
    Forbidden,
    InvalidResponse,
    LongarcError,
    NotFound,
    Permanent,
    RateLimited,
    Unavailable,
)
from worker.providers.base import Channel, Notification, NotificationKind
from worker.providers.identities import InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar
from worker.providers.outlook.notifications import read_notifications
from worker.providers.outlook.refusals import UnknownUser

PATH = "/notify/outlook"
WEEK = timedelta(days=7)


class TestOutlookChannels(ChannelContract):
    """Everything a calendar with channels promises."""

    path = PATH
    renews = True

    def read(self, request: ReceivedRequest) -> Sequence[Notification]:
        return read_notifications(request.body)

    @pytest.fixture
    def service(self, double: Double) -> Subscriptions:
        return double.subscriptions


@pytest.fixture
def listener(double: Double) -> Iterator[Listener]:
    with listen() as running:
        double.subscriptions.routes[PUBLIC] = running.url
        yield running
        double.subscriptions.reset()


def open_channel(provider: OutlookCalendar, calendar: Address, **changed: str) -> Channel:
    """An open channel, as the worker stores it."""
    channel = channel_of(calendar, PATH, **changed)
    return replace(channel, remote_id=provider.open_channel(channel).remote_id)


def only_subscription(double: Double) -> Subscription:
    [subscription] = double.subscriptions.live
    return subscription


def refusal(provider: OutlookCalendar, calendar: Address, error: type[LongarcError]) -> str:
    """The line with which the channel is refused."""
    with pytest.raises(error) as caught:
        provider.open_channel(channel_of(calendar, PATH))
    text = str(caught.value)
    assert type(caught.value) is error and "\n" not in text and text.startswith(calendar)
    return text


# --- opening ----------------------------------------------------------------------------------------------------------


def test_2_1_a_subscription_asks_for_all_changes_and_nearly_the_longest_life(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    channel = open_channel(provider, dana)
    subscription = only_subscription(double)
    assert subscription.id == channel.remote_id and subscription.has_immutable_ids
    ends = subscription.given.pop("expirationDateTime")
    assert subscription.given == {
        "changeType": "created,updated,deleted",
        "notificationUrl": channel.url,
        "lifecycleNotificationUrl": channel.url,
        "resource": f"users/{dana}/events",
        "clientState": channel.token,
        "latestSupportedTlsVersion": "v1_2",
    }
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    assert WEEK - timedelta(minutes=15) < left < WEEK - timedelta(minutes=5)


def test_2_1_the_end_is_the_one_that_the_service_answers(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    opened = provider.open_channel(channel_of(hands.person(), PATH))
    assert opened.expires_at == only_subscription(double).expires


def test_2_1_one_that_a_lost_answer_left_behind_is_replaced(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    double.faults.append(Fault("POST", "subscriptions$", 503, after=True))
    channel = channel_of(dana, PATH)
    with pytest.raises(Unavailable) as lost:
        provider.open_channel(channel)
    assert lost.value.uncertain
    left_behind = only_subscription(double).id
    opened = provider.open_channel(channel)
    assert only_subscription(double).id == opened.remote_id != left_behind


def test_2_1_only_the_same_calendars_subscription_is_replaced(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """It may be on any page of the list."""
    double.subscriptions.rules.page_size = 2
    people = [hands.person() for _ in range(5)]
    opened = [open_channel(provider, person) for person in people]
    again = open_channel(provider, people[4])
    assert [one.id for one in double.subscriptions.live] == [one.remote_id for one in [*opened[:4], again]]
    assert double.counts["GET subscriptions"] == 3


def test_2_1_the_same_calendar_is_recognized_by_any_of_its_owners_names(
    double: Double, hands: Hands, listener: Listener
) -> None:
    """The subscription was opened by the sign-in name, before the directory's id was known."""
    dana = hands.person()
    box = double.world.mailboxes[dana]
    box.sign_in = "Dana.Signs.In@corp.example.org".casefold()
    identities = InMemoryIdentities()
    identities.learn(dana, box.sign_in)
    before = outlook.build_calendar(section(double, identities=identities))
    open_channel(before, dana)
    assert only_subscription(double).given["resource"] == f"users/{box.sign_in}/events"

    class WithIds(InMemoryIdentities):
        def find_directory_id(self, _primary: Address) -> str:
            return box.directory_id

    known = WithIds()
    known.learn(dana, box.sign_in)
    after = outlook.build_calendar(section(double, identities=known))
    channel = open_channel(after, dana)
    subscription = only_subscription(double)
    assert subscription.id == channel.remote_id
    assert subscription.given["resource"] == f"users/{box.directory_id}/events"
    before.close()
    after.close()


def test_2_1_another_installations_subscription_is_left_alone(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """Not a Conflict: another attempt would fare no better."""
    dana = hands.person()
    double.subscriptions.routes["https://other.example"] = listener.url
    other = open_channel(provider, dana, url=f"https://other.example{PATH}")
    text = refusal(provider, dana, Permanent)
    assert "other.example" in text and "app registration of its own" in text
    assert only_subscription(double).id == other.remote_id


def test_2_1_the_one_that_is_replaced_may_notify_an_earlier_address_of_ours(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    double.subscriptions.routes["https://earlier.example"] = listener.url
    earlier = open_channel(provider, dana, url=f"https://earlier.example{PATH}")
    opened = open_channel(provider, dana, replaces=earlier.remote_id)
    assert only_subscription(double).id == opened.remote_id != earlier.remote_id


def test_a_list_that_names_no_ids_leads_to_no_removal(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """A removal without an id would be asked of all subscriptions."""
    dana = hands.person()
    channel = open_channel(provider, dana)
    item = {"id": None, "resource": f"Users/{dana}/Events", "notificationUrl": channel.url}
    double.faults.append(Fault("GET", "subscriptions$", 200, body=json.dumps({"value": [item]}).encode()))
    refusal(provider, dana, Conflict)
    assert not any(method == "DELETE" for method, _, _ in double.seen)


def test_2_1_who_is_overtaken_by_another_process_is_told_of_a_conflict(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    double.faults.append(Fault("POST", "subscriptions$", 409, "ExtensionError", times=2))
    refusal(provider, dana, Conflict)
    assert double.counts["POST subscriptions"] == 2


FAILED = "Operation: Create; Exception: [Status Code: {}; Reason: x]"


@pytest.mark.parametrize(
    ("status", "code", "message", "error", "words"),
    [
        (
            400,
            "ValidationError",
            "Must respond with 200 OK.",
            Permanent,
            "Make longarc.example reachable from the internet",
        ),
        (400, "InvalidRequest", "Subscription validation request timed out.", Permanent, "`sync.notify_url`"),
        (400, "ExtensionError", "Subscription expiration can only be 10080 minutes in the future.", Permanent, "clock"),
        (403, "ExtensionError", FAILED.format("Forbidden"), Forbidden, "Calendars.Read"),
        (400, "ExtensionError", FAILED.format("Forbidden"), Forbidden, "Calendars.Read"),
        (
            403,
            "ExtensionError",
            "The maximum number of subscriptions is reached.",
            Forbidden,
            "no further subscription",
        ),
        (404, "ExtensionError", FAILED.format("NotFound"), NotFound, "Exchange Online"),
        (400, "ExtensionError", FAILED.format("Conflict"), Conflict, "already"),
        (400, "InvalidRequest", "Something else.", Permanent, "Something else."),
        (503, "UnknownError", "", Unavailable, "failed with HTTP status 503"),
    ],
)
def test_a_refusal_says_what_to_do(
    provider: OutlookCalendar,
    double: Double,
    hands: Hands,
    status: int,
    code: str,
    message: str,
    error: type[LongarcError],
    words: str,
) -> None:
    double.faults.append(Fault("POST", "subscriptions$", status, code, message, times=2))
    assert words in refusal(provider, hands.person(), error)


def test_the_refusals_of_the_service_itself_say_what_to_do(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    double.subscriptions.rules.mailbox_quota = 0
    assert "no further subscription" in refusal(provider, dana, Forbidden)
    double.subscriptions.routes.clear()
    assert "longarc.example" in refusal(provider, dana, Permanent)
    sam = hands.person()
    double.blocked.add(sam)
    assert "to the group" in refusal(provider, sam, Forbidden)
    assert "not known in this tenant" in refusal(provider, hands.stranger(), UnknownUser)


def test_2_1_an_app_that_may_only_see_free_and_busy_is_told_what_it_lacks(double: Double, hands: Hands) -> None:
    with listen() as listener:
        double.subscriptions.routes[PUBLIC] = listener.url
        double.login.applications[CLIENT] = Application(CLIENT, ("Calendars.ReadBasic",))
        provider = outlook.build_calendar(section(double))
        text = refusal(provider, hands.person(), Forbidden)
        provider.close()
    assert "Calendars.Read" in text and "RBAC" in text


def test_a_pause_that_was_asked_for_is_kept(double: Double, hands: Hands, listener: Listener) -> None:
    """As with every other request to that mailbox."""
    clock = SteppedClock(datetime(2027, 3, 1, tzinfo=UTC))
    provider = outlook.build_calendar(section(double, limiter=Limiter(clock)))
    dana = hands.person()
    double.faults.append(Fault("POST", "subscriptions$", 429, headers=(("Retry-After", "120"),)))
    assert "limits the rate" in refusal(provider, dana, RateLimited)
    for _ in range(2):
        with pytest.raises(RateLimited):
            provider.open_channel(channel_of(dana, PATH))
    assert double.counts["POST subscriptions"] == 1
    clock.advance(timedelta(seconds=121))
    assert open_channel(provider, dana).remote_id == only_subscription(double).id
    provider.close()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"id": "x"}',
        b'{"id": "", "expirationDateTime": "2027-03-01T00:00:00Z"}',
        b'{"id": 7, "expirationDateTime": "2027-03-01T00:00:00Z"}',
        b'{"id": "x", "expirationDateTime": "soon"}',
        b'{"id": "x", "expirationDateTime": "2027-03-01T00:00:00"}',
        b'{"id": "x", "expirationDateTime": 5}',
    ],
)
def test_an_answer_that_cannot_be_understood_is_no_channel(
    provider: OutlookCalendar, double: Double, hands: Hands, body: bytes
) -> None:
    double.faults.append(Fault("POST", "subscriptions$", 201, body=body))
    assert "lacks the id or the expiration" in refusal(provider, hands.person(), InvalidResponse)


# --- prolonging and closing -------------------------------------------------------------------------------------------


def test_2_1_renewing_prolongs_to_nearly_the_longest_life(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    channel = open_channel(provider, hands.person())
    subscription = only_subscription(double)
    subscription.expires -= timedelta(days=5)
    renewed = provider.renew_channel(channel)
    assert renewed is not None and renewed.remote_id == channel.remote_id
    assert renewed.expires_at == subscription.expires > datetime.now(UTC) + WEEK - timedelta(minutes=15)
    assert double.counts["POST subscriptions"] == 1


def test_2_1_an_expired_one_cannot_be_revived(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.append(Fault("PATCH|DELETE", "subscriptions/", 410, times=2))
    assert provider.renew_channel(channel) is None
    provider.close_channel(channel)
    double.subscriptions.advance(WEEK)
    assert provider.renew_channel(channel) is None
    provider.close_channel(channel)
    assert double.subscriptions.live == []


def test_a_channel_that_never_opened_needs_no_request(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    channel = channel_of(hands.person(), PATH)
    assert provider.renew_channel(channel) is None
    provider.close_channel(channel)
    assert double.seen == []


@pytest.mark.parametrize(
    ("status", "error"), [(503, Unavailable), (403, Forbidden), (429, RateLimited), (400, Permanent)]
)
def test_another_failure_to_renew_or_close_is_told(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener, status: int, error: type[LongarcError]
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.append(Fault("PATCH|DELETE", "subscriptions/", status))
    operation: Any = provider.renew_channel if status in (503, 429) else provider.close_channel
    with pytest.raises(error):
        operation(channel)


# --- what becomes of it -----------------------------------------------------------------------------------------------


def test_2_3_what_becomes_of_a_subscription_is_understood(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    channel = open_channel(provider, hands.person())
    service = double.subscriptions
    for tell in (service.tell_missed, service.ask_to_reauthorize, service.remove):
        tell(channel.remote_id)
        service.settle()
    told = [one for request in listener.requests for one in read_notifications(request.body)]
    kinds = [NotificationKind.MISSED, NotificationKind.RENEW, NotificationKind.REMOVED]
    assert told == [Notification(channel.token, kind, remote_id=channel.remote_id) for kind in kinds]
    assert provider.renew_channel(channel) is None


def test_2_2_several_in_one_request_and_a_wrong_token_are_read(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana, sam = hands.person(), hands.person()
    channels = [open_channel(provider, person) for person in (dana, sam)]
    double.subscriptions.mishaps.append(Mishap(client_state="forged", passing=2))
    with double.subscriptions.paused():
        for person in (dana, sam, sam):
            hands.add(person, span(5, 14))
    double.subscriptions.settle()
    [request] = listener.requests
    told = read_notifications(request.body)
    assert [one.token for one in told] == [channels[0].token, channels[1].token, "forged"]
    assert [one.remote_id for one in told] == [channels[n].remote_id for n in (0, 1, 1)]
