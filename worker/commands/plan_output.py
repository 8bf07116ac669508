"""Prints the output of `longarc plan`: a summary, the changes of each manager, and what needs a person.

Lines have at most 80 characters. All times are in one time zone, which the summary names.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from worker.commands.context import to_local_time
from worker.commands.terminal import format_day, format_time, print_line
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.model import Decision, Effect, PairState, Person, Plan
    from worker.engine.sweep import PlannedPair
    from worker.ops.preview.quarter import QuarterPreview
    from worker.ops.preview.view import ConcernGroup

#: The longest line, and the columns of a line about a session: verb, time, length. All in characters.
WIDTH = 80
VERB_WIDTH, TIME_WIDTH, LENGTH_WIDTH = 9, 23, 8
#: What happens to a session, by the kind of the change to its event, its new state, or the kind of the decision.
VERBS = {
    "event.create": "book",
    "event.update": "move",
    "event.cancel": "cancel",
    "deferred": "put off",
    "owed": "no time yet",
    "unplaceable": "no time",
    "cancelled": "cancel",
    "open": "offer",  # the state in a decision that reserves times to choose from
}
#: The style of a line, by its verb.
STYLES = {"book": "green", "move": "green", "no time": "yellow", "no time yet": "yellow", "put off": "yellow"}
#: The names of kinds of sessions in the output. The usual kind, a career session, is not named.
KIND_NAMES = {"checkin": "check-in", "review": "review"}
#: How many recipients of a mail are named.
MAX_RECIPIENTS = 3
#: How many lines of each kind of concern are printed. The page of `--html` has all of them.
MAX_CONCERNS = 20


class PlanOutput:
    """Collects the plans while the preview of the quarter is made from them, and prints the plans and the preview."""

    def __init__(self, *, explains_bookings: bool) -> None:
        self._explains_bookings = explains_bookings
        self._plans: dict[str, list[Plan]] = defaultdict(list)  #: by manager
        self._people: dict[str, Person] = {}
        self._zone = "UTC"

    def collect(self, planned_pairs: "Iterator[PlannedPair]") -> "Iterator[PlannedPair]":
        """Yield the pairs unchanged, and keep the plans that change something."""
        for planned in planned_pairs:
            if planned.plan.decisions or planned.plan.effects:
                state: PairState = planned.state
                self._people.update({person.email: person for person in (state.manager, state.report)})
                self._plans[state.pair.manager].append(planned.plan)
            yield planned

    def show(self, quarter: "QuarterPreview", worker: "Worker") -> None:
        """Print the whole output."""
        from worker.mail.templates import load_default_templates
        from worker.ops.preview.view import QuarterView

        self._zone = quarter.zone
        view = QuarterView(quarter, load_default_templates().languages.find_language("en"))
        self._show_summary(view.sentences)
        for manager in sorted(self._plans, key=lambda address: (self._people[address].name.casefold(), address)):
            self._show_manager(manager)
        self._show_rollout(worker)
        self._show_concerns(view.concerns)

    # --- the summary ---

    def _show_summary(self, sentences: Sequence[str]) -> None:
        """Print the sentences about the quarter, the counts of the plans, and the time zone of the output."""
        _print_wrapped(" ".join(sentences), style="bold")
        _print_wrapped(self._summarize_plans())
        _print_wrapped(f"Times are those of {self._zone}.", style="dim")

    def _summarize_plans(self) -> str:
        """Return a sentence that counts the events and mails of the plans."""
        plans = [plan for plans_of_manager in self._plans.values() for plan in plans_of_manager]
        effects = [effect for plan in plans for effect in plan.effects]
        counts = {
            kind: sum(effect.kind == kind for effect in effects)
            for kind in ("event.create", "event.update", "event.cancel")
        }
        # a personal mail stands in the plans of several pairs, each time with the same key
        mail_count = len({effect.key for effect in effects if effect.kind == "mail"})
        parts = (
            f"{counts['event.create']:,} to book",
            f"{counts['event.update']:,} to move",
            f"{counts['event.cancel']:,} to cancel",
            f"{format_count(mail_count, 'mail')} to send",
        )
        return f"{', '.join(parts)}, for {format_count(len(plans), 'pair')}. Nothing was written or sent."

    # --- by manager ---

    def _show_manager(self, manager: str) -> None:
        """Print the changes and the mails of the pairs of one manager, in order of time."""
        plans = self._plans[manager]
        print_line()
        print_line(f"{self._people[manager].name}, {format_count(len(plans), 'pair')}", style="bold")
        # a warning tells of something that changes no session
        changes = [(decision, plan) for plan in plans for decision in plan.decisions if decision.what != "warning"]
        changes.sort(key=_get_sort_key)
        for decision, plan in changes:
            self._show_decision(decision, plan)
        self._show_mails([effect for plan in plans for effect in plan.effects if effect.kind == "mail"])

    def _show_decision(self, decision: "Decision", plan: "Plan") -> None:
        """Print what happens to one session, and the reason.

        The reason of a booking is printed only if the output explains bookings.
        """
        fields = decision.fields
        start, end = fields.get("start"), fields.get("end")
        verb = _choose_verb(decision, plan)
        when_text, length_text = "", ""
        if isinstance(start, datetime) and isinstance(end, datetime):
            when_text = format_time(start, self._zone)
            length_text = f"{(end - start) // timedelta(minutes=1)} min"
        kind = KIND_NAMES.get(str(fields.get("kind")), "")
        topic = f"{fields['topic']}" if fields.get("topic") not in (None, "all") else ""
        subject = ", ".join(part for part in (self._people[plan.pair.report].name, kind, topic) if part)
        columns = f"{when_text:<{TIME_WIDTH}}{length_text:<{LENGTH_WIDTH}}" if when_text else ""
        line = f"  {verb:<{VERB_WIDTH}}{columns}{subject}"
        print_line(line.rstrip(), style=STYLES.get(verb, ""))
        if self._explains_bookings or verb != "book":
            _print_wrapped(decision.reason, indent=2 + VERB_WIDTH, style="dim")

    def _show_mails(self, mails: "Sequence[Effect]") -> None:
        """Print a line for each day and each kind of mail, with the recipients."""
        recipients_by_mail: dict[tuple[datetime, str], set[str]] = defaultdict(set)
        for mail in mails:
            day = to_local_time(mail.due_at, self._zone).replace(hour=0, minute=0, second=0)
            recipient = self._people.get(mail.to)
            recipients_by_mail[day, mail.name].add(recipient.name if recipient else mail.to)
        for (day, mail_name), recipients in sorted(recipients_by_mail.items()):
            names = sorted(recipients)
            more = f" and {len(names) - MAX_RECIPIENTS} more" if len(names) > MAX_RECIPIENTS else ""
            text = f"{_name_mail(mail_name)}: {', '.join(names[:MAX_RECIPIENTS])}{more}"
            first = f"  {'mail':<{VERB_WIDTH}}{format_day(day.date()):<{TIME_WIDTH}}"
            _print_wrapped(text, first=first, indent=len(first), style="dim")

    # --- what needs a person ---

    def _show_rollout(self, worker: "Worker") -> None:
        """Print which pairs take no part, and whether the settings have another rollout than the one in force."""
        from worker.domain.model import Participation
        from worker.ops.rollout import describe_pauses, describe_rollout

        stored, counts = worker.store.participation.load(), worker.store.participation.count()
        if absent_count := sum(counts.values()) - counts.get(Participation.YES, 0):
            print_line()
            count = format_count(absent_count, "pair takes no part", "pairs take no part")
            _print_wrapped(
                f"{count}. {describe_rollout(stored.rollout)} {describe_pauses(stored.pauses)}".rstrip(), style="dim"
            )
        if worker.participation.preview().new_participations:
            text = "The settings have a rollout that is not in force yet: `longarc rollout` shows the difference."
            _print_wrapped(text, style="yellow")

    def _show_concerns(self, groups: "Sequence[ConcernGroup]") -> None:
        """Print what needs a person, each kind of concern with its remedy."""
        if groups:
            print_line()
            print_line("What needs a person", style="bold")
        for group in groups:
            print_line(f"  {group.title}", style="yellow")
            for line in group.lines[:MAX_CONCERNS]:
                _print_wrapped(line, first="    ", indent=4)
            if len(group.lines) > MAX_CONCERNS:
                print_line(f"    and {len(group.lines) - MAX_CONCERNS:,} more")
            _print_wrapped(group.remedy, first="    ", indent=4, style="dim")


def _get_sort_key(change: "tuple[Decision, Plan]") -> tuple[str, str]:
    """Return the start of the session and the pair. Sessions without a start come last."""
    decision, plan = change
    # As texts, instants sort by time. "9" sorts after all of them.
    return str(decision.fields.get("start") or "9"), str(plan.pair)


def _choose_verb(decision: "Decision", plan: "Plan") -> str:
    """Return the word for what happens to a session.

    It follows from the event of a session that is booked, and from the state of any other session. A decision without a
    state is named by `decision.what`.
    """
    outcome = str(decision.fields.get("state") or decision.what)
    if outcome == "booked":
        kinds = [effect.kind.value for effect in plan.effects if effect.subject == decision.session]
        outcome = next((kind for kind in kinds if kind in VERBS), outcome)
    return VERBS.get(outcome, outcome)


def _name_mail(name: str) -> str:
    """Return the name of a kind of mail, as the page of `--html` has it in English."""
    from worker.ops.preview.texts import MAIL_TEXTS

    return MAIL_TEXTS[name][0] if name in MAIL_TEXTS else name.replace("_", " ")


def _print_wrapped(text: str, *, first: str = "", indent: int = 0, style: str = "") -> None:
    """Print a text in lines of at most WIDTH characters.

    The first line begins with `first`, if that is given; all other lines begin with `indent` spaces.
    """
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first or " " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        print_line(line, style=style)
