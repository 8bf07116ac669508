"""Wires the program: `build` makes every object, `Worker` holds them."""

import logging
import os
import socket
import uuid
from dataclasses import dataclass

from worker.clock import Clock, utcnow
from worker.engine.actions import Actions
from worker.engine.contracts import Contracts
from worker.engine.identities import StoredIdentities
from worker.engine.outbox import Outbox
from worker.engine.people_import import PeopleImport
from worker.engine.services import PeopleCache, Services
from worker.engine.sweep import Sweep
from worker.engine.sync import Sync
from worker.mail.compose import Composer
from worker.mail.render import MailRenderer
from worker.seal import Seal
from worker.settings.load import Settings
from worker.store.store import NextDue, Store

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Worker:
    """Everything, wired. `tick` is what Huey's tasks do, in one call."""

    settings: Settings
    clock: Clock
    store: Store
    services: Services
    mail_renderer: MailRenderer
    sync: Sync
    sweep: Sweep
    outbox: Outbox
    actions: Actions
    contracts: Contracts
    people_import: PeopleImport
    holder: str

    def tick(self) -> NextDue:
        """Do everything that is due now, here: read calendars, plan, perform, until nothing is left.

        Returns when the next thing of each kind is due.
        """
        now = self.clock()
        for _ in range(1000):
            upcoming = self.store.next_due()
            due = upcoming.select_due(now)
            busy = due.calendar and self.sync.run(self.holder)
            busy = (due.pair and self.sweep.run(self.holder)) or busy
            busy = (due.effect and self.outbox.run(self.holder)) or busy
            if not busy:
                return upcoming
        log.error("a tick did not come to an end", extra={"action": "tick_endless"})
        return upcoming

    def import_people(self, *, force: bool = False) -> bool:
        """Take over the people file if it changed. True when it did. Raises Problems, or Refused by the guard."""
        return self.people_import.run(force=force)

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()


def build(
    settings: Settings,
    clock: Clock = utcnow,
    *,
    store: Store | None = None,
    holder: str | None = None,
    mail_renderer: MailRenderer | None = None,
) -> Worker:
    """Wire the program. Reaches nothing but the database; services are reached when they are first used.

    `store` and `mail_renderer` are made from the settings when they are not given.
    """
    store = store or Store(settings.database, Seal([key.get_secret_value() for key in settings.keys]))
    holder = holder or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    cache = PeopleCache(store, clock)

    def notify(cause: str, words: str) -> None:
        kind = f"notice:{cause.partition(':')[0]}"
        store.outbox.alert(f"notice:{cause}", words, clock(), settings.operator, kind)

    identities = StoredIdentities(store, clock)
    services = Services(
        settings,
        cache,
        cache.invalidate,
        lambda: store.people.load_all_pairs().values(),
        clock,
        notify,
        identities=identities,
        copies=store.attendee_copies,
    )
    mail_renderer = mail_renderer or MailRenderer(
        sender=settings.mail.sender, domain=settings.mail.domain, overrides=settings.templates
    )
    drafts = Composer(settings)
    policy, operator = settings.policy, settings.operator
    actions = Actions(store, clock, policy, holder)
    return Worker(
        settings=settings,
        clock=clock,
        store=store,
        services=services,
        mail_renderer=mail_renderer,
        sync=Sync(
            store,
            services.find_calendar_of,
            clock,
            identities,
            every=settings.sync.every,
            full_every=settings.sync.full_every,
            operator=operator,
        ),
        sweep=Sweep(store, services.group_by_service, clock, policy, operator),
        outbox=Outbox(
            store, services.find_calendar_of, services.get_mailer, mail_renderer, drafts, clock, operator, identities
        ),
        actions=actions,
        contracts=Contracts(store, clock, actions),
        people_import=PeopleImport(settings, store, services.get_calendar, clock),
        holder=holder,
    )
