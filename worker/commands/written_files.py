"""The rule of which file a command may write where its user says: what Longarc uses is never written over."""

import os
from collections.abc import Callable
from pathlib import Path

from worker.commands.arguments import require_folder_of
from worker.commands.context import find_settings_path, load_settings
from worker.errors import LongarcError, Problems


def refuse_unsuitable_file(
    file: Path, kind: str, is_of_kind: Callable[[Path], bool], *, replaces: bool, other_way: str = ""
) -> None:
    """Raise LongarcError unless a command may write this file: a new one, or one of its own kind that it replaces.

    `kind` says what the command replaces, such as `a backup`; `is_of_kind` tells it of an existing file. `other_way`
    is what else can be done in place of naming another file.
    """
    require_folder_of(file)
    refuse_used_file(file)
    if not os.path.lexists(file):  # a link that leads nowhere exists
        return
    if not file.is_file():
        raise LongarcError(f"{file} is no regular file, so it can't be replaced. Name another file{other_way}.")
    if not replaces:
        raise LongarcError(f"{file} exists already. Name another file, or replace it with --force.")
    if not is_of_kind(file):
        raise LongarcError(f"{file} exists and is not {kind}. Name another file.")


def refuse_used_file(file: Path) -> None:
    """Raise LongarcError when the installation uses this file, or would take it for one of its database."""
    from worker.ops.machine_checks import list_database_files, list_used_paths
    from worker.settings.load import add_secret_files

    target, does_exist, settings_file = file.resolve(), os.path.lexists(file), find_settings_path()
    if does_exist and settings_file is not None and target == settings_file.resolve():
        raise _make_error(file)
    try:
        settings = load_settings()
    except Problems:
        if does_exist:  # nobody can tell whether it is in use
            raise
        return
    env = add_secret_files(settings_file, os.environ)
    used_paths = list_used_paths(settings, env) if does_exist else list_database_files(settings)
    if not {path.resolve() for path in used_paths}.isdisjoint({target, *target.parents}):
        raise _make_error(file)


def _make_error(file: Path) -> LongarcError:
    return LongarcError(f"Longarc itself uses {file}, so nothing else is written there. Name another file.")
