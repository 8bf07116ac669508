"""The page on which people-ops add, change and remove rows of the openings file (R-29).

An opening is an open position, a project or a role path. Reports see openings on their page, and managers in the brief.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request

from worker.domain.model import Opening, OpeningKind
from worker.domain.reason_texts import N_
from worker.errors import Problem, Problems
from worker.settings.openings_edit import OpeningsFile
from worker.settings.openings_file import (
    FILE_FORMAT,
    MAX_LINK_CHARS,
    MAX_NOTE_CHARS,
    MAX_TITLE_CHARS,
    find_unfit_columns,
)
from worker.web.logins import current_login
from worker.web.site import current_site, redirect_with_confirmation

KIND_NAMES = {
    OpeningKind.OPENING: N_("open position"),
    OpeningKind.PROJECT: N_("project"),
    OpeningKind.PATH: N_("path"),
}
#: What to write in a cell that can't stand in the file, by its column.
_ADVICE = {
    "title": N_("Write a title of at most %(count)s characters."),
    "kind": N_("Choose one of the kinds."),
    "until": N_("Give the last day on which it is shown, as 2027-03-31."),
    "group": N_("Write the short name of a department or team."),
    "link": N_("Write the whole address of a page, as https://jobs.example.com/17."),
    "contact": N_("Write one mail address, as name@example.com."),
    "note": N_("Say it in at most %(count)s characters."),
}
#: The most characters of these cells.
_MAX_CHARS_BY_COLUMN = {"title": MAX_TITLE_CHARS, "link": MAX_LINK_CHARS, "note": MAX_NOTE_CHARS}
#: The most characters of any other cell.
_MAX_CELL_CHARS = 320
#: The line number of a row that is not in the file yet.
_NEW_ROW = 0


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A submitted row that can't be written. The page shows it again, and says why.

    Either cells of the row have to change, or the file has problems, whose texts are for the operator.
    """

    line: int  #: its line in the file; `_NEW_ROW` for a new row
    cells: Mapping[str, str]
    advice: Sequence[str] = ()  #: for each cell to change, what to write there
    problems: tuple[Problem, ...] = ()  #: those of the file; empty when there is advice


def add_opening_pages(pages: Blueprint) -> None:
    """Register the page of openings on the blueprint of people-ops."""
    pages.add_url_rule("/openings", "openings", show)
    pages.add_url_rule("/openings", "add_opening", add_opening, methods=["POST"])
    pages.add_url_rule("/openings/<int:line>/change", "change_opening", change_opening, methods=["POST"])
    pages.add_url_rule("/openings/<int:line>/remove", "remove_opening", remove_opening, methods=["POST"])


def show() -> Response:
    """Return the page with the openings, past ones last. For a file that can't be read, it shows the problems."""
    return _render_page()


def _render_page(rejected: RejectedRow | None = None) -> Response:
    site, language = current_site(), current_site().choose_language()
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "file": site.settings.openings_file.name,
        "kinds": {kind.value: language.gettext(name) for kind, name in KIND_NAMES.items()},
        "day": lambda day: language.format_day(day, with_year=True),
        "today": site.now().date(),
        "cells_of": _list_cells,
        "rejected": rejected,
        "limits": {name: _MAX_CHARS_BY_COLUMN.get(name, _MAX_CELL_CHARS) for name in FILE_FORMAT.columns},
        "problems": (),
        "editable": None,  # the `EditableOpenings` of the file; None when it can't be read
    }
    try:
        page["editable"] = _open_file().read()
    except Problems as problems:
        page["problems"] = problems.problems
    return site.render_page("openings", language, page, 422 if rejected else 200)


def _list_cells(opening: Opening) -> dict[str, str]:
    return {name: str(getattr(opening, name)) for name in FILE_FORMAT.columns}


def add_opening() -> Response:
    """Add the opening in the form to the file."""
    return _edit_file(_NEW_ROW, lambda file, cells, version: file.add(cells, version))


def change_opening(line: int) -> Response:
    """Replace the opening at that line of the file by the one in the form."""
    return _edit_file(line, lambda file, cells, version: file.change(line, cells, version))


def remove_opening(line: int) -> Response:
    """Remove the opening at that line of the file."""
    return _edit_file(line, lambda file, _, version: file.remove(line, version), has_cells=False)


def _edit_file(
    line: int, edit: Callable[[OpeningsFile, Mapping[str, str], str], None], *, has_cells: bool = True
) -> Response:
    """Edit the file, and record who did it. When the row can't be written, show it again and say why.

    `has_cells` is whether the form has the cells of the row. Raises OpeningsChanged when the file is no longer the
    version that the page showed.
    """
    # Cells are cut to bound what the page shows again. A cut cell is still longer than any cell of the file may be.
    cells = {name: request.form.get(name, "")[: 2 * MAX_LINK_CHARS] for name in FILE_FORMAT.columns}
    try:
        edit(_open_file(), cells, request.form.get("version", ""))
    except Problems as problems:
        advice = _list_advice(cells) if has_cells else []
        return _render_page(RejectedRow(line, cells, advice, () if advice else problems.problems))
    current_site().worker.operator_switches.record_openings_change(current_login().address)
    return redirect_with_confirmation(".openings", "openings")


def _list_advice(cells: Mapping[str, str]) -> list[str]:
    """Return what to write in each cell that can't stand in the file, in the reader's language."""
    language = current_site().choose_language()
    return [
        language.gettext(_ADVICE[column], count=_MAX_CHARS_BY_COLUMN.get(column, _MAX_CELL_CHARS))
        for column in find_unfit_columns(cells)
    ]


def _open_file() -> OpeningsFile:
    return OpeningsFile(current_site().settings.openings_file)
