"""`longarc serve`: the pages alone, for a host that does nothing else; `longarc revoke`: older links open nothing."""

import click

from worker.clock import utcnow
from worker.commands.arguments import find_primary_address
from worker.commands.base import Command
from worker.commands.context import load_settings, open_worker
from worker.commands.run import stop_on_signal
from worker.commands.terminal import print_line
from worker.errors import LongarcError, UnknownName


@click.command("serve", cls=Command, short_help="The pages alone; `longarc run` serves them too, when base_url is set.")
def serve() -> None:
    """Serve the pages that mails link to, until it is stopped; what is decided there, `longarc run` carries out."""
    from worker.logs import set_up_logging

    with stop_on_signal() as stop, open_worker(seals=True) as worker:
        from worker.web.server import PageServer

        set_up_logging(worker.settings.log.level, worker.settings.log.format)
        with PageServer(worker) as pages:
            print_line(f"The pages of {pages.base_url} are served at port {pages.port}. Ctrl-C stops.")
            stop.wait()
    print_line("Stopped.")


@click.command("revoke", cls=Command, short_help="Make a person's links and open pages void.")
@click.argument("person", metavar="ADDRESS", required=False)
@click.option("--everybody", is_flag=True, help="Those of everybody.")
def revoke(person: str | None, everybody: bool) -> None:
    """Make every link that ADDRESS was given until now void, and every page that is open with one."""
    if everybody == bool(person):
        raise click.UsageError("Name a person, or say --everybody.")
    from worker.store.people import EVERYBODY

    with open_worker() as worker:
        who = EVERYBODY if person is None else find_primary_address(worker.store, person)
        if who not in (EVERYBODY, worker.settings.operator) and worker.store.people.get_person(who) is None:
            raise UnknownName(f"Nobody in the people file is {who}.")
        worker.store.people.revoke_links(who, utcnow())
    print_line(f"Links given to {'anybody' if everybody else who} until now open nothing any more.", "green")


def make_operator_link() -> str:
    """A fresh link to the operator's page. Raises LongarcError when there are no pages."""
    from worker.links import LinkClaims, Purpose, make_link_signer
    from worker.web.sessions import UNNAMED_OPERATOR

    found = load_settings()
    links = make_link_signer(found.base_url, [key.get_secret_value() for key in found.keys])
    if links is None:
        raise LongarcError("Pages need `base_url` in the settings and LONGARC_KEY in the environment.")
    return links.build_url(
        LinkClaims(person=found.operator or UNNAMED_OPERATOR, purpose=Purpose.STATUS, issued_at=utcnow())
    )
