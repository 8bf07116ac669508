"""The names of the columns of the people file."""

REQUIRED_COLUMNS = ("email", "name", "manager", "time_zone", "country")
#: What a person or a pair may have, and only a people file tells.
WISH_COLUMNS = (
    *("calendar", "mail", "start", "every", "minutes", "format", "review"),
    *("transition_until", "prefer", "trust", "paused", "paused_until"),
)
OPTIONAL_COLUMNS = ("working_hours", "locale", *WISH_COLUMNS, "aliases", "directory_id", "group")
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
#: Columns that only the exports of HR systems have, each of which is turned into one of those above.
EXPORT_COLUMNS = ("first_name", "last_name", "manager_email", "manager_id", "location", "status", "hire_date")
