"""The exceptions of Longarc, and texts about errors. The docstring of an exception is its default message."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

#: The drivers of databases.
_DRIVERS = {"sqlite3", "psycopg"}
#: Names of drivers' errors whose first line never contains a value of a row.
_PRINTABLE_ERRORS = {"OperationalError", "InternalError", "InsufficientPrivilege"}
#: SQLite's error for a damaged file. Other errors are subclasses of it, so it is compared by its exact name.
_DAMAGED_FILE_ERROR = "DatabaseError"


class LongarcError(Exception):
    """Something went wrong in Longarc."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file or setting: where it is, what is wrong, and what to write instead."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.remedy}".strip()


class Problems(LongarcError):
    """What was given can't be used."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))

    def __reduce__(self) -> tuple[type["Problems"], tuple[tuple[Problem, ...]]]:
        return Problems, (self.problems,)  # for pickling: workers of the simulation raise them in other processes


class UnknownName(LongarcError):
    """No person, pair, session or commitment of that name is known."""


class Refused(LongarcError):
    """A guard stopped this before anything was written."""


class NoContractSession(Refused):
    """This session is not one that ends with a contract."""


class NotHeldYet(Refused):
    """This session has not taken place yet."""


class Overtaken(Refused):
    """Another revision of this contract was recorded meanwhile."""


class NotOffered(Refused):
    """This time is not held for the session any more."""


class MovedMeanwhile(Refused):
    """The session has another time than the page showed, or can't be moved any more."""


class TimeTaken(Refused):
    """A calendar of the two is not free then."""


class CalendarUnread(Refused):
    """A calendar of the two can't be read just now, so nobody knows whether they are free."""


class PeopleImportRefused(Refused):
    """The people file would end many pairs at once: a person has to say whether that is right (T-17).

    `digest` names the content of the file.
    """

    def __init__(self, message: str, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


class IncompleteReading(LongarcError):
    """The directory was not read to its end, so nothing was changed."""


class LeaseLost(LongarcError):
    """Somebody else holds the lease now; nothing was written."""


class WrongKey(LongarcError):
    """The sealed content can't be opened with the keys given."""


class ProviderError(LongarcError):
    """A calendar or mail service did not do what was asked."""


class Transient(ProviderError):
    """The service may do it later.

    `retry_after` is how long the service asked us to wait, if it said so. `uncertain` is true when the effect may
    have happened all the same (a time-out after the request was sent): look before repeating.
    """

    def __init__(
        self, message: str | None = None, *, retry_after: timedelta | None = None, uncertain: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.uncertain = uncertain


class RateLimited(Transient):
    """The service asked us to slow down."""


class Unavailable(Transient):
    """The service can't be reached or is out of order for now."""


class Permanent(ProviderError):
    """The service will not do it, however often it is asked."""


class AuthRevoked(Permanent):
    """The grant to act for this person is gone; a human has to give it again."""


class Forbidden(Permanent):
    """The service does not allow this."""


class NotFound(Permanent):
    """What was asked for does not exist, or can't be seen with this grant."""


class Conflict(Permanent):
    """Somebody changed it since it was last read."""


class InvalidResponse(Permanent):
    """The service answered something that can't be understood."""


def describe_unexpected_error(error: Exception) -> str:
    """Return the type of an error and where it was raised, without its text, which may contain content."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def describe_error(error: Exception) -> str:
    """Return a text about an error that contains no content: an unexpected error is described by its type only."""
    if isinstance(error, LongarcError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    driver = getattr(error, "orig", None) or error
    kinds = {kind.__name__ for kind in type(driver).__mro__}
    if type(driver).__module__.partition(".")[0] in _DRIVERS and (
        kinds & _PRINTABLE_ERRORS or type(driver).__name__ == _DAMAGED_FILE_ERROR
    ):
        return f"the database can't be used: {get_first_line(driver)}"
    return (
        f"an error that nobody foresaw ({type(error).__name__}). Run it again with --debug to see where it comes from."
    )


def build_extra_remedy(extra: str) -> str:
    """Return what to do where the packages of an extra are not installed. Longarc is on no package index."""
    return (
        f"Install Longarc once more, with the extra `{extra}`: pip install 'path/to/checkout[{extra}]', or the path of "
        "the wheel in place of the checkout."
    )


def get_first_line(error: Exception) -> str:
    """Return the first line of an error's text. In further lines databases repeat values of rows."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else f"{type(error).__name__}."
