"""What is needed in Microsoft 365, each thing proved by trying it and none of it changed."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from worker.clock import utcnow
from worker.domain.model import Address, Span
from worker.errors import ProviderError
from worker.providers.base import Finding
from worker.providers.outlook import events, schedule
from worker.providers.outlook.client import Graph, UnknownUser

_CONSENT_REMEDY = "Have an administrator consent to it in Entra, or assign it with RBAC for Applications (see README)."
_SCOPE_REMEDY = 'Give the app the role "Application Calendars.Read" for the reports as well (see README).'
#: So many reports are named, and their own mailboxes tried.
_MOST_PROBES = 3
#: What an app must not be able to do to everybody.
_WIDE_PERMISSIONS = ("Calendars.ReadWrite", "Mail.Send", "Mail.ReadWrite", "MailboxSettings.Read")


def check_calendar(graph: Graph, person: Address, *, teams: bool, reports: Sequence[Address] = ()) -> list[Finding]:
    """What is needed to work for an organizer, and for the reports whose time is asked for through that mailbox."""
    return list(_iter_calendar_findings(graph, person, teams, reports))


def _iter_calendar_findings(
    graph: Graph, person: Address, teams: bool, reports: Sequence[Address]
) -> Iterator[Finding]:
    what = "Microsoft 365 lets Longarc in" + (f" as {graph.own}" if graph.own else " as an app")
    granted: list[str] = []
    try:
        granted = read_permissions(graph.get_token())
    except ProviderError as error:
        yield Finding(what, False, str(error))
        return
    yield Finding(what, True)
    try:
        found = graph.get(person, "calendar", select="id,canEdit,allowedOnlineMeetingProviders")
    except UnknownUser as error:
        yield Finding(f"{person} is known to Microsoft 365 by that address", False, str(error))
        return
    except ProviderError as error:
        yield Finding(f"{person}'s calendar can be read (Calendars.ReadWrite)", False, str(error))
        return
    yield Finding(f"{person}'s calendar can be read (Calendars.ReadWrite)", True)
    writable = found.get("canEdit") is not False
    yield Finding(
        f"{person}'s calendar can be written to", writable, "" if writable else f"Give write access. {_CONSENT_REMEDY}"
    )
    if teams:
        offered = found.get("allowedOnlineMeetingProviders")
        ok = not isinstance(offered, list) or "teamsForBusiness" in offered
        remedy = "" if ok else "Give the person Teams, or write `teams = false` under [calendars.outlook]."
        yield Finding(f"{person} can hold Teams meetings", ok, remedy)
    yield _check_attempt(
        f"{person}'s time zone and working hours can be read (MailboxSettings.Read)",
        lambda: graph.get(person, "mailboxSettings"),
    )
    yield _check_attempt(
        f"Our events on {person}'s calendar can be told apart",
        lambda: graph.get(person, "events", select="id", expand=events.EXPAND_KEY, top=1),
    )
    yield _check_free_busy(graph, person)
    yield from _check_reports(graph, person, reports[: schedule.PEOPLE_PER_REQUEST])
    yield from _check_reach(graph, granted)


def _check_attempt(what: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except ProviderError as error:
        return Finding(what, False, str(error))
    return Finding(what, True)


def _check_free_busy(graph: Graph, person: Address) -> Finding:
    what = f"Free and busy can be asked for through {person}'s mailbox"
    now = utcnow()
    try:
        found = schedule.read_free_busy(graph, [person], Span(now, now + timedelta(days=1)), [person])[person]
    except ProviderError as error:
        return Finding(what, False, str(error))
    return Finding(what, found.known, "" if found.known else f"{found.reason} {_CONSENT_REMEDY}")


def _check_reports(graph: Graph, person: Address, reports: Sequence[Address]) -> Iterator[Finding]:
    """Whether the time of reports is told through the mailbox of their manager.

    What a scope of RBAC for Applications lets be seen of people outside of it differs between tenants, so it is tried.
    """
    if not reports:
        return
    outside = [] if graph.own else _list_unreachable(graph, reports[:_MOST_PROBES])
    what = f"{person}'s mailbox tells when {', '.join(reports[:_MOST_PROBES])}"
    what += (
        f" and {len(reports) - _MOST_PROBES} more reports are free" if len(reports) > _MOST_PROBES else " can be met"
    )
    if outside:
        what += f" ({', '.join(outside)} outside the app's scope)"
    now = utcnow()
    try:
        told = schedule.read_free_busy(graph, reports, Span(now, now + timedelta(days=1)), [person])
    except ProviderError as error:
        yield Finding(what, False, str(error))
        return
    silent = [who for who in reports if not told[who].known]
    if not silent:
        yield Finding(what, True)
        return
    reason = told[silent[0]].reason
    yield Finding(what, False, f"Nothing is told of {', '.join(silent)}. {reason} {_SCOPE_REMEDY}")


def _list_unreachable(graph: Graph, people: Sequence[Address]) -> list[Address]:
    """Those of them whose own mailbox the app is kept out of."""
    return [who for who in people if not _check_attempt("", partial(graph.get, who, "calendar", select="id")).ok]


def _check_reach(graph: Graph, granted: list[str]) -> Iterator[Finding]:
    """An app with consent in Entra reaches every mailbox, unless a policy limits it: a human has to prove that."""
    wide = [name for name in _WIDE_PERMISSIONS if name in granted]
    if not graph.own and wide:
        names = ", ".join(wide)
        yield Finding(
            f"The app holds {names} in Entra: README says how to prove that it reaches only who it should", True
        )


def check_mail(graph: Graph, mailbox: Address, mode: str, *, exactly_once: bool) -> list[Finding]:
    """What is needed to send; nothing is sent."""
    what = f"Mail goes out by Microsoft 365 from {mailbox or 'the sender'}, {mode}"
    try:
        granted = read_permissions(graph.get_token())
    except ProviderError as error:
        return [Finding(what, False, str(error))]
    needed = ["Mail.Send", *(["Mail.ReadWrite"] if exactly_once else [])]
    lacking = [name for name in needed if name not in granted]
    if lacking and (graph.own or "Mail.Send" in granted):  # with RBAC none of an app's rights stand in its token
        return [Finding(what, False, f"{' and '.join(lacking)} is not granted. {_CONSENT_REMEDY}")]
    if exactly_once:
        return [_check_attempt(what, lambda: graph.get(mailbox, "messages", select="id", top=1))]
    return [Finding(what, True)]


def read_permissions(token: str) -> list[str]:
    """What a token says it allows: an app's roles, or an account's scopes. Nothing when it can't be read."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return [*claims.get("roles", ()), *str(claims.get("scp") or "").split()]
    except (ValueError, IndexError, AttributeError, TypeError):
        return []
