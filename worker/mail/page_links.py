"""Chooses the pages that the links of a mail about a pair open, for each of its two readers.

A link is given by its purpose, which names the page, and by the id of a session.
"""

from worker.links import Purpose


def list_report_links(session: str) -> dict[str, tuple[Purpose, str]]:
    """Return the purpose and the session id of each link of the report, by the link's name.

    `session` is the id of the session that the mail is about. If it is empty, there is no link to the session's time.
    """
    pages = dict.fromkeys(("contract", "commitment", "settings"), (Purpose.ME, ""))
    return {**pages, "choose": (Purpose.TIME, session)} if session else pages


def list_manager_links(session: str, contract_session: str, commitment_session: str) -> dict[str, tuple[Purpose, str]]:
    """Return the purpose and the session id of each link of the manager, by the link's name.

    All arguments are ids of sessions: the session that the mail is about, and the sessions of the contracts to which
    `contract` and `commitment` link. There is no link for an empty id.
    """
    links = {"settings": (Purpose.TEAM, "")}
    for name, purpose, session_id in (
        ("choose", Purpose.TIME, session),
        ("contract", Purpose.CONTRACT, contract_session),
        ("commitment", Purpose.CONTRACT, commitment_session),
    ):
        if session_id:
            links[name] = (purpose, session_id)
    return links
