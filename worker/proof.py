"""Reads the proofs: finds what is wrong with templates and catalogues before a mail depends on them."""

import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from email.message import EmailMessage
from pathlib import Path

from babel.messages.pofile import PoFileError
from jinja2 import TemplateNotFound, TemplateSyntaxError

from worker.errors import Problem, Problems
from worker.letters import MESSAGES, Letter
from worker.samples import letters
from worker.templates import PARTS
from worker.words import DOMAIN, catalogue

_NAME = re.compile(r"%\((\w+)\)s")
#: A comment, or a string in quotes, with or without its keyword.
_ROW = re.compile(r'(#.*|((msgctxt|msgid|msgid_plural|msgstr(\[\d+\])?)\s+)?"([^"\\]|\\.)*")?')


def mistakes(render: Callable[[Letter], EmailMessage], languages: Iterable[str]) -> list[Problem]:
    """What goes wrong when every sample letter is rendered in each of the languages; each thing once."""
    found: dict[Problem, None] = {}
    for language in languages:
        for letter in letters(language):
            try:
                render(letter)
            except Problems as problems:
                found |= dict.fromkeys(problems.problems)
            except Exception as error:  # a template may fail in any way; here it becomes words
                found[_mistake(letter, error)] = None
    return list(found)


def misplaced(overrides: Path) -> list[Problem]:
    """Files that nobody will ever read, because no message is called that."""
    if not overrides.is_dir():
        return [Problem(str(overrides), "is no folder.", "Make it, or leave the setting out.")]
    known = {f"{name}/{part}" for name in MESSAGES for part in PARTS}
    remedy = f"Name it <message>/<part>, with a part of {', '.join(PARTS)}; a piece of your own begins with `_`."
    return [
        Problem(str(path), "is used by no mail.", remedy)
        for path in sorted(overrides.rglob("*"))
        if _meant_for_a_mail(path) and path.relative_to(overrides).as_posix() not in known
    ]


def _meant_for_a_mail(path: Path) -> bool:
    """A template, or a part whose ending was forgotten; pieces of the company's own aside."""
    return path.is_file() and not path.name.startswith("_") and (path.suffix == ".j2" or f"{path.name}.j2" in PARTS)


def misspelt(overrides: Path) -> list[Problem]:
    """Lines that are no UTF-8, in anything that is read."""
    paths = (path for path in sorted(overrides.rglob("*")) if path.suffix in (".j2", ".css", ".po") and path.is_file())
    found = ((path, _not_text(path.read_bytes())) for path in paths)
    return [
        Problem(f"{path}:{number}", "This line is not UTF-8.", "Save the file as UTF-8.")
        for path, number in found
        if number
    ]


def _not_text(content: bytes) -> int:
    """The first line that is no UTF-8; 0 when all are."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content[: error.start].count(b"\n") + 1
    return 0


def untranslated(overrides: Path) -> list[Problem]:
    """Lines of catalogues that can't be read, and translations that can't be filled in as the sentence is."""
    remedy = "Keep each %(name)s as it stands in the English sentence, write %% for a per cent sign, close each quote."
    paths = sorted(path for path in overrides.glob(f"locale/*/LC_MESSAGES/{DOMAIN}.po") if path.is_file())
    found = [(path, number, what) for path in paths for number, what in (*_unreadable(path), *_unfillable(path))]
    return [Problem(f"{path}:{number}", f"{what}.", remedy) for path, number, what in found]


def _unreadable(path: Path) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not _ROW.fullmatch(row.strip()):
            yield number, "This is no line of a catalogue"


def _unfillable(path: Path) -> Iterator[tuple[int, str]]:
    try:
        messages = [message for message in catalogue(path) if message.id]
    except PoFileError as error:
        yield error.lineno + 1, str(error)
        return
    for message in messages:
        ours = message.id if isinstance(message.id, str) else " ".join(message.id)
        values = dict.fromkeys(_NAME.findall(ours), "")
        for text in [message.string] if isinstance(message.string, str) else message.string or ():
            try:
                text % values
            except (KeyError, TypeError, ValueError) as error:
                yield message.lineno or 0, f"The translation can't be filled in ({type(error).__name__}: {error})"


def _mistake(letter: Letter, error: Exception) -> Problem:
    if isinstance(error, TemplateSyntaxError):
        return Problem(f"{error.filename}:{error.lineno}", f"{error.message}", "Mend the template there.")
    if isinstance(error, TemplateNotFound):
        return Problem(letter.name, f"there is no template {error}.", "Check the name after `extends` or `include`.")
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.endswith(".j2")]
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else letter.name
    return Problem(
        where, f"{type(error).__name__}: {error}.", "Use only names that our own template of this mail uses."
    )
