"""What the operator is told on a bad day: each cause at once, and no more than once an hour, with a count."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.support.companies import DAY, HOUR, MINUTE, START, Fails, Office, company, texts
from worker.errors import Forbidden, Permanent
from worker.store.alerts import MAX_STORED_TEXTS
from worker.store.store import Store


def bad_day(office: Office) -> None:
    """Calendars refuse everything for hours, and when they are back mail is refused."""
    office.calendar.fail = Fails(lambda: Forbidden("not on this calendar"), "create", "changes")
    office.run(6 * HOUR)
    office.calendar.fail = None
    office.mailer.fail = Fails(lambda: Permanent("The mail server refused the sender's address: 550"), "send", times=30)
    office.run(DAY)


def test_a_bad_day_is_one_alert_for_a_cause_and_hour(database_url: str) -> None:
    office = Office(database_url, *company(12))
    bad_day(office)
    sent = [message for message in office.messages("operator_alert") if message.progress != "dropped"]
    raised = [message for message in office.messages("operator_alert") if "more:" not in message.key]
    assert len(raised) > 3 * len(sent), "nobody reads that many"
    causes = {message.key: fields["cause"] for message, fields in zip(sent, fields_of(office), strict=True)}
    hours = Counter((causes[message.key], (message.snapshot_at - START) // HOUR) for message in sent)
    assert max(hours.values()) <= 2
    for cause in set(causes.values()):
        times = sorted(message.snapshot_at for message in sent if causes[message.key] == cause)
        assert all(later - earlier >= HOUR for earlier, later in pairwise(times))
    office.close()


def fields_of(office: Office) -> list[dict[str, str]]:
    from sqlalchemy import select

    from worker.store.tables import outbox

    sent = select(outbox.c.fields).where(outbox.c.name == "operator_alert", outbox.c.progress != "dropped")
    return [row["fields"] for row in office.rows(sent.order_by(outbox.c.id))]


def tell(store: Store, key: str, words: str, minutes: int = 0) -> None:
    store.outbox.alert(key, words, START + minutes * MINUTE, "ops@corp.example")


def test_what_follows_within_the_hour_is_counted_in_one_mail(office: Office) -> None:
    tell(office.store, "sync:a", "The calendar of a can't be read.")
    office.tick()
    before = len(office.mails("operator_alert"))
    for n in range(19):
        tell(office.store, f"sync:{n}", "The calendar of b can't be read." if n else "The calendar of c is full.", n)
    tell(office.store, "sync:3", "The calendar of b can't be read.", 5)
    tell(office.store, "people:1", "The people file has problems.", 5)
    office.run(2 * HOUR)
    mails = office.mails("operator_alert")[before:]
    assert (before, len(mails)) == (1, 2)
    said = " ".join(texts(mails).split())
    assert "The people file has problems." in said
    assert "In the last hour 19 more of the same kind were noticed:" in said
    assert "18 times: The calendar of b can't be read." in said and "The calendar of c is full." in said
    assert len(office.store.outbox.list_alerts(START)) == 21, "the operator's page lists each"


def test_a_mail_about_very_many_alerts_stays_short(office: Office) -> None:
    """However many differ: each is counted, the most frequent are named, and what is kept of them has an end."""
    tell(office.store, "plan:first", "Planning the first pair failed.")
    for n in range(250):
        tell(office.store, f"plan:{n}", f"Planning pair {n} failed.")
        if n < 2:
            tell(office.store, f"plan:{n}:again", "Planning pair 0 failed.")
    [count] = [fields for fields in fields_of(office) if "listed" in fields]
    assert "252 more of the same kind were noticed" in count["words"]
    assert "3 times: Planning pair 0 failed." in count["words"] and "And 240 others." in count["words"]
    assert len(count["listed"]) <= MAX_STORED_TEXTS


def test_while_a_cause_goes_on_it_is_told_each_hour_and_afterwards_at_once_again(office: Office) -> None:
    for minute in range(0, 180, 10):
        office.clock.move_to(START + minute * MINUTE)
        office.tick()
        tell(office.store, f"sync:{minute}", f"It is minute {minute}.", minute)
        office.tick()
    office.run(HOUR)
    assert len(office.mails("operator_alert")) == 4
    office.run(HOUR)
    later = (office.clock() - START) // MINUTE
    tell(office.store, "sync:later", "Once more.", later)
    office.tick()
    assert len(office.mails("operator_alert")) == 5 and "Once more." in texts(office.mails("operator_alert")[-1:])


def test_clocks_that_differ_keep_no_alert_back(office: Office) -> None:
    """An alert from a machine whose clock is ahead waits, is a count that left early, or is hours away."""
    tell(office.store, "sync:ahead", "By a clock that is ahead.", 2)
    tell(office.store, "sync:right", "By a clock that is right.")
    office.clock.move_to(START + 63 * MINUTE)
    office.tick()
    assert len(office.mails("operator_alert")) == 2, "the alert and the count"
    tell(office.store, "sync:behind", "By a clock that is behind.", 60)
    office.run(HOUR)
    tell(office.store, "people:away", "By a clock that is hours ahead.", 600)
    tell(office.store, "people:now", "In the hour that it is.", 123)
    office.run(MINUTE)
    told = texts(office.mails("operator_alert"))
    for clock in ("is ahead", "is right", "is behind"):
        assert told.count(f"By a clock that {clock}.") >= 1, clock
    assert "In the hour that it is." in told
    assert "hours ahead" not in told


@pytest.mark.databases("sqlite", "postgresql")
def test_many_processes_raise_one_alert(database_url: str) -> None:
    office = Office(database_url)
    office.tick()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: tell(office.store, f"sync:{n % 9}", f"Calendar {n % 9}."), range(36)))
    office.run(2 * HOUR)
    mails = office.mails("operator_alert")
    told = texts(mails)
    assert len(mails) == 2
    assert all(f"Calendar {n}." in told for n in range(9))
    assert len(office.store.outbox.list_alerts(START)) == 9
    office.close()
