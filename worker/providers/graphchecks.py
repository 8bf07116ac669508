"""What is needed in Microsoft 365, each thing proved by trying it and none of it changed."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta

from worker.clock import utcnow
from worker.domain.model import Address, Span
from worker.errors import ProviderError
from worker.providers import graphevents, graphschedule
from worker.providers.base import Finding
from worker.providers.graph import Graph

_CONSENT = "Have an administrator consent to it in Entra, or assign it with RBAC for Applications (see README)."
#: What an app must not be able to do to everybody.
_WIDE = ("Calendars.ReadWrite", "Mail.Send", "Mail.ReadWrite", "MailboxSettings.Read")


def calendar(graph: Graph, person: Address, *, teams: bool) -> list[Finding]:
    """What is needed to work for an organizer."""
    return list(_calendar(graph, person, teams))


def _calendar(graph: Graph, person: Address, teams: bool) -> Iterator[Finding]:
    what = "Microsoft 365 lets Longarc in" + (f" as {graph.own}" if graph.own else " as an app")
    granted: list[str] = []
    try:
        granted = allowed(graph.claims_token())
    except ProviderError as error:
        yield Finding(what, False, str(error))
        return
    yield Finding(what, True)
    try:
        found = graph.get(person, "calendar", select="id,canEdit,allowedOnlineMeetingProviders")
    except ProviderError as error:
        yield Finding(f"{person}'s calendar can be read (Calendars.ReadWrite)", False, str(error))
        return
    yield Finding(f"{person}'s calendar can be read (Calendars.ReadWrite)", True)
    writable = found.get("canEdit") is not False
    yield Finding(
        f"{person}'s calendar can be written to", writable, "" if writable else f"Give write access. {_CONSENT}"
    )
    if teams:
        offered = found.get("allowedOnlineMeetingProviders")
        ok = not isinstance(offered, list) or "teamsForBusiness" in offered
        remedy = "" if ok else "Give the person Teams, or write `teams = false` under [calendars.outlook]."
        yield Finding(f"{person} can hold Teams meetings", ok, remedy)
    yield _tried(
        f"{person}'s time zone and working hours can be read (MailboxSettings.Read)",
        lambda: graph.get(person, "mailboxSettings"),
    )
    yield _tried(
        f"Our events on {person}'s calendar can be told apart",
        lambda: graph.get(person, "events", filter=graphevents.all_mine(), select="id", top=1),
    )
    yield _free_busy(graph, person)
    yield from _reach(graph, granted)


def _tried(what: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except ProviderError as error:
        return Finding(what, False, str(error))
    return Finding(what, True)


def _free_busy(graph: Graph, person: Address) -> Finding:
    what = f"Free and busy can be asked for through {person}'s mailbox"
    now = utcnow()
    try:
        found = graphschedule.read(graph, [person], Span(now, now + timedelta(days=1)), [person])[person]
    except ProviderError as error:
        return Finding(what, False, str(error))
    return Finding(what, found.known, "" if found.known else f"{found.reason} {_CONSENT}")


def _reach(graph: Graph, granted: list[str]) -> Iterator[Finding]:
    """An app with consent in Entra reaches every mailbox, unless a policy limits it: a human has to prove that."""
    wide = [name for name in _WIDE if name in granted]
    if not graph.own and wide:
        names = ", ".join(wide)
        yield Finding(
            f"The app holds {names} in Entra: README says how to prove that it reaches only who it should", True
        )


def mail(graph: Graph, mailbox: Address, mode: str, *, exactly_once: bool) -> list[Finding]:
    """What is needed to send; nothing is sent."""
    what = f"Mail goes out by Microsoft 365 from {mailbox or 'the sender'}, {mode}"
    try:
        granted = allowed(graph.claims_token())
    except ProviderError as error:
        return [Finding(what, False, str(error))]
    needed = ["Mail.Send", *(["Mail.ReadWrite"] if exactly_once else [])]
    lacking = [name for name in needed if name not in granted]
    if lacking and (graph.own or "Mail.Send" in granted):  # with RBAC none of an app's rights stand in its token
        return [Finding(what, False, f"{' and '.join(lacking)} is not granted. {_CONSENT}")]
    if exactly_once:
        return [_tried(what, lambda: graph.get(mailbox, "messages", select="id", top=1))]
    return [Finding(what, True)]


def allowed(token: str) -> list[str]:
    """What a token says it allows: an app's roles, or an account's scopes. Nothing when it can't be read."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return [*claims.get("roles", ()), *str(claims.get("scp") or "").split()]
    except (ValueError, IndexError, AttributeError, TypeError):
        return []
