"""The words and dates of one language, and what plain text needs to be pleasant to read.

English is written in the sources. Other languages are gettext catalogues, `locale/<language>/LC_MESSAGES/longarc.po`,
read when first needed, so nothing has to be compiled. Dates follow the language of the words: a reader whose language
has no catalogue gets English throughout, never half a sentence of each.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from unicodedata import normalize
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval, format_time, get_timezone_location
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

GETTEXT_DOMAIN = "longarc"
LINE_WIDTH = 74
ENGLISH = Locale("en")

#: Typographic spaces that dates come with; a no-break space says the same and every mail program knows it.
_SPACES = {0x202F: "\u00a0", 0x2009: " "}
#: What nobody sees, though it turns other words around or hides a word from whoever looks for it. The joiners of emoji
#: and the marks that languages written from the right need are not among them.
_INVISIBLE = dict.fromkeys((0x200B, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 133), *range(134, 160)))
_BULLET = re.compile(r" *(?:- )?")
_GAPS = re.compile(r"\n{3,}")


def strip_invisible(text: str) -> str:
    """What a person wrote, as it looks: letters and their dots are one sign, and what comes along with a copied text
    though nobody sees it is left out."""
    return normalize("NFC", text.translate(_INVISIBLE))


def to_single_line(text: str) -> str:
    """What a person wrote, as one line: no breaks that could pass for structure, no control characters."""
    return " ".join(strip_invisible(text).translate(_CONTROL).split())


def wrap_text(text: str, width: int = LINE_WIDTH) -> str:
    """Plain text with long lines broken between words (lists hang), single blank lines, one line break at the end."""
    lines = (row if len(row) <= width else _wrap_line(row, width) for row in map(str.rstrip, text.splitlines()))
    return _GAPS.sub("\n\n", "\n".join(lines)).strip("\n").replace("\u00a0", " ") + "\n"


def _wrap_line(row: str, width: int) -> str:
    lead = _BULLET.match(row)
    indent = " " * (lead.end() if lead else 0)
    first, *words = row[len(indent) :].split(" ")
    lines, current = [], row[: len(indent)] + first
    for word in words:
        if len(current) + 1 + len(word) > width:
            lines.append(current)
            current = indent + word
        else:
            current += " " + word
    return "\n".join([*lines, current])


class Language:
    """One language: its sentences, dates and lists."""

    def __init__(self, locale: Locale, catalogue: NullTranslations) -> None:
        self.locale = locale
        self.tag = str(locale).replace("_", "-")
        self.direction = locale.text_direction
        self._load_catalogue = catalogue
        # Most dates of a day are asked for again and again; a bound keeps a long-lived worker small.
        self.day: Callable[[date, bool], str] = lru_cache(4096)(self._format_day)
        self.hour: Callable[[datetime, str], str] = lru_cache(4096)(self._format_hour)
        self.hours: Callable[[datetime, datetime, str], str] = lru_cache(4096)(self._format_hours)
        self.month: Callable[[date], str] = lru_cache(512)(self._format_month)
        self.city: Callable[[str], str] = lru_cache(512)(self._get_city_name)

    def gettext(self, message: str, /, **values: object) -> str:
        """The sentence in this language, its `%(name)s` filled in."""
        # No words at all would fetch the catalogue's own header.
        text = self._load_catalogue.gettext(message) if message else ""
        return text % values if values else text

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        """The sentence in the form that `count` asks for; `%(count)s` is filled in too."""
        return self.select_plural(one, many, count) % {"count": count, **values}

    def select_plural(self, one: str, many: str, count: int) -> str:
        """The form that `count` asks for, nothing filled in."""
        return self._load_catalogue.ngettext(one, many, count)

    @cached_property
    def _date_pattern(self) -> str:
        """The pattern of a date with its weekday, without the year, all written out."""
        found = self.locale.datetime_skeletons
        pattern = str((found.get("MMMMEd") or found["MMMEd"]).pattern)
        return re.sub(r"E+", "EEEE", re.sub(r"(?<!M)MMM(?!M)", "MMMM", pattern))

    def _format_day(self, when: date, year: bool) -> str:
        return _replace_spaces(format_date(when, "full" if year else self._date_pattern, locale=self.locale))

    def _format_hour(self, when: datetime, zone: str) -> str:
        return _replace_spaces(format_time(when, "short", tzinfo=ZoneInfo(zone), locale=self.locale))

    def _format_hours(self, start: datetime, end: datetime, zone: str) -> str:
        skeleton = "hm" if "a" in str(self.locale.time_formats["short"].pattern) else "Hm"
        return _replace_spaces(format_interval(start, end, skeleton, tzinfo=ZoneInfo(zone), locale=self.locale))

    def _format_month(self, first: date) -> str:
        return _replace_spaces(format_date(first, "MMMM y", locale=self.locale))

    def format_short_month(self, first: date) -> str:
        """The month alone, short: `Nov`."""
        return _replace_spaces(format_date(first, "LLL", locale=self.locale))

    def _get_city_name(self, zone: str) -> str:
        return get_timezone_location(ZoneInfo(zone), locale=self.locale, return_city=True)


def _replace_spaces(text: str) -> str:
    return text.translate(_SPACES)


class Languages:
    """The catalogues found in some folders; what stands in an earlier folder wins, sentence by sentence."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._known: dict[str, Language] = {}

    def list_tags(self) -> list[str]:
        """Every language there is, English first."""
        found = {
            path.parts[-3] for folder in self._folders for path in folder.glob(f"*/LC_MESSAGES/{GETTEXT_DOMAIN}.po")
        }
        return ["en", *sorted(found - {"en"})]

    def find_language(self, wish: str) -> Language:
        """The language nearest to the wish (`de-AT`: Austrian German, else German), else English."""
        if wish not in self._known:
            self._known[wish] = self._find_nearest(wish)
        return self._known[wish]

    def has_language(self, wish: str) -> bool:
        """Whether there are words in the language of that locale."""
        return self.find_language(wish).locale.language == re.split("[-_]", wish)[0].lower()

    def _find_nearest(self, wish: str) -> Language:
        try:
            locale = Locale.parse(wish.replace("-", "_"))
        except (ValueError, UnknownLocaleError):
            return self.find_language("en") if wish != "en" else Language(ENGLISH, NullTranslations())
        catalogue = self._load_catalogue(str(locale)) or self._load_catalogue(locale.language)
        if catalogue is None and locale.language != "en":
            return self.find_language("en")
        return Language(locale, catalogue or NullTranslations())

    def _load_catalogue(self, tag: str) -> NullTranslations | None:
        paths = [folder / tag / "LC_MESSAGES" / f"{GETTEXT_DOMAIN}.po" for folder in self._folders]
        found = [load_translations(path) for path in paths if path.is_file()]
        for other in found[1:]:
            found[0].add_fallback(other)
        return found[0] if found else None


def read_catalogue(path: Path) -> Catalog:
    """A catalogue as its author wrote it. Raises PoFileError."""
    with path.open("rb") as source:
        return read_po(source, locale=path.parts[-3], abort_invalid=True)


def load_translations(path: Path) -> GNUTranslations:
    """A catalogue ready to be asked; sentences marked fuzzy don't count. Raises PoFileError."""
    compiled = BytesIO()
    write_mo(compiled, read_catalogue(path))
    compiled.seek(0)
    return GNUTranslations(compiled)


def count_days_between(earlier: date, later: date) -> int:
    """Calendar days from one date to another; negative when `later` is the earlier one."""
    return (later - earlier) // timedelta(days=1)
