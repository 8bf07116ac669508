"""`longarc serve` serves only the pages. `longarc revoke` makes links that were sent in mails void."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import click

from worker import __version__
from worker.clock import utcnow
from worker.commands.arguments import find_primary_address
from worker.commands.base import Command
from worker.commands.context import load_settings, open_worker
from worker.commands.run import export_settings_path, serve_metrics, stop_on_signal
from worker.commands.terminal import print_line
from worker.errors import LongarcError, UnknownName
from worker.logs import Action

log = logging.getLogger(__name__)


@click.command("serve", cls=Command, short_help="Serve only the pages. `longarc run` serves them too.")
def serve() -> None:
    """Serve the pages that mails link to, until it is stopped. `longarc run` carries out what people choose there."""
    from worker.logs import set_up_logging

    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signal())
        worker = stack.enter_context(open_worker(needs_encryption_key=True))
        from worker.web.server import PageServer

        set_up_logging(worker.settings.log.level, worker.settings.log.format)
        worker.schedule_sync = _load_sync_starter()  # called when a calendar service notifies us of a change
        if worker.settings.metrics.listen:
            serve_metrics(worker, stack)
        with PageServer(worker) as pages:
            print_line(f"The pages of {pages.base_url} are served at port {pages.port}. Ctrl-C stops.")
            log.info("longarc serve %s has started", __version__, extra={"action": Action.RUN_STARTED})
            stop.wait()
    log.info("longarc serve has stopped", extra={"action": Action.RUN_STOPPED})
    print_line("Stopped.")


def _load_sync_starter() -> Callable[[timedelta], None]:
    """Return a function that puts a sync into the queue, from which `longarc run` takes it.

    The argument of the function is the delay after which the sync is due.
    """
    export_settings_path()
    from worker import tasks

    return tasks.start_sync


@click.command("revoke", cls=Command, short_help="Make the links of a person void.")
@click.argument("person", metavar="ADDRESS", required=False)
@click.option("--everybody", is_flag=True, help="The links of everybody.")
def revoke(person: str | None, everybody: bool) -> None:
    """Make every link void that ADDRESS has received so far, and sign out every browser that used such a link."""
    if everybody == bool(person):  # both or neither
        raise click.UsageError("Give the address of a person, or --everybody.")
    from worker.store.people import EVERYBODY

    with open_worker() as worker:
        address = EVERYBODY if person is None else find_primary_address(worker.store, person)
        section = worker.settings.sign_in
        addresses_with_role = map(str.casefold, (*section.operators, *section.people_ops))
        known_addresses = {EVERYBODY, worker.settings.operator, *addresses_with_role}
        # with this setting, a role follows from a claim, so that anybody may have signed in
        is_anybody_possible = bool(section.role_claim)
        if not (address in known_addresses or is_anybody_possible or worker.store.people.get_person(address)):
            raise UnknownName(f"Nobody in the roster is {address}.")
        worker.store.people.revoke_links(address, utcnow())
    recipient = "everybody" if everybody else address
    print_line(f"The links sent to {recipient} until now are void.", "green")


def make_operator_link() -> str:
    """Return a new link to the operator's page. Raises LongarcError when there are no pages."""
    from worker.links import LinkClaims, Purpose, make_link_signer
    from worker.web.logins import UNNAMED_OPERATOR

    settings = load_settings()
    signer = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
    if signer is None:
        raise LongarcError("Pages need `base_url` in the settings and LONGARC_KEY in the environment.")
    return signer.build_url(
        LinkClaims(person=settings.operator or UNNAMED_OPERATOR, purpose=Purpose.STATUS, issued_at=utcnow())
    )
