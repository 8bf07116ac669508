"""Tests of operator alerts: a new cause is mailed at once, and then at most one digest an hour counts its alerts.

The key of a digest contains `more:`.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.companies import HOUR, MINUTE, START, Fails, Office, company, contract, settings, texts
from worker.domain.model import EffectProgress
from worker.errors import Forbidden, Permanent
from worker.store.alerts import MAX_STORED_TEXTS
from worker.store.store import Store
from worker.store.tables import outbox


def run_with_failing_services(office: Office) -> None:
    """Let a day pass. For 6 hours calendars refuse all requests; the mail server refuses the first 15 mails."""
    office.calendar.fail = Fails(lambda: Forbidden("not on this calendar"), "create", "changes")
    refusals = Fails(lambda: Permanent("The mail server refused the sender's address: 550"), "send", times=15)
    office.mailer.fail = refusals
    office.run(6 * HOUR)
    assert refusals.left == 0
    office.calendar.fail = None
    office.run(18 * HOUR)


def test_cause_with_many_alerts_is_mailed_once_an_hour(database_url: str) -> None:
    office = Office(database_url, *company(12))
    run_with_failing_services(office)
    alerts = office.effects("operator_alert")
    mailed = [alert for alert in alerts if alert.progress != "dropped"]
    without_digests = [alert for alert in alerts if "more:" not in alert.key]
    assert len(without_digests) > 3 * len(mailed)  # there are far more alerts than mails
    times_by_cause: dict[str, list[datetime]] = {}
    for alert, fields in zip(mailed, list_mailed_fields(office), strict=True):
        times_by_cause.setdefault(fields["cause"], []).append(alert.decided_at)
    assert set(times_by_cause) == {"sync", "event.create", "mail"}
    for times in times_by_cause.values():
        assert times[0] == START and len(times) > 1, "the first alert was not mailed at once, or no digest followed"
        assert all(later - earlier >= HOUR for earlier, later in pairwise(times))
    office.close()


def list_mailed_fields(office: Office) -> list[dict[str, str]]:
    """Return the fields of the operator alerts that are not dropped."""
    query = select(outbox.c.fields).where(outbox.c.name == "operator_alert", outbox.c.progress != "dropped")
    return [row["fields"] for row in office.rows(query.order_by(outbox.c.id))]


def add_alert(store: Store, key: str, text: str, minutes: int = 0) -> None:
    """Add an alert, raised so many minutes after START. The part of the key before the colon is its cause."""
    store.outbox.alert(key, text, START + minutes * MINUTE, "ops@corp.example")


def test_alerts_within_an_hour_of_the_first_are_counted_in_one_digest(office: Office) -> None:
    add_alert(office.store, "sync:a", "The calendar of a can't be read.")
    office.tick()
    first_count = len(office.mails("operator_alert"))
    for n in range(19):
        add_alert(
            office.store, f"sync:{n}", "The calendar of b can't be read." if n else "The calendar of c is full.", n
        )
    add_alert(office.store, "sync:3", "The calendar of b can't be read.", 5)  # not counted: this key exists
    add_alert(office.store, "people:1", "The people file has problems.", 5)
    office.run(2 * HOUR)
    mails = office.mails("operator_alert")[first_count:]
    assert (first_count, len(mails)) == (1, 2)  # the first alert, then the digest and the alert of another cause
    text = " ".join(texts(mails).split())
    assert "The people file has problems." in text
    assert "In the last hour 19 more of the same kind were noticed:" in text
    assert "18 times: The calendar of b can't be read." in text and "The calendar of c is full." in text
    assert len(office.store.outbox.list_alerts(START)) == 21, "the operator's page does not list each alert"


def test_digest_of_many_different_alerts_stays_short(office: Office) -> None:
    """The digest counts all alerts, and quotes the most frequent. The number of stored texts is limited."""
    add_alert(office.store, "plan:first", "Planning the first pair failed.")
    for n in range(250):
        add_alert(office.store, f"plan:{n}", f"Planning pair {n} failed.")
        if n < 2:
            add_alert(office.store, f"plan:{n}:again", "Planning pair 0 failed.")
    # 250 alerts and two more are counted; the texts of ten alerts are shown, those of 240 are not
    [digest] = [fields for fields in list_mailed_fields(office) if "listed" in fields]
    assert "252 more of the same kind were noticed" in digest["words"]
    assert "3 times: Planning pair 0 failed." in digest["words"] and "And 240 others." in digest["words"]
    assert len(digest["listed"]) <= MAX_STORED_TEXTS


def test_continuing_cause_is_mailed_hourly_and_after_a_quiet_hour_at_once(office: Office) -> None:
    for minute in range(0, 180, 10):
        office.clock.move_to(START + minute * MINUTE)
        office.tick()
        add_alert(office.store, f"sync:{minute}", f"It is minute {minute}.", minute)
        office.tick()
    office.run(HOUR)
    assert len(office.mails("operator_alert")) == 4  # the first alert, and a digest after each of three hours
    office.run(HOUR)
    minute = (office.clock() - START) // MINUTE
    add_alert(office.store, "sync:later", "Once more.", minute)
    office.tick()
    assert len(office.mails("operator_alert")) == 5 and "Once more." in texts(office.mails("operator_alert")[-1:])


def test_machines_with_wrong_clocks_do_not_delay_alerts(office: Office) -> None:
    """A machine whose clock is ahead may add alerts and digests of later times. They do not hold back others."""
    add_alert(office.store, "sync:ahead", "By a clock that is ahead.", 2)
    add_alert(office.store, "sync:right", "By a clock that is right.")
    office.clock.move_to(START + 63 * MINUTE)  # the digest follows the alert of minute 2 after an hour
    office.tick()
    assert len(office.mails("operator_alert")) == 2  # the first alert and the digest
    add_alert(office.store, "sync:behind", "By a clock that is behind.", 60)
    office.run(HOUR)
    add_alert(office.store, "people:away", "By a clock that is hours ahead.", 600)
    add_alert(office.store, "people:now", "In the hour that it is.", 123)  # the minute that it is now
    office.run(MINUTE)
    text = texts(office.mails("operator_alert"))
    for clock in ("is ahead", "is right", "is behind"):
        assert text.count(f"By a clock that {clock}.") >= 1, clock
    assert "In the hour that it is." in text
    assert "hours ahead" not in text  # this alert is due only when it is that late


@pytest.mark.databases("sqlite", "postgresql")
def test_concurrent_alerts_of_a_cause_make_one_mail_and_one_digest(database_url: str) -> None:
    office = Office(database_url)
    office.tick()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: add_alert(office.store, f"sync:{n % 9}", f"Calendar {n % 9}."), range(36)))
    office.run(2 * HOUR)
    mails = office.mails("operator_alert")
    text = texts(mails)
    assert len(mails) == 2
    assert all(f"Calendar {n}." in text for n in range(9))
    assert len(office.store.outbox.list_alerts(START)) == 9
    office.close()


@pytest.mark.parametrize(
    "source",
    ["{{ ['Hyacinth'].missing.other }}", "{% if", "\u200b", "{{ 'x' * 1000001 }}"],
    ids=["unknown attribute", "syntax error", "no visible text", "over a million characters"],
)
def test_the_built_in_template_replaces_a_broken_one_and_the_operator_gets_one_alert(
    tmp_path: Path, database_url: str, source: str
) -> None:
    """This also holds for the template of the operator's own mail. The alert does not quote the template, since an
    error in a template may quote content."""
    for name in ("introduction", "operator_alert"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "body.txt.j2").write_text(source)
    office = Office(database_url, office_settings=settings(database_url, templates=str(tmp_path)))
    office.tick()
    assert {effect.progress for effect in office.effects("introduction")} == {EffectProgress.DONE}
    assert all("Dana" in texts([mail]) for mail in office.mails("introduction"))
    assert len(office.events()) == 1
    for _ in range(3):
        office.tick()
    alerts = office.mails("operator_alert")
    assert len(office.effects("operator_alert")) == len(alerts) == 2  # one for each of the two broken templates
    assert all(f"mail {name}" in texts(alerts) for name in ("introduction", "operator_alert"))
    assert "Hyacinth" not in texts(alerts)
    session = office.hold()
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.tick()
    assert len(office.mails("contract_summary")) == 2
    office.close()
