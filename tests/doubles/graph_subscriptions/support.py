"""A public client library for Microsoft Graph (python-o365), and the endpoint to which its notifications go."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from O365 import Account, MSGraphProtocol
from O365.utils.token import MemoryTokenBackend

from tests.doubles.graph import CLIENT, Double, Hands, make_section
from tests.doubles.graph.login import SECRET, TENANT, Application
from tests.support.loopback import Request
from worker.domain.model import Span
from worker.providers.outlook import auth

DANA, SAM = "dana@example.org", "sam@example.org"
URL = "https://longarc.example/notify?place=1"
LIFECYCLE = "https://longarc.example/lifecycle"
DANAS_EVENTS = f"users/{DANA}/events"
CLIENT_STATE = "the client state"
NINE = datetime(2027, 3, 9, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TEN_MINUTES = 10 * MINUTE


class Endpoint:
    """The endpoint of a company. It answers a validation with the token, and a notification with `status`."""

    def __init__(self) -> None:
        self.validations: list[str] = []  #: the path and query of each validation request
        self.bodies: list[tuple[str, Any]] = []  #: path and JSON body of each request with notifications
        self.status = 202
        self.validation_reply: dict[str, Any] = {}  #: another status, or further headers, for validations
        self.change_token: Callable[[str], str] = str  #: makes the returned token of the right one; `str` leaves it
        self.think: Callable[[], None] = lambda: None  #: called before each answer

    def answer(self, request: Request) -> None:
        parts = urlsplit(request.path)
        name, _, value = parts.query.rpartition("&")[2].partition("=")  # the last parameter
        self.think()
        if name == "validationToken":
            self.validations.append(request.path)
            reply = {"status": 200, "Content_Type": "text/plain; charset=utf-8", **self.validation_reply}
            request.reply(reply.pop("status"), self.change_token(unquote_plus(value)).encode(), **reply)
            return
        self.bodies.append((parts.path, json.loads(request.received.body)))
        request.reply(self.status, b"")

    @property
    def items(self) -> list[Any]:
        """All notifications received, in order."""
        return [item for _, body in self.bodies for item in body["value"]]

    @property
    def changes(self) -> list[str]:
        """The kind of change, or the lifecycle event, of each notification."""
        return [item.get("changeType") or item["lifecycleEvent"] for item in self.items]


def connect_app(double: Double, client: str = CLIENT) -> Any:
    """Sign in as an app, and return the client of its subscriptions in python-o365."""
    double.login.applications.setdefault(client, Application(client))
    protocol = type("Local", (MSGraphProtocol,), {"_protocol_url": double.endpoint.removesuffix("v1.0")})
    tokens = MemoryTokenBackend()
    access_token = auth.build_tokens(make_section(double, client_id=client)).get_token()
    response = {"access_token": access_token, "expires_in": 3600, "token_type": "Bearer"}
    tokens.add(
        {
            "client_id": client,
            "scope": ["https://graph.microsoft.com/.default"],
            "token_endpoint": f"{double.authority}/{TENANT}/oauth2/v2.0/token",
            "grant_type": "client_credentials",
            "response": response,
        }
    )
    account = Account(
        (client, SECRET),
        auth_flow_type="credentials",
        tenant_id=TENANT,
        protocol=protocol(timezone="UTC"),
        main_resource=DANA,
        token_backend=tokens,
        request_retries=0,
    )
    return account.subscriptions()


def subscribe(client: Any, resource: str = DANAS_EVENTS, changes: str = "created,updated,deleted", **more: Any) -> Any:
    """Create a subscription, and return it. `more`: other arguments of python-o365. Raises HTTPError."""
    options = {
        "expiration_minutes": 10_000,  # nearly seven days, the longest
        "client_state": CLIENT_STATE,
        "lifecycle_notification_url": LIFECYCLE,
        "latest_supported_tls_version": "v1_2",
        **more,
    }
    return client.create_subscription(options.pop("notification_url", URL), resource, changes, **options)


def slot(hour: int) -> Span:
    """Return the hour that starts `hour` hours after nine."""
    return Span(NINE + timedelta(hours=hour), NINE + timedelta(hours=hour + 1))


def add_events(double: Double, *hours: int, who: str = DANA) -> None:
    """Add an event at each of these slots, which are named by hours after nine."""
    for hour in hours:
        Hands(double).add(who, slot(hour))
