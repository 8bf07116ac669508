"""The page of the pulse: the anonymous yes-or-no question that reports are asked once in each round (R-37).

No URL contains the answer, and the page is the same after yes and after no.
"""

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.pulse import MIN_ANSWERS, MIN_MANAGERS
from worker.web.logins import current_login
from worker.web.site import current_site, redirect_to

#: The values of the two buttons, and whether the person sees a future here, which is the question. The values have the
#: same length, so that the size of a request does not reveal the answer.
ANSWERS = {"y": True, "n": False}


def make_blueprint() -> Blueprint:
    """Return the page with the question."""
    pages = Blueprint("pulse", __name__)
    pages.add_url_rule("/<session_id>", view_func=show)
    pages.add_url_rule("/<session_id>", "answer", answer, methods=["POST"])
    return pages


def show(session_id: str) -> Response:
    """Return the page with the question, or with the reason why it can't be answered.

    `session_id` is the round, such as 2026-09: in every URL, the last part names what the link opens.
    """
    site, login = current_site(), current_login()
    values = {
        "to": login.person,
        "token": login.token,
        "round": session_id,
        "status": site.worker.pulse.get_status(login.address, session_id).value,
        # the page says how many people, with how many managers, a group must have to be counted on its own
        "answers": MIN_ANSWERS,
        "managers": MIN_MANAGERS,
    }
    return site.render_page("pulse", site.choose_language(), values)


def answer(session_id: str) -> Response:
    """Add the answer to the round's counts. It can't be changed afterwards."""
    choice = request.form.get("answer", "")
    if choice not in ANSWERS:
        abort(404)
    current_site().worker.pulse.answer(current_login().address, session_id, sees_future=ANSWERS[choice])
    return redirect_to(url_for(".show", session_id=session_id))
