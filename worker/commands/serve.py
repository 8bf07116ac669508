"""`longarc serve`: the pages alone, for a host that does nothing else; `longarc revoke`: older links open nothing."""

import click

from worker.clock import utcnow
from worker.commands.arguments import primary_address
from worker.commands.base import Command
from worker.commands.context import open_worker, settings
from worker.commands.run import stopping
from worker.commands.terminal import line
from worker.errors import LongarcError, UnknownName


@click.command("serve", cls=Command, short_help="The pages alone; `longarc run` serves them too, when base_url is set.")
def serve() -> None:
    """Serve the pages that mails link to, until it is stopped; what is decided there, `longarc run` carries out."""
    from worker.logs import set_up_logging

    with stopping() as stop, open_worker(seals=True) as worker:
        from worker.web.server import Serving

        set_up_logging(worker.settings.log.level, worker.settings.log.format)
        with Serving(worker) as pages:
            line(f"The pages of {pages.base_url} are served at port {pages.port}. Ctrl-C stops.")
            stop.wait()
    line("Stopped.")


@click.command("revoke", cls=Command, short_help="Make a person's links and open pages void.")
@click.argument("person", metavar="ADDRESS", required=False)
@click.option("--everybody", is_flag=True, help="Those of everybody.")
def revoke(person: str | None, everybody: bool) -> None:
    """Make every link that ADDRESS was given until now void, and every page that is open with one."""
    if everybody == bool(person):
        raise click.UsageError("Name a person, or say --everybody.")
    from worker.store.people import EVERYBODY

    with open_worker() as worker:
        who = EVERYBODY if person is None else primary_address(worker.store, person)
        if who not in (EVERYBODY, worker.settings.operator) and worker.store.people.person(who) is None:
            raise UnknownName(f"Nobody in the people file is {who}.")
        worker.store.people.revoke(who, utcnow())
    line(f"Links given to {'anybody' if everybody else who} until now open nothing any more.", "green")


def operators_link() -> str:
    """A fresh link to the operator's page. Raises LongarcError when there are no pages."""
    from worker.links import Pass, Purpose, links_of
    from worker.web.sessions import NOBODY

    found = settings()
    links = links_of(found.base_url, [key.get_secret_value() for key in found.keys])
    if links is None:
        raise LongarcError("Pages need `base_url` in the settings and LONGARC_KEY in the environment.")
    return links.url(Pass(who=found.operator or NOBODY, purpose=Purpose.STATUS, issued=utcnow()))
