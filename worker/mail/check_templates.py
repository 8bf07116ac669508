"""Checks a company's mail templates and catalogues, by reading the files and by rendering sample mails with them.

Overrides are the template files and catalogues in a company's folder, which replace our own.
"""

import re
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from babel.messages.pofile import PoFileError
from jinja2 import TemplateNotFound, TemplateSyntaxError

from worker.errors import Problem, Problems
from worker.i18n.language import GETTEXT_DOMAIN, load_translations, read_catalogue
from worker.mail.context import MailContext
from worker.mail.kinds import KINDS
from worker.mail.templates import PARTS

#: The largest template file, in bytes, and the longest rendered part, in characters.
MAX_SIZE = 1_000_000
#: A placeholder in a text to translate, such as `%(name)s`. It captures the name.
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
#: A valid line of a catalogue: blank, a comment, or a quoted string with or without a keyword, as in `msgid "Hello"`.
_CATALOGUE_LINE = re.compile(r'(#.*|((msgctxt|msgid|msgid_plural|msgstr(\[\d+\])?)\s+)?"([^"\\]|\\.)*")?')


def find_rendering_problems(
    render: Callable[[MailContext], EmailMessage],
    render_part: Callable[[MailContext, str], None],
    contexts: Iterable[MailContext],
) -> list[Problem]:
    """Return the problems of rendering these sample mails, without duplicates.

    `render` renders a whole mail, and `render_part` renders one of PARTS.
    """
    problems: dict[Problem, None] = {}  # a dict, because a set would lose the order
    for context in contexts:
        mail_problems = _try_rendering(context, partial(render, context))
        if mail_problems:  # each part is rendered alone, because the first part that fails hides problems of the others
            part_problems = [
                problem for name in PARTS for problem in _try_rendering(context, partial(render_part, context, name))
            ]
            # when every part can be rendered alone, the problem is of the mail as a whole, such as of a header
            problems |= dict.fromkeys(part_problems or mail_problems)
    return list(problems)


def find_changed_mails(overrides: Path) -> Collection[str]:
    """Return the names of the mails that the overrides may change.

    These are the mails with a folder in `overrides`. If the overrides contain anything else, such as a layout, a
    stylesheet or a catalogue, all mails may change.
    """
    names = {path.name for path in overrides.iterdir()}
    return names if names <= KINDS.keys() else KINDS


def _try_rendering(context: MailContext, render: Callable[[], object]) -> list[Problem]:
    """Return the problems that `render` raises; empty when it raises nothing."""
    try:
        render()
    except Problems as problems:
        return list(problems.problems)
    except Exception as error:  # a template may raise any exception
        return [_describe_error(context, error)]
    return []


def find_misplaced_files(overrides: Path) -> list[Problem]:
    """Return a problem for each template file that no mail uses, because no mail or part has its name."""
    if not overrides.is_dir():
        return [Problem(str(overrides), "is no folder.", "Create it, or leave the setting out.")]
    names = {f"{name}/{part}" for name in KINDS for part in PARTS}
    remedy = f"Name it <mail>/<part>, with a part of {', '.join(PARTS)}; a file that others include begins with `_`."
    return [
        Problem(str(path), "is used by no mail.", remedy)
        for path in sorted(overrides.rglob("*"))
        if _is_mail_part(path) and path.relative_to(overrides).as_posix() not in names
    ]


def _is_mail_part(path: Path) -> bool:
    """Return whether the file is meant as a part of a mail, perhaps with `.j2` forgotten at the end of its name."""
    return path.is_file() and not path.name.startswith("_") and (path.suffix == ".j2" or f"{path.name}.j2" in PARTS)


def find_unreadable_files(overrides: Path) -> list[Problem]:
    """Return a problem for each template, stylesheet or catalogue that can't be read as text."""
    paths = sorted(path for path in overrides.rglob("*") if path.suffix in (".j2", ".css", ".po"))
    return [problem for path in paths if (problem := _check_file(path))]


def _check_file(path: Path) -> Problem | None:
    if not path.is_file():  # a folder or a broken symbolic link, which rendering would skip silently
        return Problem(str(path), "is no file.", "Put the file itself there, or take this away: then ours is used.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        return Problem(
            str(path), f"can't be read: {error.strerror}.", "Give the worker's account the right to read it."
        )
    if len(content) > MAX_SIZE:
        return Problem(str(path), f"is larger than {MAX_SIZE:,} bytes.", "Keep what a mail needs.")
    number = _find_invalid_line(content)
    return Problem(f"{path}:{number}", "This line is not UTF-8.", "Save the file as UTF-8.") if number else None


def _find_invalid_line(content: bytes) -> int:
    """Return the number of the first line that is not UTF-8; 0 when all lines are."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content[: error.start].count(b"\n") + 1
    return 0


def find_broken_translations(overrides: Path) -> list[Problem]:
    """Return a problem for each invalid line of a catalogue and each translation whose placeholders are wrong."""
    remedy = "Keep each %(name)s as it stands in the English sentence, write %% for a per cent sign, close each quote."
    paths = sorted(path for path in overrides.glob(f"locale/*/LC_MESSAGES/{GETTEXT_DOMAIN}.po") if path.is_file())
    mistakes = [
        (path, number, mistake)
        for path in paths
        for number, mistake in (*_find_invalid_lines(path), *_find_wrong_placeholders(path))
    ]
    return [Problem(f"{path}:{number}", f"{mistake}.", remedy) for path, number, mistake in mistakes]


def _find_invalid_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each invalid line of a catalogue, and what is wrong with it."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not _CATALOGUE_LINE.fullmatch(line.strip()):
            yield number, "This is no line of a catalogue"


def _find_wrong_placeholders(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number of each translation with wrong placeholders, and what is wrong with it.

    If the catalogue can't be parsed, yield that instead.
    """
    try:
        load_translations(path)
        messages = [message for message in read_catalogue(path) if message.id]
    except PoFileError as error:
        # Babel counts lines from 0, and its message ends with that number
        yield error.lineno + 1, str(error).removesuffix(f" on {error.lineno}")
        return
    except (LookupError, ValueError) as error:  # an unknown charset, date or plural form in the header
        yield 1, f"The header can't be understood ({error}); write it as in ours"
        return
    for message in messages:
        # the id and the translation of a text with plural forms are several texts
        original = message.id if isinstance(message.id, str) else " ".join(message.id)
        values = dict.fromkeys(_PLACEHOLDER.findall(original), "")
        for text in [message.string] if isinstance(message.string, str) else message.string or ():
            try:
                text % values
            except (KeyError, TypeError, ValueError) as error:
                yield message.lineno or 0, f"The translation can't be filled in ({type(error).__name__}: {error})"


def _describe_error(context: MailContext, error: Exception) -> Problem:
    """Return the problem for an exception that a template raised, with its place in the template."""
    if isinstance(error, TemplateSyntaxError):
        return Problem(f"{error.filename}:{error.lineno}", f"{error.message}.", "Fix the template there.")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else context.name
    if isinstance(error, TemplateNotFound):
        return Problem(place, f"there is no template {error}.", "Check the name after `extends` or `include`.")
    if isinstance(error, RecursionError):
        return Problem(place, "This template includes or calls itself.", "Take out the include or the call.")
    if isinstance(error, OverflowError | MemoryError):
        return Problem(place, "This template makes a text too large for the memory.", "Shorten its loops.")
    text = f"{type(error).__name__}: {str(error).rstrip('.')}."
    return Problem(place, text, "Use only names that our own template of this mail uses.")
