"""The page on which people-ops add, change and remove rows of the openings file (R-29)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for

from worker.domain.model import Opening, OpeningKind
from worker.domain.reason_texts import N_
from worker.errors import Problem, Problems
from worker.settings.openings_edit import OpeningsFile
from worker.settings.openings_file import FILE_FORMAT, MAX_LINK_CHARS, MAX_NOTE_CHARS, MAX_TITLE_CHARS
from worker.web.logins import current_login
from worker.web.site import current_site, redirect_to

KIND_NAMES = {
    OpeningKind.OPENING: N_("open position"),
    OpeningKind.PROJECT: N_("project"),
    OpeningKind.PATH: N_("path"),
}
#: How long each cell may be. The file's own limits are at most these.
_LIMITS = {"title": MAX_TITLE_CHARS, "link": MAX_LINK_CHARS, "note": MAX_NOTE_CHARS}
#: How long every other cell may be.
_MAX_CELL = 320


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that somebody sent and that can't be written, to be shown again with its problems."""

    line: int  #: in the file; 0 for a new row
    cells: Mapping[str, str]
    problems: tuple[Problem, ...]


def add_opening_pages(pages: Blueprint) -> None:
    """Add the page of openings to those of people-ops."""
    pages.add_url_rule("/openings", "openings", show)
    pages.add_url_rule("/openings", "add_opening", add_opening, methods=["POST"])
    pages.add_url_rule("/openings/<int:line>/change", "change_opening", change_opening, methods=["POST"])
    pages.add_url_rule("/openings/<int:line>/remove", "remove_opening", remove_opening, methods=["POST"])


def show() -> Response:
    """Return the page with the openings, past ones last, or with the problems of a file that can't be read."""
    return _render_page()


def _render_page(rejected: RejectedRow | None = None) -> Response:
    site, language = current_site(), current_site().choose_language()
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "file": site.settings.openings_file.name,
        "kinds": {kind.value: language.gettext(name) for kind, name in KIND_NAMES.items()},
        "day": language.day,
        "today": site.now().date(),
        "cells_of": _list_cells,
        "rejected": rejected,
        "limits": {name: _LIMITS.get(name, _MAX_CELL) for name in FILE_FORMAT.columns},
        "problems": (),
        "editable": None,
    }
    try:
        page["editable"] = _open_file().read()
    except Problems as problems:
        page["problems"] = problems.problems
    return site.render_page("openings", language, page, 422 if rejected else 200)


def _list_cells(opening: Opening) -> dict[str, str]:
    return {name: str(getattr(opening, name)) for name in FILE_FORMAT.columns}


def add_opening() -> Response:
    """Add the form's opening to the file."""
    return _edit_file(0, lambda file, cells, version: file.add(cells, version))


def change_opening(line: int) -> Response:
    """Change the opening at that line."""
    return _edit_file(line, lambda file, cells, version: file.change(line, cells, version))


def remove_opening(line: int) -> Response:
    """Remove the opening at that line."""
    return _edit_file(line, lambda file, _, version: file.remove(line, version))


def _edit_file(line: int, edit: Callable[[OpeningsFile, Mapping[str, str], str], None]) -> Response:
    """Edit the file and record who did it; when that fails, show the problems and the row. Raises OpeningsChanged."""
    cells = {name: request.form.get(name, "")[: 2 * MAX_LINK_CHARS] for name in FILE_FORMAT.columns}
    try:
        edit(_open_file(), cells, request.form.get("version", ""))
    except Problems as problems:
        return _render_page(RejectedRow(line, cells, problems.problems))
    current_site().worker.operator_switches.note_openings(current_login().address)
    return redirect_to(url_for(".openings", said="openings"))


def _open_file() -> OpeningsFile:
    return OpeningsFile(current_site().settings.openings_file)
