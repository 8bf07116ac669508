"""Reads countries as directories write them: codes with two or three letters, subdivisions, and names."""

import re
from functools import cache, lru_cache

from babel import Locale
from babel.core import get_global

from worker.domain.time.worktime import is_known_country
from worker.settings.parsers import InvalidValue, find_nearest, shorten_value

#: Languages in whose words a country may be named.
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "hu", "ro", "tr")
#: Names and codes that CLDR does not list.
_OTHER_NAMES = {
    "america": "US",
    "czech republic": "CZ",
    "england": "GB-ENG",
    "great britain": "GB",
    "großbritannien": "GB",
    "holland": "NL",
    "hong kong": "HK",
    "hongkong": "HK",
    "korea, republic of": "KR",
    "macau": "MO",
    "northern ireland": "GB-NIR",
    "republic of ireland": "IE",
    "republic of korea": "KR",
    "scotland": "GB-SCT",
    "slovak republic": "SK",
    "the netherlands": "NL",
    "tschechische republik": "CZ",
    "turkey": "TR",
    "u.k.": "GB",
    "u.s.": "US",
    "u.s.a.": "US",
    "uae": "AE",
    "united states of america": "US",
    "viet nam": "VN",
    "wales": "GB-WLS",
}
_STATE_NAMES = frozenset({"georgia"})
_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")


@lru_cache(maxsize=1024)
def parse_country_name(text: str) -> str:
    """Return the code of a country, or of its subdivision, whose public holidays are known. Raises InvalidValue."""
    country = _find_code(text) or _find_code(_BRACKETS.sub("", text))
    if country is None:
        what = f"`{shorten_value(text)}` is not a country whose holidays are known."
        raise InvalidValue(what, lambda: _build_remedy(text))
    if not is_known_country(country):
        what = f"`{shorten_value(text)}` is a country whose holidays are not known."
        raise InvalidValue(what, "Write the code of one that has the same holidays.")
    return country


@lru_cache(maxsize=1024)
def _build_remedy(text: str) -> str:
    suggestion = find_nearest(text, Locale("en").territories.values(), 0.75)
    return f"Did you mean `{suggestion}`?" if suggestion else "Write a code: `DE`, or `DE-BY`."


@lru_cache(maxsize=1024)
def find_country_of_place(text: str) -> str:
    """Return the country that a location is, or names at its end: `Berlin, Germany`; empty when it names none.

    A city names no country. Behind a comma only a name counts: `CA`, `DE` and `Georgia` are states of America too.
    """
    _, comma, last = (part.strip() for part in text.rpartition(","))
    if comma and (len(last) <= 3 or last.casefold() in _STATE_NAMES):
        return ""
    country = _find_code(last)
    return country if country and is_known_country(country) else ""


def _find_code(text: str) -> str | None:
    """Return the code that a text means, maybe of a country without known holidays; None when it is no country."""
    country, _, subdivision = text.upper().partition("-")
    aliases = get_global("territory_aliases").get(country, []) if re.fullmatch("[A-Z]{2,3}", country) else []
    country = str(aliases[0]) if len(aliases) == 1 else country  # `DEU`, `UK`
    code = f"{country}-{subdivision}" if subdivision else country
    if is_known_country(code):
        return code
    name = " ".join(text.casefold().split())
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    return next((names[name] for language in _LANGUAGES if name in (names := _list_names(language))), None)


@cache
def _list_names(language: str) -> dict[str, str]:
    """Return the codes of countries by their names in a language, in small letters."""
    territories = Locale(language).territories.items()
    return {name.casefold(): code for code, name in territories if re.fullmatch("[A-Z]{2}", code)}
