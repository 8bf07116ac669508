"""The lines that make up lists in mails and pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a list, in the reader's language. Templates show it."""

    text: str
    note: str = ""  #: what is shown after the text, such as a date or a status
    soon: bool = False  #: whether the line is a commitment that is due within a week (R-21) or overdue
    support: str = ""  #: for a commitment: who supports it
    success: str = ""  #: for a commitment: what success looks like
    link: str = ""  #: for an opening: the URL of a page about it; for a `NewsLine`: its link
    contact: str = ""  #: for an opening: the address to write to
