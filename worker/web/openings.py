"""The openings on the page of people-ops: each row of the openings file, to be changed, added or taken out (R-29)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for

from worker.domain.model import Opening, OpeningKind
from worker.domain.reason_texts import N_
from worker.errors import Problem, Problems
from worker.settings.openings_edit import OpeningsFile
from worker.settings.openings_file import FILE_FORMAT, MAX_LINK_CHARS, MAX_NOTE_CHARS, MAX_TITLE_CHARS
from worker.web.sessions import current_login
from worker.web.site import current_site, redirect_to

KIND_NAMES = {
    OpeningKind.OPENING: N_("open position"),
    OpeningKind.PROJECT: N_("project"),
    OpeningKind.PATH: N_("path"),
}
#: How long each cell may be. The file's own limits are at most these.
_LIMITS = {"title": MAX_TITLE_CHARS, "link": MAX_LINK_CHARS, "note": MAX_NOTE_CHARS}
_MAX_CELL = 320


@dataclass(frozen=True, slots=True)
class WrongRow:
    """What somebody sent that can't be written: at which line (0: a new one), the cells, and what is wrong."""

    line: int
    cells: Mapping[str, str]
    problems: tuple[Problem, ...]


def add_openings(pages: Blueprint) -> None:
    """Add the page of openings to those of people-ops."""
    pages.add_url_rule("/openings", "openings", show)
    pages.add_url_rule("/openings", "add_opening", add, methods=["POST"])
    pages.add_url_rule("/openings/<int:line>/change", "change_opening", change, methods=["POST"])
    pages.add_url_rule("/openings/<int:line>/remove", "remove_opening", remove, methods=["POST"])


def show() -> Response:
    """Return the openings, those that are over last; what is wrong with the file, when it can't be read."""
    return _render()


def _render(wrong: WrongRow | None = None) -> Response:
    site, language = current_site(), current_site().choose_language()
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "file": site.settings.openings_file.name,
        "kinds": {kind.value: language.gettext(name) for kind, name in KIND_NAMES.items()},
        "day": language.day,
        "today": site.now().date(),
        "cells_of": _list_cells,
        "wrong": wrong,
        "limits": {name: _LIMITS.get(name, _MAX_CELL) for name in FILE_FORMAT.columns},
        "problems": (),
        "editable": None,
    }
    try:
        page["editable"] = _open_file().read()
    except Problems as problems:
        page["problems"] = problems.problems
    return site.render_page("openings", language, page, 422 if wrong else 200)


def _list_cells(opening: Opening) -> dict[str, str]:
    return {name: str(getattr(opening, name)) for name in FILE_FORMAT.columns}


def add() -> Response:
    """Add an opening."""
    return _write(0, lambda file, cells, version: file.add(cells, version))


def change(line: int) -> Response:
    """Change the opening at that line."""
    return _write(line, lambda file, cells, version: file.change(line, cells, version))


def remove(line: int) -> Response:
    """Take out the opening at that line."""
    return _write(line, lambda file, _, version: file.remove(line, version))


def _write(line: int, step: Callable[[OpeningsFile, Mapping[str, str], str], None]) -> Response:
    """Change the file and note who did it; show what is wrong, with what was typed. Raises OpeningsChanged."""
    cells = {name: request.form.get(name, "")[: 2 * MAX_LINK_CHARS] for name in FILE_FORMAT.columns}
    try:
        step(_open_file(), cells, request.form.get("version", ""))
    except Problems as problems:
        return _render(WrongRow(line, cells, problems.problems))
    current_site().worker.operator_switches.note_openings(current_login().address)
    return redirect_to(url_for(".openings", said="openings"))


def _open_file() -> OpeningsFile:
    return OpeningsFile(current_site().settings.openings_file)
