"""The lines of lists in mails and pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a list, such as a commitment or a review, as a mail shows it."""

    text: str
    note: str = ""
    soon: bool = False  #: due within the week (R-21), or overdue
    support: str = ""
    success: str = ""
    link: str = ""  #: of an opening: a page about it; of news: where to go; empty without pages
    contact: str = ""  #: of an opening: whom to write to
