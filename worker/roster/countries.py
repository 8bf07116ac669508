"""Reads countries as directories write them: codes with two or three letters, subdivisions, and names."""

import re
from functools import cache, lru_cache

from babel import Locale
from babel.core import get_global

from worker.domain.time.worktime import is_known_country
from worker.settings.parsers import InvalidValue, find_nearest, shorten_value

#: The languages in which a country's name is recognized.
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "hu", "ro", "tr")
#: Names that CLDR does not list, with their codes.
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
#: Names of countries that are also names of states of the USA.
_STATE_NAMES = frozenset({"georgia"})
_MAX_CODE_LENGTH = 3  #: letters of a country's code
#: How similar the name of a country must be to be suggested, from 0 to 1.
_MIN_SIMILARITY = 0.75
#: What may follow a name: `Germany (DE)`.
_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")


@lru_cache(maxsize=1024)
def parse_country_name(text: str) -> str:
    """Return the code of the country or subdivision in `text`. Raises InvalidValue when the text is no country, or when
    the public holidays of the country are not known."""
    country = _find_code(text) or _find_code(_BRACKETS.sub("", text))
    if country is None:
        fault = f"`{shorten_value(text)}` is not a country whose holidays are known."
        raise InvalidValue(fault, lambda: _build_remedy(text))
    if not is_known_country(country):
        fault = f"`{shorten_value(text)}` is a country whose holidays are not known."
        raise InvalidValue(fault, "Write the code of a country that has the same holidays.")
    return country


@lru_cache(maxsize=1024)
def _build_remedy(text: str) -> str:
    suggestion = find_nearest(text, Locale("en").territories.values(), _MIN_SIMILARITY)
    return f"Did you mean `{suggestion}`?" if suggestion else "Write a code: `DE`, or `DE-BY`."


@lru_cache(maxsize=1024)
def find_country_of_place(text: str) -> str:
    """Return the code of the country of a location such as `Germany` or `Berlin, Germany`; empty when the location does
    not contain the name of a country whose holidays are known.

    After a comma, codes and `Georgia` are ignored: `CA`, `DE` and `Georgia` are also states of the USA. A city alone
    does not determine a country.
    """
    _, comma, last_part = (part.strip() for part in text.rpartition(","))
    if comma and (len(last_part) <= _MAX_CODE_LENGTH or last_part.casefold() in _STATE_NAMES):
        return ""
    country = _find_code(last_part)
    return country if country and is_known_country(country) else ""


def _find_code(text: str) -> str | None:
    """Return the code of the country or subdivision in `text`, even when its holidays are not known; None when the text
    is no country."""
    country, _, subdivision = text.upper().partition("-")
    aliases = get_global("territory_aliases").get(country, []) if re.fullmatch("[A-Z]{2,3}", country) else []
    country = str(aliases[0]) if len(aliases) == 1 else country  # `DEU` becomes `DE`, `UK` becomes `GB`
    code = f"{country}-{subdivision}" if subdivision else country
    if is_known_country(code):
        return code
    name = " ".join(text.casefold().split())
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    return next((names[name] for language in _LANGUAGES if name in (names := _list_names(language))), None)


@cache
def _list_names(language: str) -> dict[str, str]:
    """Return the codes of countries by their names in a language, case-folded."""
    territories = Locale(language).territories.items()
    return {name.casefold(): code for code, name in territories if re.fullmatch("[A-Z]{2}", code)}
