"""Translates texts and formats dates for a language, and cleans and wraps plain text.

English texts are in the source code. Every other language has a gettext catalogue, which is read from
`locale/<tag>/LC_MESSAGES/longarc.po` when it is first needed and need not be compiled. Dates are in the language of the
texts: a reader whose language has no catalogue gets both in English.
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
from babel.dates import format_date, format_interval, format_skeleton, format_time, get_timezone_location
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

GETTEXT_DOMAIN = "longarc"
#: The width of plain-text mails, in characters.
LINE_WIDTH = 74

#: Replacements for typographic spaces in Babel's dates, which not every mail program can show.
_SPACES = {0x202F: "\u00a0", 0x2009: " "}
#: Invisible characters that can reverse the text around them, or hide a word from a search. The joiners in emoji and
#: the marks that right-to-left languages need are not included.
_INVISIBLE = dict.fromkeys((0x200B, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
#: Control characters other than tabs (9) and line breaks (10, 13 and 133).
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 133), *range(134, 160)))
#: The indentation and the bullet of a list item, if the line has them.
_BULLET = re.compile(r" *(?:- )?")
_EXTRA_BLANK_LINES = re.compile(r"\n{3,}")


def strip_invisible(text: str) -> str:
    """Return the text in the Unicode form NFC, without invisible characters."""
    return text if text.isascii() else normalize("NFC", text.translate(_INVISIBLE))


def has_visible_text(text: str) -> bool:
    """Return whether the text has a character that a reader can see."""
    return any(not character.isspace() and ord(character) not in _INVISIBLE for character in text)


def to_single_line(text: str) -> str:
    """Return the text on one line, without control and invisible characters."""
    visible = strip_invisible(text)
    return " ".join((visible if visible.isprintable() else visible.translate(_CONTROL)).split())


def wrap_text(text: str, width: int = LINE_WIDTH) -> str:
    """Return the text with long lines wrapped, at most one blank line in a row, and one line break at the end.

    The continuation lines of a list item are indented.
    """
    lines = (line if len(line) <= width else _wrap_line(line, width) for line in map(str.rstrip, text.splitlines()))
    return _EXTRA_BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n").replace("\u00a0", " ") + "\n"


def _wrap_line(line: str, width: int) -> str:
    """Return the line broken into lines of at most `width` characters, with the indent of a list item."""
    bullet = _BULLET.match(line)
    indent = " " * (bullet.end() if bullet else 0)
    first, *words = line[len(indent) :].split(" ")
    lines, current = [], line[: len(indent)] + first
    for word in words:
        if len(current) + 1 + len(word) > width:
            lines.append(current)
            current = indent + word
        else:
            current += " " + word
    return "\n".join([*lines, current])


class Language:
    """One language: its translations and its formats of dates and times."""

    def __init__(self, locale: Locale, catalogue: NullTranslations) -> None:
        self.locale = locale
        self.tag = str(locale).replace("_", "-")
        self.direction = locale.text_direction
        self._catalogue = catalogue
        # Cached because the same dates are formatted often. The sizes limit the memory of a long-running worker.
        self._format_day: Callable[[date, bool], str] = lru_cache(4096)(self._compute_day)
        self._format_time: Callable[[datetime, str], str] = lru_cache(4096)(self._compute_time)
        self._format_time_range: Callable[[datetime, datetime, str], str] = lru_cache(4096)(self._compute_time_range)
        self._format_month: Callable[[date], str] = lru_cache(512)(self._compute_month)
        self._find_city_name: Callable[[str], str] = lru_cache(512)(self._compute_city_name)

    def gettext(self, message: str, /, **values: object) -> str:
        """Return the translated message with its placeholders filled in; an empty message stays empty."""
        # A catalogue contains its header as the translation of the empty message.
        text = self._catalogue.gettext(message) if message else ""
        return text % values if values else text

    def ngettext(self, singular: str, plural: str, count: int, /, **values: object) -> str:
        """Return the translated message in the plural form for `count`, with all placeholders filled in."""
        return self.select_plural(singular, plural, count) % {"count": count, **values}

    def select_plural(self, singular: str, plural: str, count: int) -> str:
        """Return the translated plural form for `count`, with its placeholders."""
        return self._catalogue.ngettext(singular, plural, count)

    @cached_property
    def _date_pattern(self) -> str:
        """The CLDR pattern of a date without the year, with weekday and month written out."""
        # a locale may only have a pattern with abbreviations, such as `EEE, MMM d`: each is replaced by the full form
        skeletons = self.locale.datetime_skeletons
        pattern = str((skeletons.get("MMMMEd") or skeletons["MMMEd"]).pattern)
        return re.sub(r"E+", "EEEE", re.sub(r"(?<!M)MMM(?!M)", "MMMM", pattern))

    def format_day(self, day: date, *, with_year: bool) -> str:
        """Return the date with its weekday: `Tuesday, September 22`, or `Tuesday, September 22, 2026`."""
        return self._format_day(day, with_year)

    def format_time(self, instant: datetime, zone: str) -> str:
        """Return the time of day at that instant in the zone: `3:00 PM`."""
        return self._format_time(instant, zone)

    def format_time_range(self, start: datetime, end: datetime, zone: str) -> str:
        """Return the times of day at which a span starts and ends in the zone: `3:00 - 4:15 PM`."""
        return self._format_time_range(start, end, zone)

    def format_month(self, day: date) -> str:
        """Return the month and the year of the date: `September 2026`."""
        return self._format_month(day)

    def get_city_name(self, zone: str) -> str:
        """Return the name of the city that stands for the zone: `New York` for `America/New_York`."""
        return self._find_city_name(zone)

    def _compute_day(self, day: date, with_year: bool) -> str:
        return _replace_spaces(format_date(day, "full" if with_year else self._date_pattern, locale=self.locale))

    def _compute_time(self, instant: datetime, zone: str) -> str:
        return _replace_spaces(format_time(instant, "short", tzinfo=ZoneInfo(zone), locale=self.locale))

    def _compute_time_range(self, start: datetime, end: datetime, zone: str) -> str:
        has_am_pm = "a" in str(self.locale.time_formats["short"].pattern)
        skeleton = "hm" if has_am_pm else "Hm"
        return _replace_spaces(format_interval(start, end, skeleton, tzinfo=ZoneInfo(zone), locale=self.locale))

    def _compute_month(self, day: date) -> str:
        return _replace_spaces(format_date(day, "MMMM y", locale=self.locale))

    def format_short_day_with_year(self, day: date) -> str:
        """Return the date in a short form with the year: `Sep 22, 2026`."""
        return _replace_spaces(format_date(day, "medium", locale=self.locale))

    def format_short_day(self, day: date, *, has_weekday: bool = True) -> str:
        """Return the date without the year, with abbreviated weekday and month: `Tue, Sep 22`, or `Sep 22`."""
        return _replace_spaces(format_skeleton("MMMEd" if has_weekday else "MMMd", day, locale=self.locale))

    def format_short_month(self, day: date) -> str:
        """Return the abbreviated name of the month: `Nov`."""
        return _replace_spaces(format_date(day, "LLL", locale=self.locale))

    def _compute_city_name(self, zone: str) -> str:
        return get_timezone_location(ZoneInfo(zone), locale=self.locale, return_city=True)


def _replace_spaces(text: str) -> str:
    return text.translate(_SPACES)


class Languages:
    """The languages that have a catalogue in one of the folders. The first folder with a message translates it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._loaded: dict[str, Language] = {}

    def list_tags(self) -> list[str]:
        """Return the tags of all languages, English first."""
        tags = {
            path.parts[-3] for folder in self._folders for path in folder.glob(f"*/LC_MESSAGES/{GETTEXT_DOMAIN}.po")
        }
        return ["en", *sorted(tags - {"en"})]

    def find_language(self, locale: str) -> Language:
        """Return the language that fits the locale best. For `de-AT`: Austrian German, else German, else English."""
        if locale not in self._loaded:
            self._loaded[locale] = self._find_nearest(locale)
        return self._loaded[locale]

    def has_language(self, locale: str) -> bool:
        """Return whether texts exist in the language of the locale: it is English, or has a catalogue."""
        return self.find_language(locale).locale.language == re.split("[-_]", locale)[0].lower()

    def _find_nearest(self, locale: str) -> Language:
        try:
            babel_locale = Locale.parse(locale.replace("-", "_"))
        except (ValueError, UnknownLocaleError):
            return self.find_language("en")
        catalogue = self._load_catalogue(str(babel_locale)) or self._load_catalogue(babel_locale.language)
        if catalogue is None and babel_locale.language != "en":
            return self.find_language("en")
        return Language(babel_locale, catalogue or NullTranslations())

    def _load_catalogue(self, tag: str) -> NullTranslations | None:
        paths = [folder / tag / "LC_MESSAGES" / f"{GETTEXT_DOMAIN}.po" for folder in self._folders]
        catalogues = [load_translations(path) for path in paths if path.is_file()]
        for fallback in catalogues[1:]:
            catalogues[0].add_fallback(fallback)
        return catalogues[0] if catalogues else None


def read_catalogue(path: Path) -> Catalog:
    """Return the catalogue with all its entries, including fuzzy ones. Raises PoFileError."""
    with path.open("rb") as source:
        return read_po(source, locale=path.parts[-3], abort_invalid=True)


def load_translations(path: Path) -> GNUTranslations:
    """Return the translations of the catalogue, without those marked as fuzzy. Raises PoFileError."""
    compiled = BytesIO()
    write_mo(compiled, read_catalogue(path))
    compiled.seek(0)
    return GNUTranslations(compiled)


def count_days_between(earlier: date, later: date) -> int:
    """Return the number of days from `earlier` to `later`. It is negative when `later` is before `earlier`."""
    return (later - earlier) // timedelta(days=1)
