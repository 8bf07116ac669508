"""R-22: what good looks like, in groups of five pairs and three managers or more, and never about one person."""

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
AFTER = datetime(2026, 12, 30, 12, tzinfo=UTC)


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
def test_a_quarter_is_three_months(day: date, name: str, first: date, last: date) -> None:
    found = find_quarter(day)
    assert (str(found), found.first_day, found.last_day) == (name, first, last)
    assert found.end - found.start == (last - first) + timedelta(days=1)


# --- groups ---


def make_group(name: str, size: int, managers: int = 3) -> dict[PairId, str]:
    """So many pairs of that group, with so many managers."""
    return {PairId(f"{name}{n % managers}", f"{name}-{n}"): name for n in range(size)}


def folded(by: str = "country", **group_names: dict[PairId, str]) -> Coverage:
    """What is shown of these groupings; one conversation was held in each pair."""
    counts = {pair: CoverageGroup(str(pair), pairs=1, held=1) for names in group_names.values() for pair in names}
    return build_coverage(counts, group_names, by, QUARTER)


def sized(**sizes: int) -> Coverage:
    """Groups of so many pairs, with three managers each."""
    groups = [make_group(name, size) for name, size in sizes.items()]
    return folded(country={pair: name for group in groups for pair, name in group.items()})


def test_r22_small_groups_are_folded_into_the_others() -> None:
    told = sized(de=7, fr=3, it=2, us=5)
    assert [(group.name, group.pairs) for group in told.groups] == [("de", 7), ("us", 5), (OTHERS, 5)]
    assert told.hidden_count == 0
    assert told.total is not None
    assert (told.total.name, told.total.pairs, told.total.held) == (ALL, 17, 17)


def test_r22_others_that_are_too_few_are_counted_nowhere() -> None:
    told = sized(de=7, fr=3, us=5, it=1)
    assert [group.name for group in told.groups] == ["de", "us"]
    assert told.hidden_count == 4
    assert told.total is not None
    assert told.total.pairs == 12  # nothing follows from subtracting
    assert sized(de=4).groups == ()
    assert sized(de=4).hidden_count == 4


def test_r22_a_group_has_at_least_three_managers() -> None:
    """Five pairs of two managers say too much about each of the two."""
    two, three = (folded(country=make_group("de", 9, managers)) for managers in (2, 3))
    assert (two.groups, two.hidden_count) == ((), 9)
    assert [group.pairs for group in three.groups] == [9]


def test_r22_no_two_views_give_a_smaller_group_by_subtraction() -> None:
    """All but one of the designers live in Berlin: who sees both counts would know about that one."""
    designers = make_group("design", 7)
    zones = {pair: "Lisbon" if n == 0 else "Berlin" for n, pair in enumerate(designers)}
    by_group, by_zone = (folded(by, group=designers, zone=zones) for by in ("group", "zone"))
    assert [(group.name, group.pairs) for group in by_group.groups] == [("design", 7)]
    assert [(group.name, group.pairs) for group in by_zone.groups] == [(OTHERS, 7)]
    assert [group.pairs for group in folded("zone", zone=zones).groups] == [6]  # alone it would be shown


def find_smallest_difference(shown: list[frozenset[PairId]]) -> list[frozenset[PairId]]:
    """Every set of pairs whose sum follows from adding and subtracting two sums that are shown."""
    unions = [*shown, *(a | b for a in shown for b in shown if not a & b)]
    return [a - b for a in unions for b in unions if b < a]


@effort(max_examples=120, deadline=None)
@given(st.lists(st.tuples(*(st.integers(0, 3),) * 3, st.integers(0, 5)), max_size=45))
def test_r22_groups_in_views_and_between_them_are_large_enough(rows: list[tuple[int, int, int, int]]) -> None:
    pairs = {PairId(f"m{row[3]}", f"r{n}"): row for n, row in enumerate(rows)}
    group_names = {
        name: {pair: str(row[k]) for pair, row in pairs.items()} for k, name in enumerate(("group", "country", "zone"))
    }
    chosen = choose_groups(group_names)
    shown = [members for groups in chosen.values() for members in groups.values()]
    assert all(map(is_large_enough, shown))
    assert all(map(is_large_enough, find_smallest_difference(shown)))
    for groups in chosen.values():
        assert sum(map(len, groups.values())) == len(frozenset().union(*groups.values()))  # none is counted twice
    large = {name for name in "0123" if is_large_enough([p for p, own in group_names["group"].items() if own == name])}
    assert chosen["group"].keys() - {OTHERS} == large  # the first grouping loses nothing to the others


