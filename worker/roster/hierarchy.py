"""Determines the manager of each person, and reports references to managers that can't be right.

The people of a pair are called manager and report here. `worker.roster.managers` resolves single references.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from worker.domain.model import Address, Person
from worker.providers.identities import normalize_alias
from worker.roster.columns import ParsedRecord
from worker.roster.identify import IdentifiedPeople, IdentifiedRecord
from worker.roster.managers import PeopleIndex, find_circles
from worker.roster.model import RosterRules, StoredRoster
from worker.roster.parsers import fold_name
from worker.settings.parsers import InvalidValue

#: How many people of a circle of managers a message names at most.
_MAX_NAMED = 6


def find_managers(
    people: IdentifiedPeople,
    persons: Mapping[Address, Person],
    left_out: Mapping[Address, str],
    rules: RosterRules,
    stored_roster: StoredRoster,
) -> dict[Address, Address]:
    """Return the manager of each person who reports to one. Faults are added to the records in which they are.

    `people`: the people as the directory or the people file lists them. `persons`: the active ones of them who are in
    the roster. `left_out`: the other active ones, who can't be in the roster, with the reason. It is a fault when a
    person has two managers, has a manager who is not in the roster, is their own manager, or is in a circle of
    managers. With a people file, such a person gets no manager; with a directory, the person keeps the manager of the
    stored pair, if that manager is still in the roster.
    """
    hierarchy = _Hierarchy(people, persons, rules, stored_roster, _build_index(people, persons, left_out, rules))
    for identified_record in people.active.values():
        if identified_record.email in persons:
            hierarchy.add_report(identified_record)
    hierarchy.refuse_managers_without_calendar()
    hierarchy.break_circles()
    return hierarchy.managers


def _build_index(
    people: IdentifiedPeople, persons: Mapping[Address, Person], left_out: Mapping[Address, str], rules: RosterRules
) -> PeopleIndex:
    """Return the index in which references to managers are looked up."""
    if rules.is_directory:
        index = PeopleIndex(f"is not in {rules.directory_name}", f"Correct the manager in {rules.directory_name}.")
    else:
        index = PeopleIndex("has no row in this file", "Add a row for this manager, or empty the cell.")
    for parsed in people.inactive:
        index.absence_texts |= dict.fromkeys(_list_names(parsed), "is not active any more")
    for email, reason in left_out.items():
        index.absence_texts |= dict.fromkeys(_list_names(people.active[email].parsed), reason)
    for email, person in persons.items():
        record = people.active[email].parsed.record
        index.addresses[email] = email
        index.record_places[email] = people.active[email].parsed.place
        index.add_name(person.name, email)
        if record.directory_id:
            index.directory_ids[record.directory_id.casefold()] = email
    index.addresses |= {name: alias.person for name, alias in people.aliases.items() if alias.person in persons}
    return index


def _list_names(parsed: ParsedRecord) -> list[str]:
    """Return the names by which a record may refer to a person as a manager: addresses, directory id and name, each in
    the form that is compared."""
    record, name = parsed.record, parsed.values.get("name", "")
    return [
        *map(normalize_alias, record.addresses),
        record.directory_id.casefold(),
        *([fold_name(name)] if name else []),
    ]


@dataclass
class _Hierarchy:
    """Collects the manager of each report in `managers`."""

    people: IdentifiedPeople
    persons: Mapping[Address, Person]
    rules: RosterRules
    stored_roster: StoredRoster
    index: PeopleIndex
    managers: dict[Address, Address] = field(default_factory=dict)
    #: the people who, because of a fault, keep the manager of their stored pair, or have none without such a pair
    reports_with_kept_manager: set[Address] = field(default_factory=set)

    @cached_property
    def positions(self) -> dict[Address, int]:
        """The position of each person in the directory."""
        return {email: position for position, email in enumerate(self.people.active)}

    def add_report(self, identified_record: IdentifiedRecord) -> None:
        """Find the manager of a person. A fault is added to the record."""
        email, parsed = identified_record.email, identified_record.parsed
        try:
            managers = list(dict.fromkeys(map(self.index.find_person, parsed.record.managers)))
        except InvalidValue as error:
            parsed.add_invalid_value("manager", error)
            self._keep_stored_manager(email)
            return
        if len(managers) > 1:
            names = " and ".join(f"`{manager}`" for manager in managers)
            parsed.add_fault("manager", f"This person has {len(managers)} managers: {names}.", "Keep one of them.")
            self._keep_stored_manager(email)
        elif email in managers:
            fault = "This person is their own manager."
            remedy = "Name another manager, or leave the cell empty for the head of the company."
            parsed.add_fault("manager", fault, remedy)
            self._keep_stored_manager(email)
        elif managers:
            self.managers[email] = managers[0]

    def refuse_managers_without_calendar(self) -> None:
        """Remove the managers whose calendar is `none`, so that the people whom they manage have no manager.

        Each of these managers is a fault, which is added to the manager's record.
        """
        report_counts = Counter(self.managers.values())
        refused_managers = {manager for manager in report_counts if not self.persons[manager].has_calendar}
        managers_in_order = [email for email in self.persons if email in refused_managers]
        for manager in managers_in_order:
            reports = "somebody" if report_counts[manager] == 1 else f"{report_counts[manager]:,} people"
            fault = f"`{manager}` manages {reports}, so this manager needs a calendar."
            remedy = "Name a calendar: only reports may have `none`."
            self.people.active[manager].parsed.add_fault("calendar", fault, remedy)
        self.managers = {email: manager for email, manager in self.managers.items() if manager not in refused_managers}

    def break_circles(self) -> None:
        """Add a fault for each circle of managers, and keep the stored managers of the people in them.

        Stored managers can form another circle, so this is repeated until there are no circles. In a circle of stored
        managers only, nobody gets a manager.
        """
        while circles := list(find_circles(self.managers)):
            for circle in circles:
                changeable_reports = [email for email in circle if email not in self.reports_with_kept_manager]
                if not changeable_reports:
                    for email in circle:
                        del self.managers[email]
                    continue
                self._report_circle(circle)
                for email in changeable_reports:
                    self._keep_stored_manager(email)

    def _report_circle(self, circle: Sequence[Address]) -> None:
        """Add the circle as a fault to the record of the person in it who comes first in the directory."""
        first = circle.index(min(circle, key=self.positions.__getitem__))
        rotated = [*circle[first:], *circle[:first]]
        ellipsis = ["…"] if len(rotated) > _MAX_NAMED else []
        names = " > ".join([*rotated[:_MAX_NAMED], *ellipsis, rotated[0]])
        fault = f"These people manage each other in a circle: {names}."
        self.people.active[rotated[0]].parsed.add_fault("manager", fault, "Somebody has to be at the top.")

    def _keep_stored_manager(self, email: Address) -> None:
        """Give a report the manager of the stored pair. Without one, or in a people file, the report has no manager."""
        self.reports_with_kept_manager.add(email)
        manager = self._find_stored_manager(email) if self.rules.is_directory else None
        if manager:
            self.managers[email] = manager
        else:
            self.managers.pop(email, None)

    def _find_stored_manager(self, email: Address) -> Address | None:
        """Return the present address of the manager of the stored pair, who is also found by directory id when the
        address has changed. Return None when there is no stored pair, or when this manager is not in the roster."""
        stored_address = self.people.active[email].find_stored_address(self.stored_roster)
        stored_manager = self.stored_roster.managers.get(stored_address, "")
        directory_id = self.stored_roster.directory_ids.get(stored_manager, "")
        manager = self.people.find_owner(stored_manager) or self.people.find_owner(directory_id)
        return manager if manager in self.persons and manager != email else None
