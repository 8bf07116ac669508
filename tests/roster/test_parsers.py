"""The forms in which directories write zones, countries, names and dates are read; ambiguous values are refused."""

from datetime import date

import pytest

from worker.roster.countries import find_country_of_place, parse_country_name
from worker.roster.parsers import fold_name, parse_day, parse_mailbox, parse_person_name
from worker.roster.time_zones import parse_zone_name
from worker.settings.parsers import InvalidValue


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("w. europe standard time", "Europe/Berlin"),
        ("(UTC+01:00) Berlin", "Europe/Berlin"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", "Asia/Kolkata"),
        ("(UTC) Coordinated Universal Time", "UTC"),
        ("(GMT+10:00) Sydney", "Australia/Sydney"),
        ("GMT+01:00 Central European Time (Berlin)", "Europe/Berlin"),
        ("UTC 1 Berlin", "Europe/Berlin"),
        ("(GMT 5:30) Kolkata", "Asia/Kolkata"),
        ("(UTC\u221205:00) New York", "America/New_York"),
        ("New York", "America/New_York"),
        ("Pacific Time", "America/Los_Angeles"),
    ],
)
def test_zone_names_of_windows_and_hr_systems_are_read(text: str, zone: str) -> None:
    assert parse_zone_name(text) == zone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("UTC+01:00", "is an offset: it does not tell when clocks change"),
        ("(UTC+09:00) Berlin", "is not a time zone"),
        ("IST", "is not a time zone"),
        ("Indiana", "is not a time zone"),
        ("../../etc/passwd", "is not a time zone"),
    ],
)
def test_an_offset_or_an_ambiguous_zone_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        parse_zone_name(text)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        *(("DE", "DE"), ("de-be", "DE-BE"), ("DEU", "DE"), ("UK", "GB"), ("USA", "US"), ("GBR", "GB")),
        *(("Germany", "DE"), ("Deutschland", "DE"), ("Allemagne", "DE"), ("ÖSTERREICH", "AT"), ("Great Britain", "GB")),
        *(("United States of America", "US"), ("Czech Republic", "CZ"), ("Scotland", "GB-SCT"), ("Germany (DE)", "DE")),
    ],
)
def test_codes_and_names_of_countries_are_read(text: str, country: str) -> None:
    assert parse_country_name(text) == country


@pytest.mark.parametrize("text", ["XX", "DE-XX", "Atlantis", "Korea", ""])
def test_an_unknown_or_ambiguous_country_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_country_name(text)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        *(("Germany", "DE"), ("Berlin, Germany", "DE"), ("Paris, France", "FR"), ("UK", "GB"), ("Berlin", "")),
        *(("San Francisco, CA", ""), ("Wilmington, DE", ""), ("Atlanta, Georgia", ""), ("Remote", ""), ("", "")),
    ],
)
def test_a_location_gives_a_country_only_if_it_names_one(text: str, country: str) -> None:
    assert find_country_of_place(text) == country


@pytest.mark.parametrize(
    "text", ["2026-09-01", "1.9.2026", "01.09.2026", "1 Sep 2026", "01-Sep-2026", "Sep 1, 2026", "2026-09-01T00:00:00Z"]
)
def test_unambiguous_forms_of_a_date_are_read(text: str) -> None:
    assert parse_day(text) == date(2026, 9, 1)


def test_a_date_with_slashes_is_read_if_only_one_order_is_possible() -> None:
    assert parse_day("15/09/2026") == parse_day("9/15/2026") == date(2026, 9, 15)
    assert parse_day("05/05/2026") == date(2026, 5, 5)


@pytest.mark.parametrize("text", ["01/09/2026", "9-1-2026", "31/31/2026", "1.9.26", "20260901", "31.2.2026", "soon"])
def test_an_impossible_or_ambiguous_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_day(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Doe, Ann", "Ann Doe"),
        ("van Dyke, Ann  Marie", "Ann Marie van Dyke"),
        ("Doe, Ann (On Leave)", "Ann Doe"),
        ("Baker, Jr.", "Baker, Jr."),
        ("Doe, Ann, PhD", "Doe, Ann, PhD"),
        ("Ann Doe", "Ann Doe"),
    ],
)
def test_a_name_with_the_last_name_first_is_turned_around(text: str, name: str) -> None:
    assert parse_person_name(text) == name


def test_folded_names_are_equal_in_any_order_case_and_unicode_form() -> None:
    assert fold_name("DOE,  Ann") == fold_name("Ann Doe") == fold_name("ann doe (on leave)")
    assert fold_name("Zoe\u0308 Groß") == fold_name("Zoë GROSS")


@pytest.mark.parametrize("text", ["Ann <A@x.org>", '"Doe, Ann" <a@x.org>', "mailto:a@x.org", " a@x.org"])
def test_an_address_is_read_after_a_name_or_mailto(text: str) -> None:
    assert parse_mailbox(text) == "a@x.org"
