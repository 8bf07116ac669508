"""The faults of requests and notifications that a test plans."""

import re
from dataclasses import dataclass
from datetime import timedelta


@dataclass
class Fault:
    """A planned error of requests: they are answered with it, before they are carried out or (`after`) after it."""

    method: str  #: a pattern found in the method
    path: str  #: a pattern found in the path
    status: int = 503
    code: str = "UnknownError"
    message: str = ""
    times: int = 1  #: how many requests fail
    passing: int = 0  #: so many matching requests succeed before the first fails
    after: bool = False  #: the request is carried out before the error
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False  #: the answer breaks off in its middle
    body: bytes | None = None  #: the body of the answer, in place of an error in JSON

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and re.search(self.method, method) is not None and re.search(self.path, path) is not None


class Broken(Exception):
    """Tells the server to answer with the fault, whether or not the request was carried out."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault


@dataclass
class Mishap:
    """A planned fault in the delivery of notifications."""

    change: str = ""  #: a pattern in the kind of change, or in the lifecycle event
    lost: bool = False
    missed: bool = False  #: the loss of a notification is reported by the lifecycle event `missed`
    copies: int = 1  #: how often each notification is sent
    delay: timedelta = timedelta()
    overtaken: bool = False  #: the notification is sent after the next one of the same subscription
    client_state: str | None = None  #: in place of the client state of the subscription
    trailing: bool = False  #: the notification is sent even if its subscription has ended
    times: int = 1  #: how many notifications it affects
    passing: int = 0  #: so many matching notifications are delivered before the first is affected

    def matches(self, change: str) -> bool:
        return self.times > 0 and re.search(self.change, change) is not None
