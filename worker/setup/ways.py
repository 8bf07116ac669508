"""The ways in which an installation can reach calendars and mail: which services it uses, and who grants access."""

from enum import StrEnum


class Way(StrEnum):
    """How an installation reaches calendars and sends mail."""

    GOOGLE_DOMAIN = "google-domain"
    GOOGLE_ACCOUNT = "google-account"
    MICROSOFT_APP = "microsoft-app"
    MICROSOFT_ACCOUNT = "microsoft-account"
    CALDAV = "caldav"
    EMBEDDED = "embedded"

    @property
    def calendar(self) -> str:
        """The name of the calendar service in the settings."""
        return _SERVICES[self][0]

    @property
    def mail(self) -> str:
        """The name of the mail service in the settings."""
        return _SERVICES[self][1]

    @property
    def has_directory(self) -> bool:
        """Whether people can be read from a directory, which the settings call by the name of the calendar service."""
        return self in (Way.GOOGLE_DOMAIN, Way.MICROSOFT_APP)

    @property
    def is_one_account(self) -> bool:
        """Whether a single manager signs in, instead of an administrator who grants access to everybody's calendar."""
        return self in (Way.GOOGLE_ACCOUNT, Way.MICROSOFT_ACCOUNT)


#: The calendar service and the mail service of each way.
_SERVICES = {
    Way.GOOGLE_DOMAIN: ("google", "google"),
    Way.GOOGLE_ACCOUNT: ("google", "google"),
    Way.MICROSOFT_APP: ("outlook", "outlook"),
    Way.MICROSOFT_ACCOUNT: ("outlook", "outlook"),
    Way.CALDAV: ("caldav", "smtp"),
    Way.EMBEDDED: ("caldav", "smtp"),
}

#: What each way is for, as the question shows it.
DESCRIPTIONS = {
    Way.GOOGLE_DOMAIN: "Google Workspace: an administrator grants access",
    Way.GOOGLE_ACCOUNT: "Google: managers connect their own accounts",
    Way.MICROSOFT_APP: "Microsoft 365: an administrator registers an app",
    Way.MICROSOFT_ACCOUNT: "Microsoft 365: one manager signs in",
    Way.CALDAV: "a CalDAV server, and an SMTP server for mail",
    Way.EMBEDDED: "nothing yet: try it with servers on this machine",
}
