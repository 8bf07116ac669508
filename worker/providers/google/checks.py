"""What `longarc check` finds out about Google: each thing proved by trying it, and when it fails, what to paste where.

An API that is switched off, a scope that was not granted, a person who can't be reached and a time that can't be read
fail in ways that look alike from afar; here each is asked for by itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from worker.domain.model import Address
from worker.errors import ProviderError
from worker.providers.base import Finding
from worker.providers.google.auth import (
    CALENDARS_READ_SCOPE,
    EVENTS_READ_SCOPE,
    FREE_BUSY_SCOPE,
    GMAIL_SEND_SCOPE,
    OWNED_EVENTS_SCOPE,
    Delegation,
)
from worker.providers.google.client import GoogleApi, NoCalendar

_WEEK = timedelta(days=7)
_SWITCH_ON = (
    "Open console.cloud.google.com/apis/library/{api}.googleapis.com, choose the project {project}, press Enable, "
    "and wait a few minutes."
)
_NO_CALENDAR = (
    "In admin.google.com open Apps > Google Workspace > Calendar and switch it on for {0}, or give the account a "
    "license that has it; then {0} opens calendar.google.com once. A report without one has `none` in the people file."
)
_NO_MEET = (
    "In admin.google.com open Apps > Google Workspace > Google Meet and switch it on for {0}, or set `video = false` "
    "under [event]. Until then {0}'s conversations are booked without a link."
)


def check_calendar(wires: GoogleApi, person: Address, now: datetime, *, video: bool) -> list[Finding]:
    """Everything that booking for this person needs; with `video` a Meet link, too."""
    events = wires.service.events()
    since, until = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (now, now + _WEEK))
    own = events.list(calendarId="primary", maxResults=1, fields="timeZone")
    found = [_check_scope(wires, person, OWNED_EVENTS_SCOPE, "write events as")]
    if found[0].ok:
        found += _check_call(
            wires, person, OWNED_EVENTS_SCOPE, "calendar-json", f"{person}'s calendar can be reached", own
        )
    if not all(one.ok for one in found):
        return found
    if wires.access.list_connected() is None:
        found.append(_check_scope(wires, person, EVENTS_READ_SCOPE, "read the time of"))
        within = {"timeMin": since, "timeMax": until, "singleEvents": True, "maxResults": 1}
        asked = events.list(calendarId="primary", fields="items(start,end)", **within)
        scope = EVENTS_READ_SCOPE
    else:
        body = {"timeMin": since, "timeMax": until, "items": [{"id": person}]}
        asked, scope = wires.service.freebusy().query(body=body, fields="calendars"), FREE_BUSY_SCOPE
    if found[-1].ok:
        found += _check_call(wires, person, scope, "calendar-json", f"{person} can be asked for free and busy", asked)
    return [*found, *(_check_meet(wires, person) if video else ())]


def _check_meet(wires: GoogleApi, person: Address) -> list[Finding]:
    """Whether this person's events may have a Meet link. It takes a scope that nothing else needs; without it nothing
    is known, and nothing is wrong."""
    request = wires.service.calendars().get(calendarId="primary", fields="conferenceProperties")
    try:
        calendar = wires.execute(person, CALENDARS_READ_SCOPE, request)
    except ProviderError:
        unknown = f"Whether Google Meet is offered to {person} is not known"
        return [Finding(f"{unknown}; with {CALENDARS_READ_SCOPE} granted it is looked up here", True)]
    offered = (calendar.get("conferenceProperties") or {}).get("allowedConferenceSolutionTypes") or ()
    what, is_offered = f"Google Meet is offered to {person}", "hangoutsMeet" in offered
    return [Finding(what, is_offered, "" if is_offered else _NO_MEET.format(person))]


def check_mail(wires: GoogleApi, sender: Address) -> list[Finding]:
    """Whether mail may be sent. That Gmail is on and takes mail is proved without sending: it is given an empty one,
    which it refuses for being empty, after it has looked at everything else."""
    connected = wires.access.list_connected()
    senders = [sender] if sender else (connected or [])
    if not senders and connected is not None:
        remedy = "Run `longarc connect google ADDRESS` for each manager."
        return [Finding("Mail goes out by Gmail", False, remedy)]
    if not senders:
        what = "Mail goes out by Gmail as whoever `mail.from` names; set mailers.google.sender, and it is proved here"
        return [Finding(what, True)]
    return [finding for one in senders for finding in _check_sending(wires, one)]


def _check_sending(wires: GoogleApi, sender: Address) -> list[Finding]:
    granted = _check_scope(wires, sender, GMAIL_SEND_SCOPE, "send mail as")
    if not granted.ok:
        return [granted]
    empty = wires.service.users().messages().send(userId="me", body={"raw": ""}, fields="id")
    return [
        granted,
        *_check_call(
            wires,
            sender,
            GMAIL_SEND_SCOPE,
            "gmail",
            f"{sender} can send mail by Gmail",
            empty,
            _is_empty_message_refusal,
        ),
    ]


def _is_empty_message_refusal(error: ProviderError) -> bool:
    """True when all that Google objects to is that there is no message."""
    said = str(error).lower()
    return "recipient" in said or "'raw'" in said or "empty" in said


def _check_scope(wires: GoogleApi, person: Address, scope: str, doing: str) -> Finding:
    what = f"Longarc may {doing} {person} ({scope})"
    try:
        wires.access.get_token(person, scope)
    except ProviderError as error:
        return Finding(what, False, str(error))
    return Finding(what, True)


def _check_call(
    wires: GoogleApi,
    person: Address,
    scope: str,
    api: str,
    what: str,
    request: Any,
    fine: Callable[[ProviderError], bool] = lambda _: False,
) -> list[Finding]:
    """Try it; whether the API is switched on is a finding of its own."""
    switched = f"The {'Gmail' if api == 'gmail' else 'Calendar'} API is enabled"
    try:
        wires.execute(person, scope, request)
    except ProviderError as error:
        if "switched on in this project" in str(error):
            return [Finding(switched, False, _SWITCH_ON.format(api=api, project=_describe_project(wires)))]
        if isinstance(error, NoCalendar):
            return [
                Finding(switched, True),
                Finding(f"{person} has a Google Calendar", False, _NO_CALENDAR.format(person)),
            ]
        if not fine(error):
            return [Finding(switched, True), Finding(what, False, str(error))]
    return [Finding(switched, True), Finding(what, True)]


def _describe_project(wires: GoogleApi) -> str:
    access = wires.access
    return access.get_project() if isinstance(access, Delegation) else "of your OAuth client"