# --- counted on a company that lived through a quarter ---


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Path:
    """Six pairs in Germany, three in France, whose sessions were all held; contracts came in time, late, or never."""
    file = tmp_path_factory.mktemp("coverage") / "longarc.db"
    shutil.copy(sqlite_schema, file)
    persons, listed = company(9, reports=2)
    begun = date(2026, 10, 5)
    listed = {pair_id: replace(one, start=begun) for pair_id, one in listed.items()}  # so that all meet within weeks
    for email in ("r6@corp.example", "r7@corp.example", "r8@corp.example"):
        persons[email] = person(email, "Europe/Paris", "FR")
    persons["r0@corp.example"] = person("r0@corp.example", country="DE-BY")  # Germany all the same
    known = settings(f"sqlite:///{file}", sync={"every": "24 hours", "near": "24 hours", "full_every": "7 days"})
    office = Office(known.database, persons, listed, at=datetime(2026, 10, 5, 6, tzinfo=UTC), known=known)
    office.run_to(datetime(2026, 11, 16, 6, tzinfo=UTC))
    for session in held(office.store)[:4]:
        office.worker.contracts.record(session.id, contract(office.clock()))
    office.run_to(AFTER)
    office.close()
    return file


@pytest.fixture
def store(lived: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(lived, tmp_path / "longarc.db")
    made = new_store(f"sqlite:///{tmp_path / 'longarc.db'}")
    yield made
    made.close()


def held(store: Store) -> list[Session]:
    """The conversations that took place, in order of their pairs."""
    found = [one for one in store.queries.list_sessions() if one.held_at and one.kind is SessionKind.CAREER]
    return sorted(found, key=lambda one: one.pair)


def alter(store: Store, table: Table, one: str | PairId, **values: object) -> None:
    """Have a row be otherwise."""
    with store.database.write() as connection:
        connection.execute(update(table).where(table.c.id == one).values(**values))


def germany(store: Store, quarter: Quarter = QUARTER, now: datetime = AFTER) -> CoverageGroup:
    (group,) = count_coverage(store, quarter, now).groups
    assert group.name == "DE"
    return group


def test_each_pair_counts_as_held_missing_or_due_later(store: Store) -> None:
    told = count_coverage(store, QUARTER, AFTER)
    assert [(group.name, group.pairs, group.held) for group in told.groups] == [("DE", 6, 6)]
    assert (told.hidden_count, told.total) == (3, None)  # three in France are too few
    first, second, third = held(store)[:3]
    later = QUARTER.end + 20 * DAY
    open_ = {"held_at": None, "closed": False}
    alter(store, tables.session, first.id, **open_, state="owed", start=None, end=None)
    alter(store, tables.session, second.id, **open_, state="booked", start=later, end=later + HOUR, target=later)
    alter(store, tables.session, third.id, **open_, state="booked", start=AFTER + HOUR, end=AFTER + 2 * HOUR)
    group = germany(store)
    assert (group.held, group.missing, group.due_later, group.booked) == (3, 1, 1, 1)


def test_a_series_counts_once_and_only_with_its_last_part(store: Store) -> None:
    """R-4, T-13: with two of three parts held, the conversation is not held yet."""
    first, second = held(store)[:2]
    alter(store, tables.session, first.id, topic="gap")
    alter(store, tables.session, second.id, topic="direction", closed=True)
    group = germany(store)
    assert group.held == 5
    assert (len(group.days_late), len(group.contracts)) == (5, 5)


def test_an_ad_hoc_talk_takes_no_conversations_place(store: Store) -> None:
    """T-14: the pair's regular conversation stays due; the talk's contract is asked for all the same."""
    alter(store, tables.session, held(store)[0].id, adhoc=True)
    group = germany(store)
    assert (group.held, len(group.days_late), len(group.contracts)) == (5, 5, 6)


def test_a_session_that_was_not_held_after_all_counts_once(store: Store) -> None:
    """R-8: said not held, booked again and held: one conversation."""
    session = held(store)[0]
    alter(store, tables.session, session.id, state="held", count=1)
    assert germany(store).held == 6
    alter(store, tables.session, session.id, state="deferred", held_at=None, closed=False, start=None, end=None)
    assert germany(store).held == 5


def test_another_quarter_knows_nothing_of_this_one(store: Store) -> None:
    group = germany(store, Quarter(2026, 3))
    assert (group.held, group.missing, group.contracts, group.deferrals) == (0, 0, [], 0)
    assert count_coverage(store, Quarter(2026, 2), AFTER).groups == ()  # nobody was there yet


def test_contracts_in_time_and_days_late_are_counted(store: Store) -> None:
    """R-15: of six, three were recorded in time, one too late, and two never."""
    sessions = held(store)[:6]
    group = germany(store)
    assert sorted(group.contracts) == [False] * 6  # all were recorded long after, if at all
    for one in sessions[:3]:
        with store.database.write() as connection:
            at = (one.held_at or AFTER) + 47 * HOUR
            connection.execute(
                update(tables.contract).where(tables.contract.c.session == one.id).values(recorded_at=at)
            )
    assert sorted(germany(store).contracts) == [False] * 3 + [True] * 3
    for n, one in enumerate(sessions):
        assert one.held_at
        alter(store, tables.session, one.id, target=one.held_at - (2 * n - 4) * DAY)
    assert sorted(germany(store).days_late) == [0, 0, 0, 2, 4, 6]
    assert germany(store).median_days_late == 1


def test_only_deferrals_of_the_quarter_are_counted(store: Store) -> None:
    one = held(store)[0]
    with store.database.write() as connection:
        for number, at in enumerate((AFTER, AFTER - 9 * DAY, QUARTER.start - DAY), 1):
            row = {"session": one.id, "number": number, "at": at, "cause": "declined", "who": ""}
            connection.execute(tables.deferral.insert().values(**row))
    assert germany(store).deferrals == 2


def test_r20_kept_commitments_are_counted_for_each_owner(store: Store) -> None:
    """The first four pairs promised something on each side; what has changed or was let go is no broken promise."""
    mine = {c.pair: c for c in store.queries.list_commitments() if c.owner is Owner.MANAGER}
    listed = sorted(mine)
    assert germany(store).commitments == {Owner.MANAGER: [False] * 4, Owner.REPORT: [False] * 4}
    alter(store, tables.commitment, mine[listed[0]].id, standing="done", closed_at=AFTER)
    alter(store, tables.commitment, mine[listed[1]].id, standing="let_go", closed_at=AFTER)
    alter(store, tables.commitment, mine[listed[2]].id, due=QUARTER.last_day + DAY)
    kept = germany(store).commitments
    assert sorted(kept[Owner.MANAGER]) == [False, True]
    assert len(kept[Owner.REPORT]) == 4


def test_pairs_that_rest_or_have_ended_are_not_counted(store: Store) -> None:
    alter(store, tables.pair, PairId("m0@corp.example", "r0@corp.example"), rests=True)
    assert germany(store).pairs == 5
    alter(store, tables.pair, PairId("m0@corp.example", "r1@corp.example"), ended="report_left")
    told = count_coverage(store, QUARTER, AFTER)
    assert [(group.name, group.pairs) for group in told.groups] == [(OTHERS, 7)]  # four and three


# --- as it is shown ---


def shown(folder: Path, *words: str) -> str:
    env = {"LONGARC_DATABASE_URL": f"sqlite:///{folder / 'longarc.db'}", "COLUMNS": "160", "LONGARC_CONFIG": None}
    result = CliRunner(env=env).invoke(main, ["coverage", "--quarter", "2026-Q4", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_r22_the_output_names_no_person_and_no_small_group(store: Store, tmp_path: Path) -> None:
    table, told = shown(tmp_path), json.loads(shown(tmp_path, "--json"))
    for everything in (table, json.dumps(told)):
        assert "@" not in everything
        assert not any(
            name.partition("@")[0].title() in everything.split() for name in store.people.load_current_people()
        )
    assert "3 pairs are in groups that are too small to show, and not counted above." in table
    assert told["pairs_not_shown"] == 3
    (group,) = told["groups"]
    assert (group["name"], group["pairs"], group["held"]) == ("DE", 6, 6)
    assert group["contracts"] == {"due": 6, "within_48_hours": 0}
    by_zone = json.loads(shown(tmp_path, "--json", "--by", "zone"))
    assert [one["name"] for one in by_zone["groups"]] == ["Europe/Berlin"]


def test_r22_groups_of_the_people_file_are_counted(store: Store, tmp_path: Path) -> None:
    """Five of the six in Germany are designers, the others nobody's: the country is no longer shown, the group is."""
    result = CliRunner(
        env={"LONGARC_DATABASE_URL": f"sqlite:///{tmp_path / 'longarc.db'}", "LONGARC_CONFIG": None}
    ).invoke(main, ["coverage", "--by", "group"])
    assert result.exit_code == 1 and "The people file names no groups." in result.output
    with store.database.write() as connection:
        designers = [f"r{n}@corp.example" for n in range(5)]
        connection.execute(update(tables.person).where(tables.person.c.email.in_(designers)).values(group="Design"))
    told = json.loads(shown(tmp_path, "--json"))
    assert (told["by"], [(one["name"], one["pairs"]) for one in told["groups"]]) == ("group", [("Design", 5)])
    assert told["pairs_not_shown"] == 4
    assert json.loads(shown(tmp_path, "--json", "--by", "country"))["groups"] == []
