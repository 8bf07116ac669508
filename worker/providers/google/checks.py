"""Checks for `longarc check` whether Longarc can use a person's Google Calendar and Gmail.

Each requirement is tried by itself, so that its finding names the cause of a failure: an API that is not enabled, a
scope that was not granted, a person without a calendar, or a calendar that can't be read.
"""

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
from worker.providers.google.client import GoogleApi
from worker.providers.google.error_translation import ApiNotEnabled, InvalidContent, NoCalendar
from worker.providers.google.events import format_instant

_WEEK = timedelta(days=7)
_ENABLE_API_REMEDY = (
    "Open console.cloud.google.com/apis/library/{api}.googleapis.com, choose the project {project}, press Enable, "
    "and wait a few minutes."
)
_NO_CALENDAR_REMEDY = (
    "In admin.google.com open Apps > Google Workspace > Calendar and switch it on for {0}, or give the account a "
    "license that includes Calendar; then {0} has to open calendar.google.com once. For a report without a calendar, "
    "write `none` in the people file."
)
_NO_MEET_REMEDY = (
    "In admin.google.com open Apps > Google Workspace > Google Meet and switch it on for {0}, or set `video = false` "
    "under [event]. Until then {0}'s conversations are booked without a link."
)


def check_calendar(api: GoogleApi, person: Address, now: datetime, *, video: bool) -> list[Finding]:
    """Check everything that Longarc needs to book for this person; with `video` also whether Meet links are offered."""
    events_resource = api.service.events()
    start, end = format_instant(now), format_instant(now + _WEEK)
    zone_request = events_resource.list(calendarId="primary", maxResults=1, fields="timeZone")
    findings = [_check_scope(api, person, OWNED_EVENTS_SCOPE, action="write events as")]
    if findings[0].ok:
        statement = f"{person}'s calendar can be reached"
        findings += _check_call(
            api, person, OWNED_EVENTS_SCOPE, library_name="calendar-json", statement=statement, request=zone_request
        )
    if not all(finding.ok for finding in findings):
        return findings
    can_act_as_everybody = api.access.list_connected_people() is None  # by domain-wide delegation
    # With delegation, free/busy is read from the events of each person, otherwise by free/busy queries.
    if can_act_as_everybody:
        findings.append(_check_scope(api, person, EVENTS_READ_SCOPE, action="read the events of"))
        query = {"timeMin": start, "timeMax": end, "singleEvents": True, "maxResults": 1}
        request = events_resource.list(calendarId="primary", fields="items(start,end)", **query)
        scope = EVENTS_READ_SCOPE
    else:
        body = {"timeMin": start, "timeMax": end, "items": [{"id": person}]}
        request = api.service.freebusy().query(body=body, fields="calendars")
        scope = FREE_BUSY_SCOPE
    if findings[-1].ok:  # False when EVENTS_READ_SCOPE was not granted
        statement = f"The free/busy of {person} can be read"
        findings += _check_call(api, person, scope, library_name="calendar-json", statement=statement, request=request)
    return [*findings, *(_check_meet(api, person) if video else ())]


def _check_meet(api: GoogleApi, person: Address) -> list[Finding]:
    """Check whether this person's events may have a Meet link.

    Only this check needs CALENDARS_READ_SCOPE. Without this scope the finding is `ok`, and says that the check was not
    made.
    """
    request = api.service.calendars().get(calendarId="primary", fields="conferenceProperties")
    try:
        calendar = api.execute(person, CALENDARS_READ_SCOPE, request)
    except ProviderError:
        statement = (
            f"Whether Google Meet is offered to {person} was not checked: grant {CALENDARS_READ_SCOPE} to check it"
        )
        return [Finding(statement, ok=True)]
    offered_types = (calendar.get("conferenceProperties") or {}).get("allowedConferenceSolutionTypes") or ()
    is_offered = "hangoutsMeet" in offered_types
    remedy = "" if is_offered else _NO_MEET_REMEDY.format(person)
    return [Finding(f"Google Meet is offered to {person}", ok=is_offered, remedy=remedy)]


def check_mail(api: GoogleApi, sender: Address) -> list[Finding]:
    """Check whether mail can be sent, without sending any.

    An empty message is posted to Gmail, which refuses it as empty only after it has checked everything else. `sender`
    is the one account that sends mail; when it is empty, all connected accounts are checked.
    """
    connected_people = api.access.list_connected_people()
    senders = [sender] if sender else (connected_people or [])
    if not senders and connected_people is not None:
        remedy = "Run `longarc connect google ADDRESS` for each manager."
        return [Finding("Mail is sent by Gmail", ok=False, remedy=remedy)]
    if not senders:
        statement = (
            "Mail is sent by Gmail as the address in `mail.from`; set mailers.google.sender to have sending checked"
        )
        return [Finding(statement, ok=True)]
    return [finding for account in senders for finding in _check_sending(api, account)]


def _check_sending(api: GoogleApi, sender: Address) -> list[Finding]:
    scope_finding = _check_scope(api, sender, GMAIL_SEND_SCOPE, action="send mail as")
    if not scope_finding.ok:
        return [scope_finding]
    empty_message_request = api.service.users().messages().send(userId="me", body={"raw": ""}, fields="id")
    statement = f"{sender} can send mail by Gmail"
    call_findings = _check_call(
        api,
        sender,
        GMAIL_SEND_SCOPE,
        library_name="gmail",
        statement=statement,
        request=empty_message_request,
        expected_refusal=InvalidContent,
    )
    return [scope_finding, *call_findings]


def _check_scope(api: GoogleApi, person: Address, scope: str, *, action: str) -> Finding:
    """Return a finding about whether the scope was granted for this person. `action` names what the scope allows."""
    statement = f"Longarc may {action} {person} ({scope})"
    try:
        api.access.get_token(person, scope)
    except ProviderError as error:
        return Finding(statement, ok=False, remedy=str(error))
    return Finding(statement, ok=True)


def _check_call(
    api: GoogleApi,
    person: Address,
    scope: str,
    *,
    library_name: str,
    statement: str,
    request: Any,
    expected_refusal: type[ProviderError] | None = None,
) -> list[Finding]:
    """Send the request; return a finding about whether the API is enabled, and one about whether `statement` is true.

    `statement` is true when the request succeeds, or when Google refuses it with the `expected_refusal`. `library_name`
    is the name of the API in the library of the Cloud console.
    """
    enabled_statement = f"The {'Gmail' if library_name == 'gmail' else 'Calendar'} API is enabled"
    try:
        api.execute(person, scope, request)
    except ProviderError as error:
        if isinstance(error, ApiNotEnabled):
            return [
                Finding(
                    enabled_statement,
                    ok=False,
                    remedy=_ENABLE_API_REMEDY.format(api=library_name, project=_describe_project(api)),
                )
            ]
        if isinstance(error, NoCalendar):
            return [
                Finding(enabled_statement, ok=True),
                Finding(f"{person} has a Google Calendar", ok=False, remedy=_NO_CALENDAR_REMEDY.format(person)),
            ]
        if expected_refusal is None or not isinstance(error, expected_refusal):
            return [Finding(enabled_statement, ok=True), Finding(statement, ok=False, remedy=str(error))]
    return [Finding(enabled_statement, ok=True), Finding(statement, ok=True)]


def _describe_project(api: GoogleApi) -> str:
    access = api.access
    return access.get_project() if isinstance(access, Delegation) else "of your OAuth client"
