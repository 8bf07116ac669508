"""Subscriptions, the channels of Microsoft 365: the tests of every service with channels, and what applies to this
service only."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.doubles.graph import CLIENT, Double, Fault, Hands, Mishap, make_section
from tests.doubles.graph.login import Application
from tests.doubles.graph.subscriptions import Subscription, Subscriptions
from tests.support.channel_contract import PUBLIC, ChannelContract, Listener, listen, make_channel
from tests.support.drafts import span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
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
    """The tests of a service that can renew channels (`renews`), with the notifications of Microsoft 365."""

    path = PATH
    renews = True

    def read(self, request: ReceivedRequest) -> Sequence[Notification]:
        return read_notifications(request.body)

    @pytest.fixture
    def service(self, double: Double) -> Subscriptions:
        return double.subscriptions


@pytest.fixture
def listener(double: Double) -> Iterator[Listener]:
    """The server behind the public URL of Longarc (`PUBLIC`). The double subscribes no URL that does not answer."""
    with listen() as running_listener:
        double.subscriptions.routes[PUBLIC] = running_listener.url
        yield running_listener
        double.subscriptions.reset()


def open_channel(provider: OutlookCalendar, calendar: Address, **changed: str) -> Channel:
    """Open a channel, and return it as the worker stores it."""
    channel = make_channel(calendar, PATH, **changed)
    return replace(channel, remote_id=provider.open_channel(channel).remote_id)


def get_only_subscription(double: Double) -> Subscription:
    [subscription] = double.subscriptions.live
    return subscription


def get_refusal_text(provider: OutlookCalendar, calendar: Address, error: type[LongarcError]) -> str:
    """Check that the channel is refused with exactly this error in one line, and return the line."""
    with pytest.raises(error) as error_info:
        provider.open_channel(make_channel(calendar, PATH))
    text = str(error_info.value)
    assert type(error_info.value) is error and "\n" not in text and text.startswith(calendar)
    return text


# --- opening ----------------------------------------------------------------------------------------------------------


def test_subscription_requests_all_changes_and_nearly_the_longest_lifetime(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    channel = open_channel(provider, dana)
    subscription = get_only_subscription(double)
    assert subscription.id == channel.remote_id and subscription.has_immutable_ids
    requested_end = subscription.given.pop("expirationDateTime")
    assert subscription.given == {
        "changeType": "created,updated,deleted",
        "notificationUrl": channel.url,
        "lifecycleNotificationUrl": channel.url,
        "resource": f"users/{dana}/events",
        "clientState": channel.token,
        "latestSupportedTlsVersion": "v1_2",
    }
    lifetime = datetime.fromisoformat(requested_end) - datetime.now(UTC)
    assert WEEK - timedelta(minutes=15) < lifetime < WEEK - timedelta(minutes=5)


def test_channel_ends_when_the_service_says(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    opened_channel = provider.open_channel(make_channel(hands.person(), PATH))
    assert opened_channel.expires_at == get_only_subscription(double).expires


def test_subscription_left_by_a_lost_answer_is_replaced(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    double.faults.append(Fault("POST", "subscriptions$", 503, after=True))
    channel = make_channel(dana, PATH)
    with pytest.raises(Unavailable) as error_info:
        provider.open_channel(channel)
    assert error_info.value.uncertain
    first_id = get_only_subscription(double).id
    opened_channel = provider.open_channel(channel)
    assert get_only_subscription(double).id == opened_channel.remote_id != first_id


def test_only_a_subscription_to_the_same_calendar_is_replaced(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """The subscription may be on any page of the list."""
    double.subscriptions.rules.page_size = 2
    people = [hands.person() for _ in range(5)]
    channels = [open_channel(provider, person) for person in people]
    new_channel = open_channel(provider, people[4])
    assert [subscription.id for subscription in double.subscriptions.live] == [
        channel.remote_id for channel in [*channels[:4], new_channel]
    ]
    assert double.counts["GET subscriptions"] == 3  # the pages of the five subscriptions


def test_subscription_is_recognized_by_any_name_of_the_calendars_owner(
    double: Double, hands: Hands, listener: Listener
) -> None:
    """The earlier subscription names the owner by the sign-in name, because the directory id was not known then."""
    dana = hands.person()
    mailbox = double.world.mailboxes[dana]
    mailbox.sign_in = "Dana.Signs.In@corp.example.org".casefold()
    identities = InMemoryIdentities()
    identities.learn(dana, mailbox.sign_in)
    old_provider = outlook.build_calendar(make_section(double, identities=identities))
    open_channel(old_provider, dana)
    assert get_only_subscription(double).given["resource"] == f"users/{mailbox.sign_in}/events"

    class IdentitiesWithDirectoryId(InMemoryIdentities):
        def find_directory_id(self, _primary: Address) -> str:
            return mailbox.directory_id

    new_identities = IdentitiesWithDirectoryId()
    new_identities.learn(dana, mailbox.sign_in)
    new_provider = outlook.build_calendar(make_section(double, identities=new_identities))
    channel = open_channel(new_provider, dana)
    subscription = get_only_subscription(double)
    assert subscription.id == channel.remote_id
    assert subscription.given["resource"] == f"users/{mailbox.directory_id}/events"
    old_provider.close()
    new_provider.close()


def test_subscription_of_another_installation_is_not_removed(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """The error is no Conflict, because another attempt would fail in the same way."""
    dana = hands.person()
    double.subscriptions.routes["https://other.example"] = listener.url
    other_channel = open_channel(provider, dana, url=f"https://other.example{PATH}")
    text = get_refusal_text(provider, dana, Permanent)
    assert "other.example" in text and "app registration of its own" in text
    assert get_only_subscription(double).id == other_channel.remote_id


def test_replaced_subscription_may_notify_an_earlier_url_of_ours(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana = hands.person()
    double.subscriptions.routes["https://earlier.example"] = listener.url
    earlier_channel = open_channel(provider, dana, url=f"https://earlier.example{PATH}")
    opened_channel = open_channel(provider, dana, replaces=earlier_channel.remote_id)
    assert get_only_subscription(double).id == opened_channel.remote_id != earlier_channel.remote_id


def test_listed_subscription_without_an_id_is_not_removed(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """A removal without an id would be a request to remove all subscriptions."""
    dana = hands.person()
    channel = open_channel(provider, dana)
    item = {"id": None, "resource": f"Users/{dana}/Events", "notificationUrl": channel.url}
    double.faults.append(Fault("GET", "subscriptions$", 200, body=json.dumps({"value": [item]}).encode()))
    get_refusal_text(provider, dana, Conflict)
    assert not any(method == "DELETE" for method, _, _ in double.seen)


def test_second_conflict_while_opening_a_channel_raises_conflict(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """Another process was faster both times."""
    dana = hands.person()
    double.faults.append(Fault("POST", "subscriptions$", 409, "ExtensionError", times=2))
    get_refusal_text(provider, dana, Conflict)
    assert double.counts["POST subscriptions"] == 2


#: The message of a refusal by the service behind Graph, whose status it repeats.
INNER_REFUSAL = "Operation: Create; Exception: [Status Code: {}; Reason: x]"


@pytest.mark.parametrize(
    ("status", "code", "message", "error", "expected_text"),
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
        (403, "ExtensionError", INNER_REFUSAL.format("Forbidden"), Forbidden, "Calendars.Read"),
        (400, "ExtensionError", INNER_REFUSAL.format("Forbidden"), Forbidden, "Calendars.Read"),
        (
            403,
            "ExtensionError",
            "The maximum number of subscriptions is reached.",
            Forbidden,
            "no further subscription",
        ),
        (404, "ExtensionError", INNER_REFUSAL.format("NotFound"), NotFound, "Exchange Online"),
        (400, "ExtensionError", INNER_REFUSAL.format("Conflict"), Conflict, "already"),
        (400, "InvalidRequest", "Something else.", Permanent, "Something else."),
        (503, "UnknownError", "", Unavailable, "failed with HTTP status 503"),
    ],
)
def test_each_refusal_of_a_channel_names_a_remedy(
    provider: OutlookCalendar,
    double: Double,
    hands: Hands,
    status: int,
    code: str,
    message: str,
    error: type[LongarcError],
    expected_text: str,
) -> None:
    # twice, because a conflict is answered by another attempt
    double.faults.append(Fault("POST", "subscriptions$", status, code, message, times=2))
    assert expected_text in get_refusal_text(provider, hands.person(), error)


def test_real_refusals_of_the_double_name_a_remedy(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    """Here the double refuses by its own rules, not by a planned fault."""
    dana = hands.person()
    double.subscriptions.rules.mailbox_quota = 0
    assert "no further subscription" in get_refusal_text(provider, dana, Forbidden)
    double.subscriptions.routes.clear()
    assert "longarc.example" in get_refusal_text(provider, dana, Permanent)
    sam = hands.person()
    double.blocked.add(sam)
    assert "to the group" in get_refusal_text(provider, sam, Forbidden)
    assert "not known in this tenant" in get_refusal_text(provider, hands.unreadable_person(), UnknownUser)


def test_refusal_names_the_permission_that_an_app_for_free_busy_lacks(double: Double, hands: Hands) -> None:
    with listen() as listener:
        double.subscriptions.routes[PUBLIC] = listener.url
        double.login.applications[CLIENT] = Application(CLIENT, ("Calendars.ReadBasic",))
        provider = outlook.build_calendar(make_section(double))
        text = get_refusal_text(provider, hands.person(), Forbidden)
        provider.close()
    assert "Calendars.Read" in text and "RBAC" in text


def test_no_channel_is_opened_during_the_pause_of_a_retry_after(
    double: Double, hands: Hands, listener: Listener
) -> None:
    """The pause holds for every request to that mailbox."""
    clock = SteppedClock(datetime(2027, 3, 1, tzinfo=UTC))
    provider = outlook.build_calendar(make_section(double, limiter=Limiter(clock)))
    dana = hands.person()
    double.faults.append(Fault("POST", "subscriptions$", 429, headers=(("Retry-After", "120"),)))
    assert "limits the rate" in get_refusal_text(provider, dana, RateLimited)
    for _ in range(2):
        with pytest.raises(RateLimited):
            provider.open_channel(make_channel(dana, PATH))
    assert double.counts["POST subscriptions"] == 1
    clock.advance(timedelta(seconds=121))  # a second more than the pause
    assert open_channel(provider, dana).remote_id == get_only_subscription(double).id
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
def test_answer_without_a_valid_id_and_end_is_an_invalid_response(
    provider: OutlookCalendar, double: Double, hands: Hands, body: bytes
) -> None:
    double.faults.append(Fault("POST", "subscriptions$", 201, body=body))
    assert "lacks the id or the expiration" in get_refusal_text(provider, hands.person(), InvalidResponse)


# --- renewing and closing -------------------------------------------------------------------------------------------


def test_renewing_extends_a_channel_to_nearly_the_longest_lifetime(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    channel = open_channel(provider, hands.person())
    subscription = get_only_subscription(double)
    subscription.expires -= timedelta(days=5)
    renewed_channel = provider.renew_channel(channel)
    assert renewed_channel is not None and renewed_channel.remote_id == channel.remote_id
    assert renewed_channel.expires_at == subscription.expires > datetime.now(UTC) + WEEK - timedelta(minutes=15)
    assert double.counts["POST subscriptions"] == 1


def test_expired_channel_cannot_be_renewed_and_is_closed_without_error(
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


def test_channel_that_never_opened_is_closed_without_a_request(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    channel = make_channel(hands.person(), PATH)
    assert provider.renew_channel(channel) is None
    provider.close_channel(channel)
    assert double.seen == []


@pytest.mark.parametrize("operation", ["renew_channel", "close_channel"])
@pytest.mark.parametrize(
    ("status", "error"), [(503, Unavailable), (403, Forbidden), (429, RateLimited), (400, Permanent)]
)
def test_other_failure_to_renew_or_close_raises_an_error(
    provider: OutlookCalendar,
    double: Double,
    hands: Hands,
    listener: Listener,
    operation: str,
    status: int,
    error: type[LongarcError],
) -> None:
    channel = open_channel(provider, hands.person())
    double.faults.append(Fault("PATCH|DELETE", "subscriptions/", status))
    with pytest.raises(error) as error_info:
        getattr(provider, operation)(channel)
    assert type(error_info.value) is error


# --- notifications ----------------------------------------------------------------------------------------------------


def test_each_lifecycle_event_becomes_a_notification(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    channel = open_channel(provider, hands.person())
    service = double.subscriptions
    for send_event in (service.tell_missed, service.ask_to_reauthorize, service.remove):
        send_event(channel.remote_id)
        service.settle()
    notifications = [notification for request in listener.requests for notification in read_notifications(request.body)]
    kinds = [NotificationKind.MISSED, NotificationKind.RENEW, NotificationKind.REMOVED]
    assert notifications == [Notification(channel.token, kind, remote_id=channel.remote_id) for kind in kinds]
    assert provider.renew_channel(channel) is None


def test_all_notifications_of_a_request_are_read_also_one_with_a_wrong_token(
    provider: OutlookCalendar, double: Double, hands: Hands, listener: Listener
) -> None:
    dana, sam = hands.person(), hands.person()
    dana_channel, sam_channel = (open_channel(provider, person) for person in (dana, sam))
    double.subscriptions.mishaps.append(Mishap(client_state="forged", passing=2))  # the third notification
    with double.subscriptions.paused():
        for person in (dana, sam, sam):
            hands.add(person, span(5, 14))
    double.subscriptions.settle()
    [request] = listener.requests
    notifications = read_notifications(request.body)
    assert [notification.token for notification in notifications] == [dana_channel.token, sam_channel.token, "forged"]
    assert [notification.remote_id for notification in notifications] == [
        channel.remote_id for channel in (dana_channel, sam_channel, sam_channel)
    ]
