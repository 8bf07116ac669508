"""What `longarc check` says about the machine: the time zones in force, and the user it runs as."""

import re
from collections.abc import Iterator
from datetime import date

from worker.providers.base import Finding

#: A version names only its year: it counts as from the middle of it.
_RELEASED = (7, 1)
_IANA = re.compile(r"(\d{4})[a-z]+")


def time_zones(today: date, version: str) -> Finding:
    """Which release of the time zone database is in force, with a remedy when it is older than a year."""
    what = f"Time zones follow release {version} of their database"
    match = _IANA.fullmatch(version)
    if match and today < date(int(match[1]) + 1, *_RELEASED):
        return Finding(what, True)
    remedy = "Governments change clocks several times a year: `pip install --upgrade tzdata`, then restart Longarc."
    return Finding(f"{what}, which is older than a year", True, remedy)


def zone_release() -> str:
    """The release that zones are read from: the package `tzdata`, which `worker` puts before the machine's own."""
    import tzdata

    return str(tzdata.IANA_VERSION)


def user(effective_id: int) -> Iterator[Finding]:
    """A warning for root, who needs no leave to read anything."""
    if effective_id == 0:
        remedy = "Run it as a user of its own, as config/longarc.service does."
        yield Finding("Longarc runs as root", True, remedy)
