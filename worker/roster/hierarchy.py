"""Finds everybody's manager: who is named, and whether that can be."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from worker.domain.model import Address, Person
from worker.providers.identities import normalize
from worker.roster.columns import ParsedRecord
from worker.roster.identify import IdentifiedPeople, IdentifiedRecord
from worker.roster.managers import PeopleIndex, find_circles
from worker.roster.model import RosterRules, StoredRoster
from worker.roster.parsers import fold_name
from worker.settings.parsers import InvalidValue

#: How many people of a circle are named at most.
_MAX_NAMED = 6


def find_managers(
    people: IdentifiedPeople,
    persons: Mapping[Address, Person],
    left_out: Mapping[Address, str],
    rules: RosterRules,
    stored: StoredRoster,
) -> dict[Address, Address]:
    """Return the manager of each report. Faults go to the reports of the records.

    Two managers, one who is not in the roster, oneself, and circles are faults. In a people file such a report has no
    manager; in a directory it keeps the one of the stored pair, as long as that person is in the roster.
    """
    hierarchy = _Hierarchy(people, persons, rules, stored, _build_index(people, persons, left_out, rules))
    for identified in people.active.values():
        if identified.email in persons:
            hierarchy.add_report(identified)
    hierarchy.refuse_managers_without_calendar()
    hierarchy.break_circles()
    return hierarchy.managers


def _build_index(
    people: IdentifiedPeople, persons: Mapping[Address, Person], left_out: Mapping[Address, str], rules: RosterRules
) -> PeopleIndex:
    if rules.is_directory:
        index = PeopleIndex(f"is not in {rules.directory}", f"Correct the manager in {rules.directory}.")
    else:
        index = PeopleIndex("has no row in this file", "Add a row for this manager, or empty the cell.")
    for parsed in people.inactive:
        index.absences |= dict.fromkeys(_list_names(parsed), "is not active any more")
    for email, reason in left_out.items():
        index.absences |= dict.fromkeys(_list_names(people.active[email].parsed), reason)
    for email, person in persons.items():
        record = people.active[email].parsed.record
        index.addresses[email] = email
        index.places[email] = people.active[email].parsed.place
        index.add_name(person.name, email)
        if record.directory_id:
            index.directory_ids[record.directory_id.casefold()] = email
    index.addresses |= {name: alias.person for name, alias in people.aliases.items() if alias.person in persons}
    return index


def _list_names(parsed: ParsedRecord) -> list[str]:
    """Return every name of a record by which somebody may refer to it, as it is compared."""
    record, name = parsed.record, parsed.values.get("name", "")
    return [*map(normalize, record.addresses), record.directory_id.casefold(), *([fold_name(name)] if name else [])]


@dataclass
class _Hierarchy:
    """The managers found so far, by report."""

    people: IdentifiedPeople
    persons: Mapping[Address, Person]
    rules: RosterRules
    stored: StoredRoster
    index: PeopleIndex
    managers: dict[Address, Address] = field(default_factory=dict)
    held: set[Address] = field(default_factory=set)  #: reports whose pair stays as it was

    @cached_property
    def positions(self) -> dict[Address, int]:
        """Where each person is in the directory."""
        return {email: position for position, email in enumerate(self.people.active)}

    def add_report(self, identified: IdentifiedRecord) -> None:
        """Find the manager of a report, and report what is wrong about it."""
        email, parsed = identified.email, identified.parsed
        try:
            found = {self.index.find_person(reference): None for reference in parsed.record.managers}
        except InvalidValue as error:
            parsed.add_problem("manager", error.what, error.build_remedy)
            self._hold(email)
            return
        if len(found) > 1:
            named = " and ".join(f"`{manager}`" for manager in found)
            parsed.add_problem("manager", f"This person has {len(found)} managers: {named}.", "Keep one of them.")
            self._hold(email)
        elif email in found:
            what = "This person is their own manager."
            parsed.add_problem("manager", what, "Name another, or leave the cell empty at the top.")
            self._hold(email)
        elif found:
            self.managers[email] = next(iter(found))

    def refuse_managers_without_calendar(self) -> None:
        """Report managers whose calendar can't be read; their reports are without a pair."""
        report_counts = Counter(self.managers.values())
        refused = {manager for manager in report_counts if not self.persons[manager].has_calendar}
        for manager in (email for email in self.persons if email in refused):
            reports = "somebody" if report_counts[manager] == 1 else f"{report_counts[manager]:,} people"
            what = f"`{manager}` manages {reports}, so this person needs a calendar."
            remedy = "Name this manager's calendar: `none` is for reports."
            self.people.active[manager].parsed.add_problem("calendar", what, remedy)
        self.managers = {email: manager for email, manager in self.managers.items() if manager not in refused}

    def break_circles(self) -> None:
        """Report circles of managers, and leave the pairs in them as they were.

        With a pair as it was, others may make a circle; so it goes on until there is none.
        """
        while circles := list(find_circles(self.managers)):
            for circle in circles:
                new = [email for email in circle if email not in self.held]
                if new:
                    self._report_circle(circle)
                for email in new:
                    self._hold(email)
                for email in () if new else circle:
                    del self.managers[email]

    def _report_circle(self, circle: Sequence[Address]) -> None:
        first = circle.index(min(circle, key=self.positions.__getitem__))
        rotated = [*circle[first:], *circle[:first]]
        shown = [*rotated[:_MAX_NAMED], *(["…"] if len(rotated) > _MAX_NAMED else []), rotated[0]]
        what = f"These manage each other in a circle: {' > '.join(shown)}."
        self.people.active[rotated[0]].parsed.add_problem("manager", what, "Somebody has to be at the top.")

    def _hold(self, email: Address) -> None:
        """Leave the pair of a report as it was: with the stored manager, or without one."""
        self.held.add(email)
        manager = self._find_stored_manager(email) if self.rules.is_directory else None
        if manager:
            self.managers[email] = manager
        else:
            self.managers.pop(email, None)

    def _find_stored_manager(self, email: Address) -> Address | None:
        """Return the manager of the stored pair, when that person is in the roster."""
        former = self.stored.managers.get(self.people.active[email].find_stored_address(self.stored), "")
        manager = self.people.find_owner(former) or self.people.find_owner(self.stored.directory_ids.get(former, ""))
        return manager if manager in self.persons and manager != email else None
