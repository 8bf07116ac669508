"""The names of the columns of the people file, and of the additional columns in exports of HR systems."""

REQUIRED_COLUMNS = ("email", "name", "manager", "time_zone", "country")
#: The columns for the wishes of people and pairs, which only the people file has. The groups `*(…)` have no meaning:
#: without them the formatter would write each name on a line of its own.
WISH_COLUMNS = (
    *("calendar", "mail", "start", "every", "minutes", "format", "review"),
    *("transition_until", "prefer", "trust", "paused", "paused_until"),
)
OPTIONAL_COLUMNS = ("working_hours", "locale", *WISH_COLUMNS, "aliases", "directory_id", "group")
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
#: Columns that only exports of HR systems have. Each is converted into one of the columns above.
HR_EXPORT_COLUMNS = ("first_name", "last_name", "manager_email", "manager_id", "location", "status", "hire_date")
