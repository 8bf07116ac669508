"""The resolver makes a roster of records: identities, managers, and the effects of a directory's faults."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.domain.model import AliasSource, PairId, PersonAlias
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord
from worker.roster.identify import make_directory_alias
from worker.roster.managers import find_circles
from worker.roster.model import Roster, RosterRules, StoredRoster
from worker.roster.resolve import resolve_roster
from worker.settings.problem_report import ProblemReport

TODAY = date(2027, 1, 15)
#: The rules for a roster from a directory, which gives each person an id; calendars of Outlook know zone and hours.
DIRECTORY_RULES = RosterRules(
    today=TODAY,
    calendars=["caldav", "outlook"],
    mailers=["smtp"],
    habit_columns={"outlook": ["time_zone", "working_hours"]},
    directory_name="Example Directory",
    id_namespace="example",
)
ANN, BO, CY = "ann@x.example", "bo@x.example", "cy@x.example"


def make_record(address: str, *managers: str | ManagerReference, **fields: Any) -> RosterRecord:
    references = tuple(m if isinstance(m, ManagerReference) else ManagerReference(m) for m in managers)
    defaults: dict[str, Any] = {"name": address[:2].title(), "time_zone": "Europe/Berlin", "country": "DE"}
    return RosterRecord(
        where=f"user {address[:2]}", addresses=(address,), managers=references, **{**defaults, **fields}
    )


def resolve(
    records: Sequence[RosterRecord], rules: RosterRules = DIRECTORY_RULES, stored: StoredRoster | None = None
) -> tuple[Roster, list[str]]:
    """Return the roster of these records, and the faults."""
    report = ProblemReport(rules.directory_name or "people.csv", "people")
    roster = resolve_roster(records, rules, report, stored_roster=stored or StoredRoster())
    return roster, [str(problem) for problem in report.build_problems()]


@pytest.mark.parametrize(
    "reference",
    [
        ManagerReference("ID-ANN", ReferenceKind.DIRECTORY_ID),
        ManagerReference("ANN@x.example", ReferenceKind.ADDRESS),
        ManagerReference("a.doe@x.example", ReferenceKind.ADDRESS),
        ManagerReference("/o=exchange/cn=ann", ReferenceKind.ADDRESS),
        ManagerReference("Doe, Ann"),
        ManagerReference("ann  doe"),
        ManagerReference("id-ann"),
        ManagerReference("Ann Doe <ann@x.example>"),
    ],
    ids=lambda reference: reference.text,
)
def test_a_manager_is_found_by_id_address_alias_or_name(reference: ManagerReference) -> None:
    ann = make_record(ANN, name="Ann Doe", directory_id="id-ann")
    ann = replace(ann, addresses=(*ann.addresses, "A.Doe@x.example", "/o=Exchange/cn=Ann"))
    roster, faults = resolve([make_record(BO, reference), ann])
    assert (list(roster.pairs), faults) == ([PairId(ANN, BO)], [])


def test_a_reference_is_looked_up_only_as_its_kind() -> None:
    ann = make_record(ANN, name="Ann Doe", directory_id="7")
    for reference in (
        ManagerReference("Ann Doe", ReferenceKind.ADDRESS),
        ManagerReference(ANN, ReferenceKind.DIRECTORY_ID),
        ManagerReference("7", ReferenceKind.ADDRESS),
    ):
        roster, faults = resolve([ann, make_record(BO, reference)])
        assert not roster.pairs and len(faults) == 1


def test_directory_ids_get_a_namespace_unless_they_are_unique() -> None:
    """The number 7 is another person in another directory, but an object id of Entra is unique."""
    object_id = "0F1E2D3C-0000-4000-8000-123456789ABC"
    roster, _ = resolve([make_record(ANN, directory_id="7"), make_record(BO, directory_id=object_id)])
    assert list(roster.aliases) == [
        PersonAlias("example:7", ANN, AliasSource.DIRECTORY),
        PersonAlias(object_id.casefold(), BO, AliasSource.DIRECTORY),
    ]


def test_a_second_record_with_an_address_or_an_id_is_reported() -> None:
    roster, faults = resolve(
        [make_record(ANN, directory_id="1"), make_record(ANN, directory_id="2"), make_record(BO, directory_id="1")]
    )
    assert set(roster.persons) == {ANN, BO}
    fault_of_address, fault_of_id = faults
    assert "is in user an (ann@x.example) already" in fault_of_address
    assert f"`example:1` belongs to `{ANN}` in user an ({ANN}) already." in fault_of_id


def test_a_former_address_with_another_id_is_refused() -> None:
    """Unless the rules accept new ids, or the stored id is of another directory."""
    stored = StoredRoster(owners={ANN: ANN}, former_people={ANN}, directory_ids={ANN: "example:1"})
    records = [make_record(ANN, directory_id="2"), make_record(BO, ANN)]
    roster, faults = resolve(records, stored=stored)
    assert set(roster.persons) == {BO}
    assert "belonged to somebody else, who left" in faults[0]
    assert set(resolve(records, replace(DIRECTORY_RULES, accepts_new_ids=True), stored)[0].persons) == {ANN, BO}
    same_id = [make_record(ANN, directory_id="1")]
    assert set(resolve(same_id, stored=stored)[0].persons) == {ANN}
    other_directory = replace(stored, directory_ids={ANN: "other:9"})
    assert set(resolve(records, stored=other_directory)[0].persons) == {ANN, BO}


def test_a_person_without_any_time_zone_is_left_out() -> None:
    """The zone comes from the directory, from the calendar or from the settings, and is never guessed."""
    with_zone, without_zone = make_record(ANN), make_record(BO, time_zone="")
    with_habits = make_record(CY, time_zone="", wishes={"calendar": "outlook"})
    roster, faults = resolve([with_zone, without_zone, with_habits])
    assert set(roster.persons) == {ANN, CY}
    assert roster.unset_columns == {CY: frozenset({"time_zone", "working_hours"})}
    assert len(faults) == 1 and "left out" in faults[0]
    roster, faults = resolve([without_zone], replace(DIRECTORY_RULES, default_zone="Asia/Tokyo"))
    assert (roster.persons[BO].zone, faults) == ("Asia/Tokyo", [])


def test_an_unusable_value_is_reported_and_replaced_by_the_default() -> None:
    roster, faults = resolve(
        [make_record(ANN, locale="klingon", working_hours="nine to five", name="=1+1", group="+1")]
    )
    assert (roster.persons[ANN].name, roster.persons[ANN].locale, roster.persons[ANN].group) == ("ann", "en", "")
    assert [fault.split(", ")[1].split(":")[0] for fault in faults] == ["name", "locale", "working_hours", "group"]


def test_the_fault_about_a_manager_left_out_gives_the_reason() -> None:
    _, (_, fault_of_bo) = resolve([make_record(ANN, country=""), make_record(BO, ANN)])
    assert f"`{ANN}` is left out, without a country." in fault_of_bo


def test_a_pair_with_a_fault_stays_when_both_addresses_have_changed() -> None:
    """The stored pair has the former addresses of both, and the directory names a manager who does not exist."""
    stored = StoredRoster(managers={"bo@old.example": "ann@old.example"}, owners={"bo@old.example": "bo@old.example"})
    ann, bo = make_record(ANN), make_record(BO, "zed@x.example")
    ann, bo = replace(ann, addresses=(ANN, "ann@old.example")), replace(bo, addresses=(BO, "bo@old.example"))
    roster, faults = resolve([ann, bo], stored=stored)
    assert list(roster.pairs) == [PairId(ANN, BO)] and len(faults) == 1


NAMES = st.sampled_from(
    ["", "a@x.example", "b@x.example", "c@x.example", "d@x.example", "7", "8", "Ann", "Doe, Ann", "=1"]
)
REFERENCES = st.builds(ManagerReference, NAMES, st.sampled_from(list(ReferenceKind)))
TEXTS = st.text(max_size=6) | st.sampled_from(["Europe/Berlin", "DE", "de", "Mon-Fri 09:00-17:00", "2027-01-01"])
RECORDS = st.builds(
    RosterRecord,
    where=st.sampled_from(["user 1", "line 2"]),
    directory_id=NAMES | st.text(max_size=4),
    addresses=st.lists(NAMES, max_size=3).map(tuple),
    name=NAMES | TEXTS,
    managers=st.lists(REFERENCES, max_size=2).map(tuple),
    time_zone=st.just("Europe/Berlin") | TEXTS,
    country=st.just("DE") | TEXTS,
    locale=TEXTS,
    working_hours=TEXTS,
    group=TEXTS,
    is_active=st.booleans(),
    hire_date=TEXTS,
    wishes=st.dictionaries(st.sampled_from(["start", "every", "paused", "calendar"]), TEXTS, max_size=2),
)
#: Records without a fault, except for their managers. Nearly every random record has a fault.
ADDRESSES = st.sampled_from([ANN, BO, CY])
GOOD_RECORDS = st.builds(make_record, ADDRESSES) | st.builds(make_record, ADDRESSES, ADDRESSES)
STORED = st.dictionaries(NAMES, NAMES, max_size=4).map(
    lambda managers: StoredRoster(managers=managers, owners={name: name for name in managers})
)


@given(st.lists(RECORDS | GOOD_RECORDS, max_size=6), STORED, st.booleans())
@example([make_record(ANN, directory_id="7"), make_record(BO, ANN), make_record(CY, BO)], StoredRoster(), False)
@example(
    [make_record(ANN, ANN), make_record(BO, wishes={"calendar": "none"}), make_record(CY, BO)],
    StoredRoster(),
    False,
)
def test_any_records_give_a_consistent_roster(
    records: list[RosterRecord], stored: StoredRoster, starts_with_hire: bool
) -> None:
    roster, _ = resolve(records, replace(DIRECTORY_RULES, starts_with_hire=starts_with_hire), stored)
    managers = {pair_id.report: pair_id.manager for pair_id in roster.pairs}
    assert len(managers) == len(roster.pairs)
    assert {*managers, *managers.values()} <= set(roster.persons)
    assert all(report != manager for report, manager in managers.items())
    assert list(find_circles(managers)) == []
    assert all(roster.persons[manager].has_calendar for manager in managers.values())
    names = [alias.alias for alias in roster.aliases]
    assert len(set(names)) == len(names) and not set(names) & set(roster.persons)
    assert all(alias.person in roster.persons for alias in roster.aliases)


@pytest.mark.parametrize(
    ("directory_id", "namespace", "expected"),
    [("ABC", "", "abc"), ("ABC", "google", "google:abc"), ("0" * 8 + "-0000-0000-0000-" + "A" * 12, "x", None)],
)
def test_make_directory_alias_adds_a_namespace_unless_the_id_is_unique(
    directory_id: str, namespace: str, expected: str | None
) -> None:
    assert make_directory_alias(directory_id, namespace) == (expected or directory_id.casefold())
