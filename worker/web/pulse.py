"""The page with the anonymous yes-or-no question that reports are asked once in a round (R-37).

The answer is in no URL, and the page looks the same after yes and after no.
"""

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.pulse import MIN_ANSWERS, MIN_MANAGERS
from worker.web.logins import current_login
from worker.web.site import current_site, redirect_to

#: The values of the two buttons: of the same length, so that the size of a request tells nothing.
ANSWERS = {"y": True, "n": False}


def make_blueprint() -> Blueprint:
    """Return the page with the question."""
    pages = Blueprint("pulse", __name__)
    pages.add_url_rule("/<session_id>", view_func=show)
    pages.add_url_rule("/<session_id>", "answer", answer, methods=["POST"])
    return pages


def show(session_id: str) -> Response:
    """Return the question, or why it can't be answered. `session_id` is the round, such as 2026-09."""
    site, login = current_site(), current_login()
    values = {
        "to": login.person,
        "token": login.token,
        "round": session_id,
        "status": site.worker.pulse.get_status(login.address, session_id).value,
        "answers": MIN_ANSWERS,
        "managers": MIN_MANAGERS,
    }
    return site.render_page("pulse", site.choose_language(), values)


def answer(session_id: str) -> Response:
    """Count the answer. It can't be changed afterwards."""
    choice = request.form.get("answer", "")
    if choice not in ANSWERS:
        abort(404)
    current_site().worker.pulse.answer(current_login().address, session_id, sees_future=ANSWERS[choice])
    return redirect_to(url_for(".show", session_id=session_id))
