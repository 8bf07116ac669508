"""Start the double by itself, and print the settings with which Longarc reaches it."""

import argparse
import signal
import sys

from tests.doubles.graph import Double, make_section
from tests.doubles.routes import add_routes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.graph", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="where Graph answers; the log-in takes any free port")
    parser.add_argument("--person", action="append", default=[], metavar="ADDRESS[=ZONE]", help="who has a mailbox")
    parser.add_argument("--manager", action="append", default=[], metavar="ADDRESS=MANAGER", help="who manages whom")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each answer takes")
    add_routes(parser)
    options = parser.parse_args()
    with Double(options.port, delay=options.delay) as double:
        double.subscriptions.routes.update(options.route)
        people = [person.partition("=") for person in options.person]
        for address, _, zone in people:
            double.world.add_person(address, zone or "UTC")
        ids = {box.address: box.directory_id for box in double.world.mailboxes.values()}
        for address, _, manager in (pair.casefold().partition("=") for pair in options.manager):
            double.directory.set_manager(ids[address], ids[manager])
        double.login.consenting_person = people[0][0] if people else ""
        settings = make_section(double)
        double.login.applications[settings["client_id"]].rights += ("User.Read.All",)
        lines = [f'{name} = "{settings[name]}"' for name in ("endpoint", "authority", "tenant", "client_id", "ca_file")]
        secret = f"\n# in the environment: LONGARC_OUTLOOK_SECRET={settings['password']!r}"
        sys.stdout.write("\n".join(["[calendars.outlook]", *lines, secret, ""]))
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
