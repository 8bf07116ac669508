"""What is to go wrong, and when."""

import re
from dataclasses import dataclass
from datetime import timedelta


@dataclass
class Fault:
    """Something that goes wrong, so many times: before the request is performed, or after it."""

    method: str
    path: str  #: a pattern found in the path
    status: int = 503
    code: str = "UnknownError"
    message: str = ""
    times: int = 1
    passing: int = 0  #: so many such requests go through before
    after: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False  #: the answer breaks off in its middle
    body: bytes | None = None

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and re.search(self.method, method) is not None and re.search(self.path, path) is not None


class Broken(Exception):
    """Answer with this, whatever came of the request."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault


@dataclass
class Mishap:
    """What befalls notifications on their way, so many times."""

    change: str = ""  #: a pattern in the kind of change, or in the lifecycle event
    lost: bool = False
    missed: bool = False  #: that one was lost is told later
    copies: int = 1
    delay: timedelta = timedelta()
    overtaken: bool = False  #: it comes after the next one of the same subscription
    client_state: str | None = None  #: instead of the right one
    trails: bool = False  #: it comes even when its subscription has ended meanwhile
    times: int = 1
    passing: int = 0  #: so many such notifications come through before

    def fits(self, change: str) -> bool:
        return self.times > 0 and re.search(self.change, change) is not None
