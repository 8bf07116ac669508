"""The lines of lists in mails and pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a list, such as a commitment or a review, as a mail shows it."""

    text: str
    note: str = ""  #: shown after the text: a date or a status, for example
    soon: bool = False  #: due within the week (R-21), or overdue
    support: str = ""  #: of a commitment: who supports it
    success: str = ""  #: of a commitment: how one sees that it was done well
    link: str = ""  #: of an opening: a page about it; of a `NewsLine`: its own link; else empty
    contact: str = ""  #: of an opening: whom to write to
