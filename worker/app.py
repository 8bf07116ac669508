"""Composition root: `build` creates the program's objects from the settings, and connects them in a `Worker`."""

import logging
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from worker.clock import Clock, utcnow
from worker.domain.polling import PollingPace
from worker.engine.actions import Actions
from worker.engine.channels import Channels, ReceivingAddress
from worker.engine.contracts import Contracts
from worker.engine.erasure import Erasure
from worker.engine.handovers import Handovers
from worker.engine.identities import StoredIdentities
from worker.engine.live_free_busy import LiveFreeBusy
from worker.engine.notes import Notes
from worker.engine.operator_switches import OperatorSwitches
from worker.engine.outbox import Outbox
from worker.engine.participation import ParticipationUpdate
from worker.engine.people_import import PeopleImport
from worker.engine.pulse import Pulse
from worker.engine.services import PeopleCache, Services
from worker.engine.sweep import Sweep
from worker.engine.sync import Sync
from worker.engine.third_voices import ThirdVoices
from worker.engine.undo import Undo
from worker.links import make_link_signer
from worker.logs import Action
from worker.mail.compose import Composer
from worker.mail.render import MailRenderer
from worker.seal import Seal
from worker.settings.load import Settings
from worker.store.store import NextDue, Store

log = logging.getLogger(__name__)

#: The most rounds of a tick. A tick reaches this number only when something becomes due again and again.
MAX_ROUNDS = 1000


@dataclass(slots=True)
class Worker:
    """The connected objects of the program. Each part does one kind of work, such as `sync` or `sweep`."""

    settings: Settings
    clock: Clock
    store: Store
    services: Services
    mail_renderer: MailRenderer
    sync: Sync
    sweep: Sweep
    live_free_busy: LiveFreeBusy
    outbox: Outbox
    actions: Actions
    contracts: Contracts
    notes: Notes
    handovers: Handovers
    third_voices: ThirdVoices
    pulse: Pulse
    people_import: PeopleImport
    participation: ParticipationUpdate
    operator_switches: OperatorSwitches
    undo: Undo
    erasure: Erasure
    channels: Channels
    holder: str  #: identifies this process as the holder of leases
    #: Puts the task `sync` into Huey's queue, from which some worker process takes it after the delay. In a process
    #: without a queue, this does nothing, and the next tick of a worker process runs the sync.
    schedule_sync: Callable[[timedelta], None] = lambda delay: None

    def tick(self) -> NextDue:
        """Do the work of all Huey tasks except the import of the roster in this process, until nothing is due.

        First update who takes part, the round of the pulse, what retention has ended for, and which calendars need a
        channel. Then open channels, read calendars, plan pairs, and perform effects. Returns the times at which the
        next channel, calendar, pair and effect will be due.
        """
        now = self.clock()
        self.participation.update()
        self.pulse.run()
        self.erasure.run()
        self.channels.refresh()
        for _ in range(MAX_ROUNDS):
            next_due = self.store.load_next_due()
            due = next_due.select_due(now)
            # `or has_worked` comes last, so that it never keeps `run` from being called
            has_worked = due.channel and self.channels.run(self.holder)
            has_worked = (due.calendar and self.sync.run(self.holder)) or has_worked
            has_worked = (due.pair and self.sweep.run(self.holder)) or has_worked
            has_worked = (due.effect and self.outbox.run(self.holder)) or has_worked
            if not has_worked:
                return next_due
        log.error("a tick was given up after %d rounds", MAX_ROUNDS, extra={"action": Action.TICK_ENDLESS})
        return next_due

    def import_people(self, *, force: bool = False, must_read_directory: bool = False) -> bool:
        """Import the roster if it changed. Returns whether anything changed.

        With `force`, the roster is read now, and imported whatever it changes, since the operator has consented. With
        `must_read_directory`, a directory is read now even if it is not due, and a change of many pairs still needs
        consent (T-17). Raises the errors of `PeopleImport.run`, such as Problems and PeopleImportRefused.
        """
        return self.people_import.run(force=force, must_read_directory=must_read_directory)

    def close(self) -> None:
        """Close the connections to the database."""
        self.store.close()


