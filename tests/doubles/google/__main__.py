"""Start the double of Google with some people, and print the settings that lead to it."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from tests.doubles.google.server import Google
from tests.doubles.routes import add_routes
from worker.embedded import get_mailbox_path
from worker.providers import maildir
from worker.providers.google.auth import (
    DIRECTORY_READ_SCOPE,
    EVENTS_READ_SCOPE,
    GMAIL_SEND_SCOPE,
    OWNED_EVENTS_SCOPE,
)

#: The administrator's account, which may read the directory.
ADMIN = "longarc-directory@corp.example"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.google", description=__doc__)
    parser.add_argument("people", nargs="*", metavar="ADDRESS[=ZONE]", help="who has a calendar, and in which zone")
    parser.add_argument("--manager", action="append", default=[], metavar="ADDRESS=MANAGER", help="who manages whom")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument(
        "--key", type=Path, default=Path("google-key.json"), help="where to put the service account's key"
    )
    parser.add_argument("--mail", type=Path, default=Path("google-mail"), help="where to put mails, a Maildir each")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="how long each answer takes")
    add_routes(parser)
    options = parser.parse_args()
    with Google(options.port, delay=options.delay) as google:
        managers = dict(pair.lower().split("=") for pair in options.manager)
        google.users.add(ADMIN, "Longarc Directory", isGuestUser=True)  # the roster leaves guests out
        google.users.admins.add(ADMIN)
        for person in options.people:
            address, _, zone = person.partition("=")
            google.calendars.add_person(address.lower(), zone or "UTC")
            google.users.add(address.lower(), manager=managers.get(address.lower(), ""))
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, DIRECTORY_READ_SCOPE}
        google.calendars.channels.routes = dict(options.route)
        google.gmail.deliver = make_delivery(options.mail)
        options.key.touch(mode=0o600)
        options.key.write_text(json.dumps(google.tokens.add_service_account(), indent=1))
        print(format_settings(google, options.key), flush=True)  # noqa: T201
        try:
            google.wait()
        except KeyboardInterrupt:
            print("stopped")  # noqa: T201


def make_delivery(folder: Path) -> Callable[[str, bytes], None]:
    """Return a function that delivers a mail to the recipient's Maildir in that folder."""

    def deliver(to: str, content: bytes) -> None:
        maildir.write_message(get_mailbox_path(folder, to), content)

    return deliver


def format_settings(google: Google, key: Path) -> str:
    """The sections of longarc.toml by which Longarc uses this double."""
    lines = ["[roster.google]", f'admin = "{ADMIN}"', f'endpoint = "{google.url}/"', ""]
    for name, endpoint in (("calendars", f"{google.url}/calendar/v3/"), ("mailers", f"{google.url}/")):
        lines += [
            f"[{name}.google]",
            f'service_account = "{key.absolute()}"',
            f'endpoint = "{endpoint}"',
            f'token_endpoint = "{google.url}/token"',
            f'auth_endpoint = "{google.url}/o/oauth2/v2/auth"',
            "",
        ]
    client, secret = google.tokens.client
    lines.append(
        f'# For `longarc connect google` instead: client_id = "{client}", LONGARC_GOOGLE_CLIENT_SECRET={secret}'
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
