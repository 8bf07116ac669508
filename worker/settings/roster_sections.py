"""The section `[roster]` of the settings: the source from which people are read."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, PlainValidator

from worker.domain.model import NO_CALENDAR, Address
from worker.settings.parsers import (
    InvalidValue,
    find_nearest,
    make_choice_parser,
    parse_address,
    parse_country,
    parse_zone,
    shorten_value,
)
from worker.settings.people_columns import COLUMNS, HR_EXPORT_COLUMNS
from worker.settings.sections import (
    CalendarSettings,
    MailerSettings,
    PathText,
    Section,
    Text,
    validate_duration,
    validate_optional_text,
    validate_text,
)
from worker.settings.url_parsers import parse_folder_url

#: The source that is the people file alone, without a directory.
FILE_SOURCE = "file"
SOURCES = (FILE_SOURCE, "google", "outlook", "scim")

_CALENDARS = (*CalendarSettings.model_fields, NO_CALENDAR)
#: The columns that may have another name in the people file (the setting `columns`).
_MAPPED_COLUMNS = (*COLUMNS, *HR_EXPORT_COLUMNS)


def _parse_columns(value: object) -> dict[str, str]:
    """Return a mapping from our names of columns to their names in the people file. Raises InvalidValue."""
    if not isinstance(value, dict) or not all(isinstance(name, str) and name.strip() for name in value.values()):
        raise InvalidValue(
            "This is not a list of columns.", 'Write our name and the name in the file: `{group = "Cost center"}`.'
        )
    for column in value:
        if column not in _MAPPED_COLUMNS:
            suggestion = find_nearest(column, _MAPPED_COLUMNS)
            remedy = f"Did you mean `{suggestion}`?" if suggestion else f"Write one of {', '.join(_MAPPED_COLUMNS)}."
            raise InvalidValue(f"`{shorten_value(column)}` is not a column of the people file.", remedy)
    return dict(value)


class GoogleRosterSettings(Section):
    """How people are read from Google Workspace.

    `admin` is the address of the administrator on whose behalf people are read. Without a `service_account`, the one
    in [calendars.google] is used.
    """

    admin: Annotated[Address, validate_optional_text(parse_address)] = ""
    service_account: PathText | None = None
    domain: Text = ""
    query: Text = ""
    endpoint: Annotated[str, validate_text(parse_folder_url)] = "https://admin.googleapis.com/"


class OutlookRosterSettings(Section):
    """How people are read from Microsoft Entra. The connection is that of [calendars.outlook]."""

    filter: Text = ""


class RosterSettings(Section):
    """The source from which people are read, and how.

    `every` is the time between two readings of a directory. `columns` maps our names of columns to their names in the
    people file. With `hire_date_is_start`, a report's hire date is the `start` of a pair that has none. `calendar`,
    `mail`, `country` and `time_zone` are the defaults for people for whom neither the directory nor the people file has
    a value.
    """

    source: Annotated[str, validate_text(make_choice_parser(SOURCES))] = FILE_SOURCE
    every: Annotated[timedelta, validate_duration("1 hour", "7 days")] = timedelta(days=1)
    calendar: Annotated[str, validate_optional_text(make_choice_parser(_CALENDARS))] = ""
    mail: Annotated[str, validate_text(make_choice_parser(tuple(MailerSettings.model_fields)))] = "smtp"
    country: Annotated[str, validate_optional_text(parse_country)] = ""
    time_zone: Annotated[str, validate_optional_text(parse_zone)] = ""
    hire_date_is_start: bool = False
    google: GoogleRosterSettings = GoogleRosterSettings()
    outlook: OutlookRosterSettings = OutlookRosterSettings()
    columns: Annotated[dict[str, str], PlainValidator(_parse_columns)] = Field(default_factory=dict)

    @property
    def default_calendar(self) -> str:
        """The calendar service of people for whom none is named: that of the setting, or else of the directory."""
        return self.calendar or (self.source if self.source in CalendarSettings.model_fields else "caldav")

    @property
    def has_directory(self) -> bool:
        """Whether people are read from a directory, and the people file only supplements them."""
        return self.source != FILE_SOURCE

    @property
    def is_pushed(self) -> bool:
        """Whether a directory pushes people by SCIM, so that no people are known before the first push."""
        return self.source == "scim"
