"""The exceptions of Longarc, and descriptions of errors for messages and logs.

The first line of an exception's docstring is its default message.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

#: The top-level modules of the database drivers.
_DRIVERS = {"sqlite3", "psycopg"}
#: Names of exception classes of the drivers. The first line of such an exception's text contains no value from a row.
_PRINTABLE_ERRORS = {"OperationalError", "InternalError", "InsufficientPrivilege"}
#: SQLite's exception class for a damaged file. The driver's other errors inherit from it, and their texts may contain
#: values, so only an exception of exactly this class may be printed.
_DAMAGED_FILE_ERROR = "DatabaseError"


class LongarcError(Exception):
    """Something went wrong in Longarc."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, slots=True)
class Problem:
    """The description of a fault in a file or in a setting. The exception `Problems` carries such descriptions."""

    where: str  #: the file with the line, or the setting
    what: str  #: what is wrong
    remedy: str  #: how to fix it

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.remedy}".strip()


class Problems(LongarcError):
    """A file or a setting can't be used.

    `problems` holds the description of each fault, and the message has one line for each.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))

    def __reduce__(self) -> tuple[type["Problems"], tuple[tuple[Problem, ...]]]:
        # picklable, since the child processes of `longarc simulate` raise it and their parent process receives it
        return Problems, (self.problems,)


class UnknownName(LongarcError):
    """There is no person, pair, session or commitment with that name."""


class Refused(LongarcError):
    """The operation is not allowed now. Nothing was changed."""


class NoContractSession(Refused):
    """This session does not end with a contract."""


class NotHeldYet(Refused):
    """This session has not taken place yet."""


class Overtaken(Refused):
    """Another revision of this contract was recorded in the meantime."""


class NotOffered(Refused):
    """This time is no longer reserved for the session."""


class MovedMeanwhile(Refused):
    """The session was moved after the page was opened, or can no longer be moved."""


class TimeTaken(Refused):
    """One of the two people is not free at this time."""


class CalendarUnread(Refused):
    """The calendar of one of the two people can't be read now, so it is not known whether both are free."""


class PairInactive(Refused):
    """Nothing is planned for this pair: it has ended, is paused, or does not take part yet."""


class CalendarMissing(Refused):
    """The manager has no calendar on which an event could be created."""


class TalkRequested(Refused):
    """Such a conversation was requested already, and is owed or on the calendar."""


class NotBegun(Refused):
    """This session has not begun yet."""


class ContractRecorded(Refused):
    """This session has a contract, so it took place."""


class SessionOver(Refused):
    """This session is over."""


class QuestionClosed(Refused):
    """The two are not, or no longer, asked whether to leave this session until the next quarter."""


class NothingToExplain(Refused):
    """This session has lost no time that the report may explain, or it is over."""


class NoTimeChosen(Refused):
    """The form names no time."""


class TimePast(Refused):
    """This time is in the past."""


class TimeTooFar(Refused):
    """This time is too far ahead."""


class TimeTooShort(Refused):
    """This time is too short for the session."""


class TimeBeforeEarlierPart(Refused):
    """This time is before the end of an earlier part of the series."""


class TimeTooLong(Refused):
    """This time is too long for a session."""


class CommitmentEnded(Refused):
    """This commitment has ended already, as done, changed or let go."""


class DraftChanged(Refused):
    """This contract draft was changed in another window since."""


class NotesNotTaken(Refused):
    """This session takes no notes."""


class HandoverClosed(Refused):
    """The report and the new manager have begun to talk, so that no lines are passed on any more."""


class RoundOver(Refused):
    """This round of the pulse is over."""


class NothingToAnswer(Refused):
    """This person has answered in this round already, or was not asked."""


class PeopleImportRefused(Refused):
    """This import would end many pairs at once, so an operator has to confirm it (T-17).

    `digest` identifies the content that was to be imported.
    """

    def __init__(self, message: str, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


class IncompleteReading(LongarcError):
    """The directory could not be read completely, so nothing was changed."""


class LeaseLost(LongarcError):
    """Another process holds the lease now, so nothing was written."""


class WrongKey(LongarcError):
    """The sealed content can't be opened with the configured keys."""


class ProviderError(LongarcError):
    """A calendar or mail service did not perform a request."""


class Transient(ProviderError):
    """The request failed, and may succeed when it is repeated later.

    `retry_after` is how long the service asked us to wait; None when it did not say. `uncertain` is true when the
    service may have performed the request all the same, as after a time-out. The caller then has to find out before it
    repeats the request.
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
    """The service can't be reached, or is out of order at the moment."""


class Permanent(ProviderError):
    """The request would fail again if it were repeated."""


class AuthRevoked(Permanent):
    """The grant to act for this person was revoked, and somebody has to give it again."""


class Forbidden(Permanent):
    """The service does not permit this request."""


class NotFound(Permanent):
    """The requested object does not exist, or is not visible with this grant."""


class Conflict(Permanent):
    """The object was changed since it was last read."""


class InvalidResponse(Permanent):
    """The service gave a response that can't be understood."""


def describe_unexpected_error(error: Exception) -> str:
    """Return the type of an error and the line that raised it, for logs and alerts about any exception.

    The text of the error is left out, as it may contain content. `describe_error` describes an error for the operator
    who runs a command.
    """
    raising_frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(raising_frame.filename).name}:{raising_frame.lineno}"


def describe_error(error: Exception) -> str:
    """Return the message about an error for the operator who runs a command.

    The message is the text of an error that is known to contain no content. Of any other error it has only the type.
    """
    if isinstance(error, LongarcError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    driver_error = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's error
    if _is_printable_driver_error(driver_error):
        return f"the database can't be used: {get_first_line(driver_error)}"
    return f"an unexpected error ({type(error).__name__}). Run the command again with --debug to see its origin."


def _is_printable_driver_error(error: Exception) -> bool:
    """Return whether this is an error of a database driver whose first line contains no value from a row."""
    error_class = type(error)
    if error_class.__module__.partition(".")[0] not in _DRIVERS:
        return False
    class_names = {base_class.__name__ for base_class in error_class.__mro__}
    return bool(class_names & _PRINTABLE_ERRORS) or error_class.__name__ == _DAMAGED_FILE_ERROR


def explain_missing_extra(extra: str) -> str:
    """Return how to install the packages of an extra (pip's word for optional dependencies), one of which is missing.

    The command names a path, because Longarc is not on a package index.
    """
    return (
        f"Install Longarc again with the extra `{extra}`: pip install 'path/to/checkout[{extra}]', or with the path of "
        "the wheel in place of the checkout."
    )


def get_first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or else its type, with a full stop.

    Further lines of database errors hold row values.
    """
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else f"{type(error).__name__}."
