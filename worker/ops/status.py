"""The state of the service, which `longarc status` and the operator's page show. Nothing sealed is decrypted for it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from worker.domain.channels import ChannelStanding
from worker.domain.model import Address, Pair, Person, Session
from worker.domain.reason_texts import format_reasons
from worker.domain.rollout import EXCLUDED_BY_ROLLOUT, is_paused
from worker.ops.rollout import describe_pauses, describe_rollout, describe_undo
from worker.store.channel_standings import ChannelCount, count_channels
from worker.store.heartbeats import Heartbeat
from worker.store.statistics import Statistics
from worker.store.store import Store

#: A calendar is behind when its next read is overdue by more than this.
BEHIND_AFTER = timedelta(minutes=15)
#: A worker counts as live when its last heartbeat is at most this old.
ALIVE_WITHIN = timedelta(minutes=2)
#: The operator is needed when at least this share of a service's channels is silent. Fewer are reopened automatically.
SILENT_SHARE = 0.2


def collect_status(store: Store, now: datetime) -> dict[str, Any]:
    """Return the state of the service as counts, addresses and ids, under the keys that `longarc status --json` has."""
    statistics = Statistics(store.database)
    pairs = list(store.people.load_all_pairs().values())
    people = store.people.load_all_people()
    calendars = store.calendars.list_reading_states()
    next_plan_times = statistics.load_next_plan_times()
    unreadable = {calendar["address"] for calendar in calendars if calendar["failing_since"]} | set(
        store.people.load_suspensions()
    )
    owed = statistics.list_owed_sessions()
    return {
        "at": now,
        "people": len(store.people.load_current_people()),
        "pairs": _count_pairs(pairs),
        "rollout": _describe_rollout(store, now),
        "workers": [_describe_worker(heartbeat, now) for heartbeat in store.heartbeats.list_heartbeats()],
        "calendars": _describe_calendars(calendars, now),
        "channels": _describe_channels(count_channels(store.database, now)),
        "unreachable": [_describe_unreachable(calendar, people) for calendar in calendars if calendar["failing_since"]],
        "suspended": [
            {"person": address, "until": until} for address, until in sorted(store.people.load_suspensions().items())
        ],
        "sessions": statistics.count_sessions_by_state(),
        "outbox": store.outbox.count_by_progress(),
        "due": [
            {"what": kind, "message": name, "count": count, "since": since}
            for kind, name, count, since in statistics.count_due_effects(now)
        ],
        "tried_again": [
            {"what": kind, "message": name, "count": count, "again": next_attempt_at, "why": problem}
            for kind, name, count, next_attempt_at, problem in statistics.count_retried_effects()
        ],
        "troubled": [_describe_troubled(effect) for effect in store.outbox.list_failing_effects()],
        "owed": [
            {
                **_describe_owed(session),
                "waits_for": _explain_wait(session, unreadable),
                "again": next_plan_times.get(session.pair),
            }
            for session in owed
            if not session.unplaceable
        ],
        "unplaceable": [
            {**_describe_owed(session), "reason": format_reasons(session.unplaceable)}
            for session in owed
            if session.unplaceable
        ],
    }


def _count_pairs(pairs: Collection[Pair]) -> dict[str, int]:
    return {
        "active": sum(pair.is_active for pair in pairs),
        "paused": sum(not pair.ended and is_paused(pair) for pair in pairs),
        "outside": sum(not pair.ended and pair.participation in EXCLUDED_BY_ROLLOUT for pair in pairs),
        "ended": sum(bool(pair.ended) for pair in pairs),
    }


def _describe_rollout(store: Store, now: datetime) -> list[str]:
    """Return sentences on the progress of an undo, on pauses, and on the rollout, in this order."""
    stored, undo = store.participation.load(), store.undo.load()
    remaining_count = store.undo.count_remaining_events(now, includes_past=undo.includes_past) if undo else 0
    sentences = (describe_undo(undo, remaining_count), describe_pauses(stored.pauses), describe_rollout(stored.rollout))
    return [sentence for sentence in sentences if sentence]


def _describe_calendars(calendars: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """Return how many calendars were read completely at least once, and the addresses of those that need attention.

    These were never read, are overdue, or can't be read.
    """
    overdue_since = now - BEHIND_AFTER
    return {
        "read": sum(calendar["full_at"] is not None for calendar in calendars),
        "never_read": sorted(calendar["address"] for calendar in calendars if calendar["full_at"] is None),
        "behind": sorted(
            calendar["address"] for calendar in calendars if calendar["due_at"] and calendar["due_at"] < overdue_since
        ),
        "unreachable": sorted(calendar["address"] for calendar in calendars if calendar["failing_since"]),
    }


def _describe_channels(counts: Sequence[ChannelCount]) -> dict[str, Any]:
    """Return the number of channels by standing, and the problems that need a person, each with one calendar."""
    totals, totals_by_service = Counter[ChannelStanding](), Counter[str]()
    for channels in counts:
        totals[channels.standing] += channels.count
        totals_by_service[channels.service] += channels.count

    def needs_person(channels: ChannelCount) -> bool:
        if channels.standing is ChannelStanding.SILENT:
            return channels.count >= SILENT_SHARE * totals_by_service[channels.service]
        return channels.standing is ChannelStanding.FAILING

    return {
        **{standing.value: totals[standing] for standing in ChannelStanding},
        "total": totals.total(),
        "troubles": [
            {**asdict(channels), "standing": channels.standing.value} for channels in counts if needs_person(channels)
        ],
    }


def _describe_worker(heartbeat: Heartbeat, now: datetime) -> dict[str, Any]:
    return {**asdict(heartbeat), "lives": now - heartbeat.seen_at <= ALIVE_WITHIN}


def _describe_unreachable(calendar: Mapping[str, Any], people: Mapping[Address, Person]) -> dict[str, Any]:
    address = calendar["address"]
    return {
        "person": address,
        "service": people[address].calendar if address in people else "",
        "since": calendar["failing_since"],
        "failures": calendar["failures"],
        "why": calendar["problem"],
        "again": calendar["due_at"],
    }


def _explain_wait(session: Session, unreadable: Collection[Address]) -> str:
    """Return why a session without a time has to wait; empty when the next sweep may find a time."""
    unreadable_people = [address for address in session.pair.people if address in unreadable]
    return f"the calendar of {unreadable_people[0]} can't be read" if unreadable_people else ""


def _describe_troubled(effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of an effect that needs the operator's attention."""
    values = {
        name: effect[name] for name in ("progress", "what", "name", "pair", "subject", "to", "attempts", "problem")
    }
    return {**values, "pair": str(effect["pair"] or "")}


def _describe_owed(session: Session) -> dict[str, Any]:
    return {
        "session": session.id,
        "pair": str(session.pair),
        "kind": session.kind.value,
        "state": session.state.value,
        "target": session.target,
        "deferrals": session.count,
    }
