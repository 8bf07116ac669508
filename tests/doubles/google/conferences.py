"""Meet links: asked for with an event, made at once or later, or not offered at all."""

from collections.abc import Mapping
from typing import Any

from tests.doubles.google.schema import bad

_KINDS = frozenset({"hangoutsMeet"})


def conference_wanted(
    call_body: Mapping[str, Any], current: Mapping[str, Any], name: str, *, offered: bool, pending: bool
) -> dict[str, Any]:
    """The conference of an event after such a write with `conferenceDataVersion=1`. Raises Refusal."""
    told = call_body["conferenceData"]
    if not told:
        return {}
    wish = told.get("createRequest")
    if not wish:
        return dict(told)
    kind = (wish.get("conferenceSolutionKey") or {}).get("type")
    if kind not in _KINDS or not offered:
        raise bad("Invalid conference type value.")
    if not wish.get("requestId"):
        raise bad("Missing conference request id.", "required")
    if (current.get("createRequest") or {}).get("requestId") == wish["requestId"]:
        return dict(current)
    request = {"requestId": wish["requestId"], "conferenceSolutionKey": {"type": kind}}
    made = {"createRequest": {**request, "status": {"statusCode": "pending"}}}
    return made if pending else completed(made, name)


def completed(conference: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The conference once it is there."""
    code = f"{name[-10:-7]}-{name[-7:-3]}-{name[-3:]}"
    request = {**conference["createRequest"], "status": {"statusCode": "success"}}
    entry = {"entryPointType": "video", "uri": f"https://meet.google.com/{code}", "label": f"meet.google.com/{code}"}
    solution = {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"}
    return {"createRequest": request, "entryPoints": [entry], "conferenceSolution": solution, "conferenceId": code}