def build(
    settings: Settings,
    clock: Clock = utcnow,
    *,
    store: Store | None = None,
    holder: str | None = None,
    mail_renderer: MailRenderer | None = None,
) -> Worker:
    """Create the objects of the program. They connect to the database and to services when these are first used.

    `store` and `mail_renderer` are created from the settings unless they are given. `holder` identifies this process in
    leases; a unique name is made unless it is given.
    """
    store = store or Store(settings.database, Seal([key.get_secret_value() for key in settings.keys]))
    holder = holder or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    mail_renderer = mail_renderer or _build_mail_renderer(settings)
    identities = StoredIdentities(store, clock)  # the aliases under which services name people
    services = _build_services(settings, clock, store, identities)
    actions = Actions(store, clock, settings.policy, holder)
    participation = ParticipationUpdate(settings, store, clock)
    # `group_by_service` groups people by their service; `get_calendar` takes the name of a calendar service, and
    # `find_calendar_of` the address of a person
    sweep = Sweep(store, services.group_by_service, clock, settings.policy, settings.operator)
    outbox = _build_outbox(settings, clock, store, services, identities, mail_renderer)
    return Worker(
        settings=settings,
        clock=clock,
        store=store,
        services=services,
        mail_renderer=mail_renderer,
        sync=_build_sync(settings, clock, store, services, identities),
        sweep=sweep,
        live_free_busy=LiveFreeBusy(sweep.read_free_busy, services.group_by_service),
        outbox=outbox,
        actions=actions,
        contracts=Contracts(store, clock, actions),
        notes=Notes(store, clock),
        handovers=Handovers(store, actions),
        third_voices=ThirdVoices(settings, store, clock),
        pulse=Pulse(settings, store, clock),
        people_import=PeopleImport(settings, store, services.get_calendar, clock, participation, identities),
        participation=participation,
        operator_switches=OperatorSwitches(store, participation, clock),
        erasure=Erasure(settings, store, actions, services.find_calendar_of, clock),
        channels=Channels(
            store, services.find_calendar_of, clock, _build_receiving_address(settings), settings.operator
        ),
        undo=Undo(store, sweep, outbox, participation, services.find_calendar_of, clock),
        holder=holder,
    )


def _build_receiving_address(settings: Settings) -> ReceivingAddress | None:
    """Return where calendar services send notifications; None when the settings give no address or no key."""
    signer = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
    return ReceivingAddress(settings.sync.notify_url, signer) if signer and settings.sync.notify_url else None


def _build_mail_renderer(settings: Settings) -> MailRenderer:
    return MailRenderer(sender=settings.mail.sender, domain=settings.mail.domain, overrides=settings.templates)


def _build_services(settings: Settings, clock: Clock, store: Store, identities: StoredIdentities) -> Services:
    people_cache = PeopleCache(store, clock)

    def alert_operator(cause: str, text: str) -> None:
        # providers pass a cause of the form `kind:subject`, and there is at most one mail an hour for each kind
        kind = f"notice:{cause.partition(':')[0]}"
        store.outbox.alert(f"notice:{cause}", text, clock(), settings.operator, cause=kind)

    return Services(
        settings,
        people_cache,
        invalidate_people=people_cache.invalidate,
        load_pairs=lambda: store.people.load_all_pairs().values(),
        clock=clock,
        alert_operator=alert_operator,
        identities=identities,
        copies=store.attendee_copies,
    )


def _build_sync(
    settings: Settings, clock: Clock, store: Store, services: Services, identities: StoredIdentities
) -> Sync:
    return Sync(
        store,
        services.find_calendar_of,
        services.find_person,
        clock,
        identities,
        pace=PollingPace(every=settings.sync.every, near=settings.sync.near),  # near a session or a change
        full_every=settings.sync.full_every,  # how often a whole calendar is read, not only its changes
        operator=settings.operator,
        policy=settings.policy,
    )


def _build_outbox(
    settings: Settings,
    clock: Clock,
    store: Store,
    services: Services,
    identities: StoredIdentities,
    mail_renderer: MailRenderer,
) -> Outbox:
    return Outbox(
        store,
        services.find_calendar_of,
        services.get_mailer,
        mail_renderer,
        Composer(settings),
        clock,
        settings.operator,
        identities,
    )
