"""Meet links of events, which are created at once or later."""

from collections.abc import Mapping
from typing import Any

from tests.doubles.google.schema import bad_request

_KINDS = frozenset({"hangoutsMeet"})


def make_conference(
    call_body: Mapping[str, Any], earlier: Mapping[str, Any], event_id: str, *, offered: bool, pending: bool
) -> dict[str, Any]:
    """The `conferenceData` of an event after a write with `conferenceDataVersion=1`. `earlier` is the one before.

    `offered`: the organizer may create Meet links; `pending`: the link is created later.
    Raises Refusal.
    """
    wanted = call_body["conferenceData"]
    if not wanted:
        return {}
    create_request = wanted.get("createRequest")
    if not create_request:
        return dict(wanted)
    kind = (create_request.get("conferenceSolutionKey") or {}).get("type")
    if kind not in _KINDS or not offered:
        raise bad_request("Invalid conference type value.")
    if not create_request.get("requestId"):
        raise bad_request("Missing conference request id.", "required")
    if (earlier.get("createRequest") or {}).get("requestId") == create_request["requestId"]:
        return dict(earlier)  # the same request once more creates no second link
    request = {"requestId": create_request["requestId"], "conferenceSolutionKey": {"type": kind}}
    unfinished = {"createRequest": {**request, "status": {"statusCode": "pending"}}}
    return unfinished if pending else complete_conference(unfinished, event_id)


def complete_conference(conference: Mapping[str, Any], event_id: str) -> dict[str, Any]:
    """The `conferenceData` when the link exists."""
    code = f"{event_id[-10:-7]}-{event_id[-7:-3]}-{event_id[-3:]}"  # of the form abc-defg-hij
    request = {**conference["createRequest"], "status": {"statusCode": "success"}}
    entry = {"entryPointType": "video", "uri": f"https://meet.google.com/{code}", "label": f"meet.google.com/{code}"}
    solution = {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"}
    return {"createRequest": request, "entryPoints": [entry], "conferenceSolution": solution, "conferenceId": code}
