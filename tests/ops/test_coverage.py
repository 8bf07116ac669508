"""Coverage of a quarter (R-22): counts in groups of at least five pairs and three managers, never about one person."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from sqlalchemy import Table, update

from tests.support.companies import DAY, HOUR, Office, company, contract, new_store, person, settings
from worker.cli import main
from worker.domain.disclosure import OTHERS, choose_groups, is_large_enough
from worker.domain.model import Owner, PairId, Session, SessionKind
from worker.ops.coverage import (
    ALL,
    Coverage,
    CoverageGroup,
    Quarter,
    build_coverage,
    count_coverage,
    find_quarter,
)
from worker.store import tables
from worker.store.store import Store

QUARTER = Quarter(2026, 4)
#: When the simulated quarter is counted: nearly two days before its end.
LATE_IN_QUARTER = datetime(2026, 12, 30, 12, tzinfo=UTC)


# --- quarters ---


@pytest.mark.parametrize(
    ("day", "name", "first", "last"),
    [
        (date(2026, 1, 1), "2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        (date(2028, 2, 29), "2028-Q1", date(2028, 1, 1), date(2028, 3, 31)),
        (date(2026, 9, 30), "2026-Q3", date(2026, 7, 1), date(2026, 9, 30)),
        (date(2026, 12, 31), "2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
    ],
)
def test_quarter_is_three_calendar_months(day: date, name: str, first: date, last: date) -> None:
    quarter = find_quarter(day)
    assert (str(quarter), quarter.first_day, quarter.last_day) == (name, first, last)
    assert quarter.end - quarter.start == (last - first) + timedelta(days=1)


# --- groups ---


def make_group(name: str, size: int, managers: int = 3) -> dict[PairId, str]:
    """Return `size` pairs with their group `name`, spread over `managers` managers."""
    return {PairId(f"{name}{number % managers}", f"{name}-{number}"): name for number in range(size)}


def build_coverage_of(by: str = "country", **group_names: dict[PairId, str]) -> Coverage:
    """Return the coverage by the grouping `by`, of pairs that each held one conversation.

    `group_names`: the group of each pair, by the name of the grouping: `group`, `country` or `zone`.
    """
    counts = {pair: CoverageGroup(str(pair), pairs=1, held=1) for names in group_names.values() for pair in names}
    return build_coverage(counts, group_names, by, QUARTER)


def build_coverage_of_sizes(**sizes: int) -> Coverage:
    """Return the coverage by country of countries with these numbers of pairs, and three managers each."""
    groups = [make_group(name, size) for name, size in sizes.items()]
    return build_coverage_of(country={pair: name for group in groups for pair, name in group.items()})


def test_r22_small_groups_are_combined_into_others() -> None:
    """R-22: fewer than five pairs are too few; those of France and Italy are enough together."""
    coverage = build_coverage_of_sizes(de=7, fr=3, it=2, us=5)
    assert [(group.name, group.pairs) for group in coverage.groups] == [("de", 7), ("us", 5), (OTHERS, 5)]
    assert coverage.hidden_count == 0
    assert coverage.total is not None
    assert (coverage.total.name, coverage.total.pairs, coverage.total.held) == (ALL, 17, 17)


def test_r22_small_remainder_is_not_counted() -> None:
    """R-22: France and Italy have four pairs together, which are hidden."""
    coverage = build_coverage_of_sizes(de=7, fr=3, us=5, it=1)
    assert [group.name for group in coverage.groups] == ["de", "us"]
    assert coverage.hidden_count == 4
    assert coverage.total is not None
    assert coverage.total.pairs == 12  # the total leaves out the hidden pairs, so that subtraction does not reveal them
    assert build_coverage_of_sizes(de=4).groups == ()
    assert build_coverage_of_sizes(de=4).hidden_count == 4


def test_r22_a_group_has_at_least_three_managers() -> None:
    """Counts of pairs of only two managers would reveal too much about each of the two."""
    two_managers, three_managers = (build_coverage_of(country=make_group("de", 9, managers)) for managers in (2, 3))
    assert (two_managers.groups, two_managers.hidden_count) == ((), 9)
    assert [group.pairs for group in three_managers.groups] == [9]


def test_r22_no_two_views_give_a_smaller_group_by_subtraction() -> None:
    """R-22: all designers but one live in Berlin; the difference of both counts would be about that person alone."""
    designers = make_group("design", 7)
    zones = {pair: "Lisbon" if number == 0 else "Berlin" for number, pair in enumerate(designers)}
    by_group, by_zone = (build_coverage_of(by, group=designers, zone=zones) for by in ("group", "zone"))
    assert [(group.name, group.pairs) for group in by_group.groups] == [("design", 7)]
    assert [(group.name, group.pairs) for group in by_zone.groups] == [(OTHERS, 7)]
    only_by_zone = build_coverage_of("zone", zone=zones)
    assert [group.pairs for group in only_by_zone.groups] == [6]  # Berlin is shown where there is no other grouping


def list_differences(shown_sets: list[frozenset[PairId]]) -> list[frozenset[PairId]]:
    """Return every set of pairs whose sum follows from adding and subtracting up to four sums that are shown."""
    unions = [*shown_sets, *(first | second for first in shown_sets for second in shown_sets if not first & second)]
    return [first - second for first in unions for second in unions if second < first]


@effort(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.tuples(*(st.integers(0, 3),) * 3)), max_size=45))
def test_r22_groups_in_views_and_between_them_are_large_enough(rows: list[tuple[int, tuple[int, int, int]]]) -> None:
    """R-22: this holds for each group that is shown, and for each that follows by adding and subtracting.

    `rows`: of each pair, the number of its manager, and of its group, country and zone.
    """
    pairs = {PairId(f"m{manager}", f"r{number}"): groups for number, (manager, groups) in enumerate(rows)}
    group_names = {
        name: {pair: str(groups[position]) for pair, groups in pairs.items()}
        for position, name in enumerate(("group", "country", "zone"))
    }
    chosen = choose_groups(group_names)
    shown_sets = [members for groups in chosen.values() for members in groups.values()]
    assert all(map(is_large_enough, shown_sets))
    assert all(map(is_large_enough, list_differences(shown_sets)))
    for groups in chosen.values():
        assert sum(map(len, groups.values())) == len(frozenset().union(*groups.values()))  # no pair is in two groups
    large = {
        name
        for name in "0123"
        if is_large_enough([pair for pair, group in group_names["group"].items() if group == name])
    }
    assert chosen["group"].keys() - {OTHERS} == large  # the first grouping keeps all its large groups


# --- counts of a company late in a simulated quarter ---


@pytest.fixture(scope="module")
def database_late_in_quarter(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Path:
    """A company whose pairs, six in Germany and three in France, held their sessions. Four pairs recorded contracts."""
    file = tmp_path_factory.mktemp("coverage") / "longarc.db"
    shutil.copy(sqlite_schema, file)
    persons, company_pairs = company(9, reports=2)
    first_day = date(2026, 10, 5)
    # With this start, all first sessions are within weeks.
    company_pairs = {pair_id: replace(company_pair, start=first_day) for pair_id, company_pair in company_pairs.items()}
    for email in ("r6@corp.example", "r7@corp.example", "r8@corp.example"):
        persons[email] = person(email, "Europe/Paris", "FR")
    persons["r0@corp.example"] = person("r0@corp.example", country="DE-BY")  # a region of Germany counts as Germany
    company_settings = settings(
        f"sqlite:///{file}", sync={"every": "24 hours", "near": "24 hours", "full_every": "7 days"}
    )
    office = Office(
        company_settings.database,
        persons,
        company_pairs,
        at=datetime(2026, 10, 5, 6, tzinfo=UTC),
        office_settings=company_settings,
    )
    office.run_to(datetime(2026, 11, 16, 6, tzinfo=UTC))
    for session in list_held_sessions(office.store)[:4]:
        office.worker.contracts.record(session.id, contract(office.clock()))
    office.run_to(LATE_IN_QUARTER)
    office.close()
    return file


@pytest.fixture
def store(database_late_in_quarter: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(database_late_in_quarter, tmp_path / "longarc.db")
    store = new_store(f"sqlite:///{tmp_path / 'longarc.db'}")
    yield store
    store.close()


def list_held_sessions(store: Store) -> list[Session]:
    """Return the career sessions that were held, sorted by pair."""
    sessions = [
        session for session in store.queries.list_sessions() if session.held_at and session.kind is SessionKind.CAREER
    ]
    return sorted(sessions, key=lambda session: session.pair)


def update_row(store: Store, table: Table, row_id: str | PairId, **values: object) -> None:
    """Set these columns of one row."""
    with store.database.write() as connection:
        connection.execute(update(table).where(table.c.id == row_id).values(**values))


def count_germany(store: Store, quarter: Quarter = QUARTER, now: datetime = LATE_IN_QUARTER) -> CoverageGroup:
    """Return the counts of Germany, the only country that is shown."""
    (group,) = count_coverage(store, quarter, now).groups
    assert group.name == "DE"
    return group


def test_each_pair_counts_as_held_missing_or_due_later(store: Store) -> None:
    coverage = count_coverage(store, QUARTER, LATE_IN_QUARTER)
    assert [(group.name, group.pairs, group.held) for group in coverage.groups] == [("DE", 6, 6)]
    assert (coverage.hidden_count, coverage.total) == (3, None)  # three pairs in France are too few to show
    first, second, third = list_held_sessions(store)[:3]
    later = QUARTER.end + 20 * DAY
    not_held = {"held_at": None, "closed": False}
    # the first is owed, the second is due in the next quarter, and the third is booked in this one
    update_row(store, tables.session, first.id, **not_held, state="owed", start=None, end=None)
    update_row(
        store, tables.session, second.id, **not_held, state="booked", start=later, end=later + HOUR, target=later
    )
    update_row(
        store,
        tables.session,
        third.id,
        **not_held,
        state="booked",
        start=LATE_IN_QUARTER + HOUR,
        end=LATE_IN_QUARTER + 2 * HOUR,
    )
    group = count_germany(store)
    assert (group.held, group.missing, group.due_later, group.booked) == (3, 1, 1, 1)


def test_series_counts_once_when_its_last_part_is_held(store: Store) -> None:
    """R-4, T-13: a conversation counts as held only when the last of its three parts, `gap`, is held."""
    first, second = list_held_sessions(store)[:2]
    update_row(store, tables.session, first.id, topic="gap")
    update_row(store, tables.session, second.id, topic="direction", closed=True)
    group = count_germany(store)
    assert group.held == 5
    assert (len(group.days_late), len(group.contract_outcomes)) == (5, 5)


def test_ad_hoc_session_does_not_replace_the_regular_session(store: Store) -> None:
    """T-14: the regular conversation of the pair stays due. The ad hoc session still needs a contract."""
    update_row(store, tables.session, list_held_sessions(store)[0].id, adhoc=True)
    group = count_germany(store)
    assert (group.held, len(group.days_late), len(group.contract_outcomes)) == (5, 5, 6)


def test_session_that_is_held_after_a_deferral_counts_once(store: Store) -> None:
    """R-8: a session that was deferred once counts as one conversation, and only when it is held."""
    session = list_held_sessions(store)[0]
    update_row(store, tables.session, session.id, state="held", count=1)  # the count of deferrals
    assert count_germany(store).held == 6
    update_row(store, tables.session, session.id, state="deferred", held_at=None, closed=False, start=None, end=None)
    assert count_germany(store).held == 5


def test_other_quarters_contain_no_counts_of_this_quarter(store: Store) -> None:
    group = count_germany(store, Quarter(2026, 3))
    assert (group.held, group.missing, group.contract_outcomes, group.deferrals) == (0, 0, [], 0)
    assert count_coverage(store, Quarter(2026, 2), LATE_IN_QUARTER).groups == ()  # the company had no pairs yet


def test_contracts_in_time_and_days_late_are_counted(store: Store) -> None:
    """R-15: a contract is in time within 48 hours. Lateness is counted from the target day."""
    sessions = list_held_sessions(store)[:6]
    group = count_germany(store)
    assert sorted(group.contract_outcomes) == [False] * 6  # no contract was recorded within 48 hours
    for session in sessions[:3]:
        with store.database.write() as connection:
            recorded_at = (session.held_at or LATE_IN_QUARTER) + 47 * HOUR
            connection.execute(
                update(tables.contract).where(tables.contract.c.session == session.id).values(recorded_at=recorded_at)
            )
    assert sorted(count_germany(store).contract_outcomes) == [False] * 3 + [True] * 3
    for number, session in enumerate(sessions):
        assert session.held_at
        # from four days before the target to six days after it, which is 0 to 6 days late
        update_row(store, tables.session, session.id, target=session.held_at - (2 * number - 4) * DAY)
    assert sorted(count_germany(store).days_late) == [0, 0, 0, 2, 4, 6]
    assert count_germany(store).median_days_late == 1


def test_only_deferrals_of_the_quarter_are_counted(store: Store) -> None:
    session = list_held_sessions(store)[0]
    # two in the quarter, and one on the day before it
    with store.database.write() as connection:
        for number, at in enumerate((LATE_IN_QUARTER, LATE_IN_QUARTER - 9 * DAY, QUARTER.start - DAY), 1):
            row = {"session": session.id, "number": number, "at": at, "cause": "declined", "who": ""}
            connection.execute(tables.deferral.insert().values(**row))
    assert count_germany(store).deferrals == 2


def test_r20_kept_commitments_are_counted_for_each_owner(store: Store) -> None:
    """In four pairs both made commitments. One that was let go or is due later does not count as broken."""
    manager_commitments = {
        commitment.pair: commitment
        for commitment in store.queries.list_commitments()
        if commitment.owner is Owner.MANAGER
    }
    pair_ids = sorted(manager_commitments)
    assert count_germany(store).commitment_outcomes == {Owner.MANAGER: [False] * 4, Owner.REPORT: [False] * 4}
    update_row(
        store, tables.commitment, manager_commitments[pair_ids[0]].id, standing="done", closed_at=LATE_IN_QUARTER
    )
    update_row(
        store, tables.commitment, manager_commitments[pair_ids[1]].id, standing="let_go", closed_at=LATE_IN_QUARTER
    )
    update_row(store, tables.commitment, manager_commitments[pair_ids[2]].id, due=QUARTER.last_day + DAY)
    commitments = count_germany(store).commitment_outcomes
    assert sorted(commitments[Owner.MANAGER]) == [False, True]
    assert len(commitments[Owner.REPORT]) == 4


def test_paused_and_ended_pairs_are_not_counted(store: Store) -> None:
    update_row(
        store, tables.pair, PairId("m0@corp.example", "r0@corp.example"), rests=True
    )  # paused in the people file
    assert count_germany(store).pairs == 5
    update_row(store, tables.pair, PairId("m0@corp.example", "r1@corp.example"), ended="report_left")
    coverage = count_coverage(store, QUARTER, LATE_IN_QUARTER)
    assert [(group.name, group.pairs) for group in coverage.groups] == [
        (OTHERS, 7)
    ]  # four in Germany and three in France


# --- output of the command ---


def run_coverage_command(folder: Path, *options: str) -> str:
    env = {"LONGARC_DATABASE_URL": f"sqlite:///{folder / 'longarc.db'}", "COLUMNS": "160", "LONGARC_CONFIG": None}
    result = CliRunner(env=env).invoke(main, ["coverage", "--quarter", "2026-Q4", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_r22_the_output_names_no_person_and_no_small_group(store: Store, tmp_path: Path) -> None:
    table, json_output = run_coverage_command(tmp_path), json.loads(run_coverage_command(tmp_path, "--json"))
    for output in (table, json.dumps(json_output)):
        assert "@" not in output
        assert not any(name.partition("@")[0].title() in output.split() for name in store.people.load_current_people())
    assert "3 pairs are in groups of fewer than 5 pairs or 3 managers, and not counted above." in table
    assert json_output["pairs_not_shown"] == 3
    (group,) = json_output["groups"]
    assert (group["name"], group["pairs"], group["held"]) == ("DE", 6, 6)
    assert group["contracts"] == {"due": 6, "within_48_hours": 0}
    by_zone = json.loads(run_coverage_command(tmp_path, "--json", "--by", "zone"))
    assert [group_row["name"] for group_row in by_zone["groups"]] == ["Europe/Berlin"]


def test_r22_a_company_of_small_groups_reads_why_nothing_is_shown(store: Store, tmp_path: Path) -> None:
    """Four pairs are left, the others are paused."""
    pairs = sorted(store.people.load_all_pairs())
    for pair_id in pairs[4:]:
        update_row(store, tables.pair, pair_id, rests=True)
    output = run_coverage_command(tmp_path)
    assert output == "4 pairs are in groups of fewer than 5 pairs or 3 managers, so nothing is shown.\n"


def test_r22_groups_of_the_people_file_are_counted(store: Store, tmp_path: Path) -> None:
    """Five of the six reports in Germany are designers. The group is shown, and the country no longer is."""
    result = CliRunner(
        env={"LONGARC_DATABASE_URL": f"sqlite:///{tmp_path / 'longarc.db'}", "LONGARC_CONFIG": None}
    ).invoke(main, ["coverage", "--by", "group"])
    assert result.exit_code == 1 and "The people file names no groups." in result.output
    with store.database.write() as connection:
        designers = [f"r{number}@corp.example" for number in range(5)]
        connection.execute(update(tables.person).where(tables.person.c.email.in_(designers)).values(group="Design"))
    json_output = json.loads(run_coverage_command(tmp_path, "--json"))
    assert (json_output["by"], [(group_row["name"], group_row["pairs"]) for group_row in json_output["groups"]]) == (
        "group",
        [("Design", 5)],
    )
    assert json_output["pairs_not_shown"] == 4  # of one report in Germany and three in France
    assert json.loads(run_coverage_command(tmp_path, "--json", "--by", "country"))["groups"] == []
