"""The HTML page with a person's data, which `longarc export` writes as one file that needs no other file or script."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from worker.domain.model import Person
from worker.domain.reason_texts import N_
from worker.i18n.language import Language
from worker.mail.templates import make_page_environment

#: The headings of those keys at the top level of the data that the page shows as sections.
SECTIONS = {
    "as_report": N_("With your managers"),
    "as_manager": N_("With your reports"),
    "events": N_("Events on calendars"),
    "mails": N_("Mails to you"),
    "accesses": N_("When somebody else opened what you wrote"),
}
#: The labels of keys and of fixed values of the data. Keys and values without a label are shown as they are.
LABELS: Mapping[str, str] = {
    "about": N_("about"),
    "also_known_as": N_("other addresses and names"),
    "asked_for": N_("on request"),
    "at": N_("when"),
    "away": N_("out of office"),
    "booked": N_("booked"),
    "by": N_("from"),
    "calendar": N_("calendar"),
    "cancelled": N_("cancelled"),
    "career": N_("career conversation"),
    "cause": N_("cause"),
    "changed_by": N_("changed by"),
    "checkin": N_("check-in"),
    "closed_at": N_("ended on"),
    "commitments": N_("Commitments"),
    "contents_erased_at": N_("what you wrote was erased on"),
    "contracted": N_("with a contract"),
    "contracts": N_("Contracts"),
    "country": N_("country"),
    "deferred": N_("to be moved"),
    "done": N_("done"),
    "due": N_("due on"),
    "email": N_("address"),
    "end": N_("end"),
    "ended": N_("over, because"),  # the value is the reason, an `EndReason`
    "for": N_("for"),
    "format": N_("format"),
    "gone": N_("taken off"),
    "group": N_("group"),
    "held": N_("held"),
    "held_at": N_("conversation of"),
    "hours": N_("working hours"),
    "how": N_("Settings"),  # how the pair meets: its length, format and so on
    "kind": N_("kind"),
    "let_go": N_("let go"),
    "lines": N_("lines"),
    "locale": N_("language"),
    "mail": N_("mail"),
    "mails": N_("Mails"),
    "manager": N_("manager"),
    "minutes": N_("minutes"),
    "month": N_("month"),
    "name": N_("name"),
    "notes": N_("Notes for both"),
    "open": N_("open"),
    "owed": N_("without a time"),
    "own_learning": N_("What you learned yourself"),
    "owner": N_("whose"),
    "pair": N_("between"),
    "passed_on_by_the_report": N_("Passed on by the report"),
    "progress": N_("progress worth naming"),
    "question": N_("the open question"),
    "reason": N_("reason"),
    "recorded_at": N_("written down on"),
    "report": N_("report"),
    "review": N_("review"),
    "reviews": N_("what is reviewed"),
    "revision": N_("revision"),
    "rhythm": N_("rhythm"),
    "said_by_the_report": N_("said by the report"),
    "sent": N_("sent"),
    "session": N_("conversation"),
    "sessions": N_("Conversations"),
    "standing": N_("status"),
    "start": N_("start"),
    "state": N_("status"),
    "success": N_("done when"),
    "suggested_by_the_former_manager": N_("Suggested by the former manager"),
    "support": N_("with help of"),
    "text": N_("words"),
    "times_lost": N_("Times that were lost"),  # the deferrals, and the moves by hand
    "times_put_off": N_("times moved"),  # the number of deferrals of the session
    "told_by_the_directory": N_("told by the company’s directory"),
    "topic": N_("topic"),
    "transition_until": N_("in transition until"),
    "trust": N_("hard questions in the brief"),  # they need trust between the two: see `Pair.trust`
    "unfinished": N_("without a contract"),
    "what": N_("what"),
    "who": N_("who"),
    "why": N_("why"),
    "words": N_("words"),
    "written_at": N_("written on"),
    "zone": N_("time zone"),
}


#: The keys of ids. The page leaves them out; they connect the parts of the JSON file for programs.
_ID_KEYS = ("session", "commitment")
#: The keys whose values are fixed, so that a label can stand for them. All other values are shown as they were written.
_FIXED_VALUE_KEYS = frozenset(
    {
        "by",
        "cause",
        "changed_by",
        "ended",
        "format",
        "kind",
        "mail",
        "owner",
        "review",
        "standing",
        "state",
        "topic",
        "what",
    }
)
#: Matches fixed values of several words, such as the names of mails and of causes.
_SNAKE_CASE = re.compile(r"[a-z]+(_[a-z]+)+")


class DataView:
    """A person's data in one language, for the template, which calls the public methods."""

    def __init__(self, data: Mapping[str, Any], person: Person, language: Language, *, has_content: bool) -> None:
        self.data = data
        self.person = person
        self.has_content = has_content
        self._language = language

    def label(self, key: str) -> str:
        """Return the label of a key."""
        return self._language.gettext(LABELS[key]) if key in LABELS else key.replace("_", " ")

    def heading(self, section: str) -> str:
        """Return the heading of a section."""
        return self._language.gettext(SECTIONS[section])

    def show(self, value: object, key: str = "") -> str:
        """Return the value of a key as text; the values in a list or mapping are joined on one line."""
        if value is None or value in ("", [], ()):
            return "–"
        if isinstance(value, bool):
            return self._language.gettext(N_("yes")) if value else self._language.gettext(N_("no"))
        if isinstance(value, datetime):
            local = value.astimezone(ZoneInfo(self.person.zone))
            time = self._language.format_time(value, self.person.zone)
            return f"{self._language.format_short_day_with_year(local.date())}, {time}"
        if isinstance(value, date):
            return self._language.format_short_day_with_year(value)
        if isinstance(value, Mapping):
            return "; ".join(f"{self.label(key)}: {self.show(item, key)}" for key, item in value.items())
        if isinstance(value, list | tuple):
            return " · ".join(self.show(item, key) for item in value)
        return self._show_fixed_value(str(value)) if key in _FIXED_VALUE_KEYS else str(value)

    def _show_fixed_value(self, text: str) -> str:
        if text in LABELS:
            return self._language.gettext(LABELS[text])
        return text.replace("_", " ") if _SNAKE_CASE.fullmatch(text) else text

    def is_table(self, value: object) -> bool:
        """Return whether the value is a list of rows without lists in them, which is shown as a table."""
        return _is_rows(value) and not any(isinstance(item, list | tuple) for row in value for item in row.values())

    def is_cards(self, value: object) -> bool:
        """Return whether the value is a list of rows with lists in them, which are shown as cards."""
        return _is_rows(value) and not self.is_table(value)

    def list_columns(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the keys of all rows without those of ids, in the order of their first appearance."""
        return list(dict.fromkeys(key for row in rows for key in row if key not in _ID_KEYS))


def _is_rows(value: object) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def render_data_page(data: Mapping[str, Any], person: Person, language: Language, *, has_content: bool) -> str:
    """Return the page as HTML that includes its style. `has_content`: whether the data contain what pairs wrote."""
    template = make_page_environment(language).get_template("data_file.html.j2")
    return template.render(view=DataView(data, person, language, has_content=has_content))
