"""The pages that the links of a mail about a pair open, for each of its two readers."""

from worker.links import Purpose


def list_report_links(session: str) -> dict[str, tuple[Purpose, str]]:
    """Return the purpose and the session id of each link, by its name; without a session, no link to its time."""
    pages = dict.fromkeys(("contract", "commitment", "settings"), (Purpose.ME, ""))
    return {**pages, "choose": (Purpose.TIME, session)} if session else pages


def list_manager_links(session: str, contract_session: str, commitment_session: str) -> dict[str, tuple[Purpose, str]]:
    """Return the purpose and the session id of each link, by its name; empty ids give no link to a contract."""
    links = {"settings": (Purpose.TEAM, "")}
    for name, purpose, session_id in (
        ("choose", Purpose.TIME, session),
        ("contract", Purpose.CONTRACT, contract_session),
        ("commitment", Purpose.CONTRACT, commitment_session),
    ):
        if session_id:
            links[name] = (purpose, session_id)
    return links
