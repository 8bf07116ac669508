"""`longarc rollout`, `pause` and `resume`: show which pairs take part, and pause pairs.

The rollout is the section of the settings that names the pairs that take part. It is put into force, and stored, by
`longarc run` or by `longarc rollout --accept`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import find_pair, find_person, json_option
from worker.commands.base import Command, CommandFailed
from worker.commands.context import open_worker
from worker.commands.conversations import WITHIN_A_MINUTE
from worker.commands.terminal import (
    add_row,
    confirm,
    make_table,
    print_json,
    print_line,
    print_table,
    show_progress,
)
from worker.domain.counts import format_count
from worker.errors import Refused, UnknownName

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.model import Pair, Participation, Person
    from worker.domain.rollout import PauseScope
    from worker.store.participation import ParticipationChange
    from worker.store.store import Store

#: How many groups are printed; `--json` prints all.
MAX_GROUPS = 20
#: How many pairs are printed of each list.
MAX_PAIRS = 10
#: How each value of Participation is described. The empty value is that of pairs that take part. `withdrawn_quietly` is
#: also a pause of everybody, in which guests get no notice of cancelled events.
PARTICIPATION_TEXTS = {
    "": "take part",
    "not_chosen": "are not named by the rollout",
    "not_begun": "wait for the first day of the rollout",
    "everybody_paused": "are paused with everybody",
    "withdrawn_quietly": "are paused with everybody",
    "group_paused": "are paused with their group",
    "person_paused": "are paused with a person",
}


# --- rollout ---


@click.command("rollout", cls=Command, short_help="Show who takes part, and what the settings would change.")
@click.option(
    "--accept", is_flag=True, help="Put the rollout of the settings in force now, however many events that cancels."
)
@json_option
def rollout(accept: bool, as_json: bool) -> None:
    """Show which pairs take part, by group, and what the section [rollout] of the settings would change.

    `longarc run` puts a changed section in force when it starts. A change that removes many pairs waits for --accept.
    """
    with open_worker() as worker:
        change = worker.participation.preview()
        objection = worker.participation.find_objection(change)
        if accept:
            worker.participation.update(force=True)
        pairs, people = worker.store.people.load_all_pairs(), worker.store.people.load_all_people()
        current_pairs = [pair for pair in pairs.values() if not pair.ended]
        if as_json:
            print_json(_rollout_to_json(worker, current_pairs, people, change, objection))
        else:
            _show_rollout(worker, current_pairs, people)
    if accept and not as_json:
        counts = f"{len(change.joining):,} joined and {len(change.leaving):,} left"
        result = counts if change.new_participations else "no pair joined or left"
        print_line(f"The rollout of the settings is in force: {result}.", "green")
    elif not as_json:
        _show_pending_change(change, objection)


def _show_rollout(worker: "Worker", current_pairs: "Sequence[Pair]", people: "dict[str, Person]") -> None:
    """Print the rollout that is in force: how many pairs take part or why not, the pauses, and the groups."""
    from worker.ops.rollout import describe_pauses, describe_rollout

    stored = worker.store.participation.load()
    table = make_table("Who takes part", ["", ("Pairs", "right")])
    table.show_header = False
    counts = Counter(pair.participation.value for pair in current_pairs)
    for participation, text in PARTICIPATION_TEXTS.items():
        if counts[participation] or participation == "":
            add_row(table, text, f"{counts[participation]:,}")
    paused_count = sum(pair.paused for pair in current_pairs if _takes_part(pair))
    if paused_count:
        add_row(table, "of those, paused one by one", f"{paused_count:,}", style="dim")
    print_table(table)
    print_line(describe_rollout(stored.rollout))
    if text := describe_pauses(stored.pauses):
        print_line(text, "yellow")
    _show_groups(current_pairs, people)


def _takes_part(pair: "Pair") -> bool:
    """Return whether the pair takes part. A pause of this single pair does not count here."""
    from worker.domain.model import Participation

    return pair.participation is Participation.YES


def _show_groups(current_pairs: "Sequence[Pair]", people: "dict[str, Person]") -> None:
    """Print how many pairs of each group take part; nothing when no report has a group."""
    totals = Counter(people[pair.report].group for pair in current_pairs)
    if set(totals) <= {""}:
        return
    taking_part = Counter(people[pair.report].group for pair in current_pairs if _takes_part(pair))
    table = make_table("", ["Group of the report", ("Take part", "right"), ("Of", "right")])
    for group in sorted(totals, key=lambda name: (-taking_part[name], name))[:MAX_GROUPS]:
        add_row(table, group or "(no group)", f"{taking_part[group]:,}", f"{totals[group]:,}")
    print_table(table)
    if len(totals) > MAX_GROUPS:
        print_line(f"… and {format_count(len(totals) - MAX_GROUPS, 'more group')}; --json lists them all.", "dim")


def _show_pending_change(change: "ParticipationChange", objection: str) -> None:
    """Print what the settings would change. Raises Refused when the operator has to accept it."""
    if not change.new_participations:
        print_line("The settings have the same rollout.", "dim")
        return
    for pairs, verb in ((change.joining, "join"), (change.leaving, "leave")):
        if pairs:
            more = f" and {len(pairs) - MAX_PAIRS:,} more" if len(pairs) > MAX_PAIRS else ""
            count = format_count(len(pairs), f"pair would {verb}", f"pairs would {verb}")
            print_line(f"By the settings, {count}: {', '.join(map(str, pairs[:MAX_PAIRS]))}{more}.")
    print_line(f"{format_count(change.cancel_count, 'event')} would come off calendars. Nothing was changed.")
    if objection:
        raise Refused(f"{objection} To do it all the same: `longarc rollout --accept`.")
    print_line("The settings take effect when `longarc run` is started again, or now with --accept.")


def _rollout_to_json(
    worker: "Worker",
    current_pairs: "Sequence[Pair]",
    people: "dict[str, Person]",
    change: "ParticipationChange",
    objection: str,
) -> dict[str, Any]:
    stored = worker.store.participation.load()
    groups = sorted({people[pair.report].group for pair in current_pairs})
    return {
        "rollout": asdict(stored.rollout) if stored.rollout else None,
        "pauses": asdict(stored.pauses),
        "pairs": {  # by participation; "yes" stands for its empty value, which is that of pairs that take part
            name or "yes": sum(pair.participation == name for pair in current_pairs) for name in PARTICIPATION_TEXTS
        },
        "groups": [
            {
                "group": group,
                "pairs": sum(people[pair.report].group == group for pair in current_pairs),
                "take_part": sum(people[pair.report].group == group and _takes_part(pair) for pair in current_pairs),
            }
            for group in groups
        ],
        "settings_would_change": {
            "joining": list(map(str, change.joining)),
            "leaving": list(map(str, change.leaving)),
            "events_off": change.cancel_count,
            "objection": objection,
        },
    }


# --- pause and resume ---

#: PAIR is one word or two, as for `worker.commands.arguments.pair_argument`, but it may be left out.
pair_words_argument = click.argument("pair_words", nargs=-1, metavar="[PAIR]")
person_option = click.option(
    "--person", metavar="ADDRESS", help="All pairs of this person, including pairs that begin later."
)
group_option = click.option("--group", metavar="NAME", help="All pairs whose report is in this group.")
everybody_option = click.option("--everybody", is_flag=True, help="All pairs.")
yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.command("pause", cls=Command, short_help="Pause a pair, a person, a group or everybody.")
@pair_words_argument
@person_option
@group_option
@everybody_option
@yes_option
def pause(pair_words: Sequence[str], person: str | None, group: str | None, everybody: bool, yes: bool) -> None:
    """Pause a pair, all pairs of a person or of a group, or everybody.

    Future events are removed from the calendars, and nothing is booked or mailed until `longarc resume`. Nothing is
    lost: contracts, commitments and counts stay. A pause of a person, a group or everybody also holds for pairs that
    begin later.
    """
    _require_one_choice(pair_words, person, group, everybody=everybody)
    with open_worker() as worker:
        if pair_words:
            _set_pair_paused(worker, pair_words, should_pause=True)
            return
        current_pauses, scope = worker.store.participation.load().pauses, _find_scope(worker.store, person, group)
        new_pauses = current_pauses.pause(scope)
        if new_pauses == current_pauses:
            raise Refused(f"{_describe_scope(scope)} is paused already. Nothing was changed.")
        change = worker.participation.preview_pauses(new_pauses)
        _show_withdrawal(worker, change)
        _require_consent(f"Pause {_describe_scope(scope, is_start=False)}?", yes=yes)
        worker.participation.set_pauses(new_pauses)
    print_line(f"{_describe_scope(scope)} is paused. This takes effect {WITHIN_A_MINUTE}.", "green")
    print_line("`longarc status` shows the progress; `longarc resume` with the same option ends the pause.", "dim")


@click.command("resume", cls=Command, short_help="Resume what `longarc pause` paused.")
@pair_words_argument
@person_option
@group_option
@everybody_option
@yes_option
def resume(pair_words: Sequence[str], person: str | None, group: str | None, everybody: bool, yes: bool) -> None:
    """Resume what was paused: the next conversation of each pair gets a time, one after the other."""
    _require_one_choice(pair_words, person, group, everybody=everybody)
    with open_worker() as worker:
        if pair_words:
            _set_pair_paused(worker, pair_words, should_pause=False)
            return
        current_pauses, scope = worker.store.participation.load().pauses, _find_scope(worker.store, person, group)
        new_pauses = current_pauses.resume(scope)
        if new_pauses == current_pauses:
            raise Refused(f"{_describe_scope(scope)} is not paused. Nothing was changed.")
        change = worker.participation.preview_pauses(new_pauses)
        count = format_count(len(change.going_on), "pair goes on", "pairs go on")
        print_line(f"{count}, each with a conversation to be booked. First conversations are spread over weeks.")
        _require_consent(f"Resume {_describe_scope(scope, is_start=False)}?", yes=yes)
        worker.participation.set_pauses(new_pauses)
    print_line(f"{_describe_scope(scope)} is resumed. This takes effect {WITHIN_A_MINUTE}.", "green")


def _require_one_choice(pair_words: Sequence[str], person: str | None, group: str | None, *, everybody: bool) -> None:
    """Raise UsageError unless exactly one of a pair, a person, a group and everybody is given."""
    if sum(map(bool, (pair_words, person, group, everybody))) != 1:
        raise click.UsageError("Name a pair, or give one of --person ADDRESS, --group NAME and --everybody.")


def _find_scope(store: "Store", person: str | None, group: str | None) -> "PauseScope":
    """Return whom a pause is for: the person with this address or alias, this group, or else everybody.

    Raises UnknownName.
    """
    from worker.domain.rollout import PauseScope

    people = store.people.load_current_people()
    if person:
        return PauseScope(person=find_person(store, people, person))
    return PauseScope(group=_find_group(store, people, group)) if group else PauseScope()


def _find_group(store: "Store", people: "dict[str, Person]", group: str) -> str:
    """Return the name of the group as the roster writes it, or as it was written when it was paused.

    Raises UnknownName, with the most similar group.
    """
    from worker.domain.rollout import is_in_groups
    from worker.settings.parsers import find_nearest

    paused_groups = store.participation.load().pauses.groups
    known_groups = sorted({person.group for person in people.values() if person.group} | paused_groups)
    # Case is ignored, so several known groups can match, whose names differ only in case.
    matches = [name for name in known_groups if is_in_groups(name, [group])]
    if not matches:
        nearest = find_nearest(group, known_groups)
        advice = f"Did you mean {nearest}?" if nearest else "`longarc rollout` lists the groups there are."
        raise UnknownName(f"Nobody is in the group {group}. {advice}")
    return next((name for name in matches if name in paused_groups), matches[0])


def _describe_scope(scope: "PauseScope", *, is_start: bool = True) -> str:
    """Return the people of a pause as words. `is_start`: whether the words begin a sentence."""
    if scope.is_everybody:
        return "Everybody" if is_start else "everybody"
    return f"{'The' if is_start else 'the'} group {scope.group}" if scope.group else scope.person


def _show_withdrawal(worker: "Worker", change: "ParticipationChange") -> None:
    """Print how many events of the changed pairs would be removed from calendars, and who is told."""
    from worker.engine.withdrawal import preview_withdrawal

    with show_progress("Reading pairs", len(change.new_participations)) as report_progress:
        withdrawal = preview_withdrawal(
            worker.store, worker.settings.policy, change.new_participations, utcnow(), report_progress
        )
    events = format_count(withdrawal.event_count, "future event comes", "future events come")
    print_line(
        f"{format_count(withdrawal.pair_count, 'pair stops', 'pairs stop')}. {events} off "
        f"{format_count(len(withdrawal.calendars), 'calendar')}; the calendar services tell the guests."
    )
    if withdrawal.mail_count:
        count = format_count(withdrawal.mail_count, "invitation by mail is", "invitations by mail are")
        print_line(f"{count} withdrawn by mail.")
    limit = worker.settings.policy.max_cancels
    if withdrawal.event_count > limit:
        print_line(
            f"That is more than the {limit:,} of rules.max_cancels, which does not apply to this command.", "yellow"
        )


def _require_consent(question: str, *, yes: bool) -> None:
    """Raise CommandFailed unless the operator agrees."""
    if not (yes or confirm(question)):
        raise CommandFailed("Nothing was changed. Say --yes to do it without being asked.")


def _set_pair_paused(worker: "Worker", pair_words: Sequence[str], *, should_pause: bool) -> None:
    """Pause or resume a pair. To resume ends only the pause of this single pair by `longarc pause`.

    Raises Refused when nothing was changed, and CommandFailed when something else keeps the resumed pair from going on.
    """
    pair = find_pair(worker.store, pair_words)
    if pair.ended:
        raise Refused(f"The pair {pair.id} has ended. To bring it back, add it to the people file.")
    if pair.is_paused_by_operator == should_pause:
        obstacle = "" if should_pause else _find_other_pause(pair)
        state = f"is {'paused already' if should_pause else 'not paused by `longarc pause`'}"
        raise Refused(f"{pair.id} {obstacle or state}. Nothing was changed.")
    event_count = _count_events(worker, pair) if should_pause else 0
    worker.store.people.set_paused(pair.id, is_paused=should_pause, now=utcnow())
    obstacle = "" if should_pause else _find_other_pause(worker.store.people.load_all_pairs()[pair.id])
    if obstacle:
        raise CommandFailed(f"The pause of {pair.id} by `longarc pause` has ended, but the pair {obstacle}.")
    print_line(f"{pair.id} is {'paused' if should_pause else 'resumed'}. This takes effect {WITHIN_A_MINUTE}.")
    if event_count:
        print_line(f"{format_count(event_count, 'future event comes', 'future events come')} off the calendar.")


def _find_other_pause(pair: "Pair") -> str:
    """Return what keeps the pair from going on besides a pause of this single pair by `longarc pause`.

    The words follow the name of the pair and end without a full stop. They are empty when nothing else does.
    """
    if pair.paused and not pair.is_paused_by_operator:
        return "is still paused, by `paused` or `paused_until` in the people file. Change it there"
    return "" if _takes_part(pair) else f"still takes no part: {_explain_participation(pair.participation)}"


def _count_events(worker: "Worker", pair: "Pair") -> int:
    """Return how many events are removed from calendars when this pair is paused."""
    from worker.domain.model import Participation
    from worker.engine.withdrawal import preview_withdrawal

    # The pause of a single pair is no value of Participation. The pause of a person removes the same events.
    participations = {pair.id: Participation.PERSON_PAUSED}
    return preview_withdrawal(worker.store, worker.settings.policy, participations, utcnow()).event_count


def _explain_participation(participation: "Participation") -> str:
    """Return why a pair takes no part, and what would change that, without the last full stop."""
    return {
        "not_chosen": "the rollout does not name it. Widen the section [rollout] of the settings",
        "not_begun": "the first day of the rollout is still to come. `longarc rollout` shows it",
        "everybody_paused": "everybody is paused. `longarc resume --everybody` ends that",
        "withdrawn_quietly": "everybody is paused. `longarc resume --everybody` ends that",
        "group_paused": "the group of the report is paused. `longarc resume --group NAME` ends that",
        "person_paused": "one of the two is paused. `longarc resume --person ADDRESS` ends that",
    }[participation.value]
