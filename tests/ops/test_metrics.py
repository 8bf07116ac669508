"""`/metrics`: what it tells, that it tells of nobody, and that names follow the conventions of Prometheus."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.client import HTTPConnection

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    SAM,
    START,
    Fails,
    Office,
    pair,
    pairs,
    people,
    settings,
)
from worker.domain.channels import ChannelStanding
from worker.domain.model import MailName
from worker.errors import Unavailable
from worker.ops.metrics import MetricsServer
from worker.server_thread import PortTaken
from worker.settings.parsers import InvalidValue, parse_listen_range
from worker.settings.sections import MetricsSettings
from worker.store.heartbeats import Heartbeat
from worker.store.tables import channel

pytestmark = pytest.mark.databases("sqlite", "postgresql")  # each figure is a statement of its own

#: What promtool asks of a name: no type, no unit but the base unit, and no abbreviation.
UNWANTED_WORDS = re.compile(
    r"(^|_)(counter|gauge|histogram|summary|metric|ms|millis\w*|sec|secs|minutes|hours|days|num|cnt|percent)($|_)"
)


@pytest.fixture
def company(database_url: str) -> Iterator[Office]:
    """Dana with two reports, some days on, served at any free port."""
    known = settings(database_url, metrics={"listen": "127.0.0.1:0"})
    made = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), known=known)
    made.run(4 * DAY)
    yield made
    made.close()


def fetch(server: MetricsServer) -> str:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    text = answer.read().decode()
    connection.close()
    return text


def read(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(families: dict[str, Metric], name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
    assert samples, name
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def test_metrics_tell_what_is_due_and_what_was_done(company: Office) -> None:
    with MetricsServer(company.worker, lambda: 3) as server:
        before = read(fetch(server))
        company.clock.advance(7 * DAY)
        late = read(fetch(server))
        company.tick()
        after = read(fetch(server))
    assert values(before, "longarc_pairs", state="active") == 2
    assert values(before, "longarc_people") == 3
    assert values(before, "longarc_sessions", kind="career", state="booked") == 2
    assert values(before, "longarc_calendars", service="memory", state="read") == 1
    assert values(before, "longarc_queue_tasks") == 3
    assert values(before, "longarc_database_up") == 1
    assert values(before, "longarc_due") == 0
    assert values(late, "longarc_due", work="read_calendar") == 1
    assert values(late, "longarc_due_age_seconds", work="read_calendar") > HOUR.total_seconds()
    read_count = [values(one, "longarc_work_total", work="read_calendar", outcome="done") for one in (late, after)]
    assert read_count[1] == read_count[0] + 1
    assert values(after, "longarc_effects", work="event.create", progress="done") == 2
    assert values(after, "longarc_build_info", database=company.store.database.url.get_backend_name()) == 1


def test_metrics_count_mails_by_name_and_the_lag_of_plans(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        before = read(fetch(server))
        company.run(21 * DAY)
        after = read(fetch(server))
    names = ("longarc_mails_total", "longarc_plan_lag_seconds_count", "longarc_effect_lag_seconds_count")
    rises = {name: values(after, name) - values(before, name) for name in names}
    briefs = {"mail": MailName.BRIEF.value, "outcome": "done"}
    assert values(after, "longarc_mails_total", **briefs) > values(before, "longarc_mails_total", **briefs)
    assert min(rises.values()) > 0


def test_metrics_tell_of_nobody(company: Office) -> None:
    """No address and no name, whatever went wrong with whom."""
    company.mailer.fail = Fails(lambda: Unavailable(f"the line to {SAM} broke"), "send")
    company.calendar.fail = Fails(lambda: Unavailable(f"the calendar of {DANA} is away"), "changes")
    company.clock.advance(3 * DAY)  # to Monday, since at weekends an hour may pass without a reading
    with MetricsServer(company.worker) as server:
        before = read(fetch(server))
        company.run(HOUR)
        text = fetch(server)
    failed = {"work": "read_calendar", "outcome": "failed"}
    assert values(read(text), "longarc_work_total", **failed) > values(before, "longarc_work_total", **failed)
    assert "@" not in text
    for name in ("dana", "sam", "kim", "corp"):
        assert not re.search(rf"\b{name}\b", text, re.IGNORECASE), name


def test_workers_that_report_no_more_are_silent(company: Office) -> None:
    now = company.clock()
    for holder, seen_at in (("a", now), ("b", now - HOUR)):
        company.store.heartbeats.save_heartbeat(Heartbeat(holder, "host", 1, START, seen_at, "1"))
    with MetricsServer(company.worker) as server:
        families = read(fetch(server))
    assert [values(families, "longarc_workers", state=state) for state in ("live", "silent")] == [1, 1]


def test_channels_are_counted_by_standing_with_the_age_of_the_last_notification(company: Office) -> None:
    now = company.clock()
    opened = {"service": "outlook", "expires_at": now + DAY, "due_at": now + HOUR}
    failing = {"calendar": DANA, "service": "outlook", "failures": 1, "due_at": now, "notified_at": now - HOUR}
    with company.store.database.write() as connection:
        connection.execute(insert(channel), [failing])
        connection.execute(
            insert(channel), [{"calendar": SAM, **opened, "proven_at": now, "notified_at": now - MINUTE}]
        )
        connection.execute(insert(channel), [{"calendar": KIM, **opened, "awaiting_since": now - HOUR}])
    with MetricsServer(company.worker) as server:
        families = read(fetch(server))
    standings = {one: values(families, "longarc_channels", service="outlook", standing=one) for one in ChannelStanding}
    assert standings == {"trusted": 1, "unproven": 0, "silent": 1, "failing": 1}
    assert values(families, "longarc_notification_age_seconds", service="outlook") == MINUTE.total_seconds()


def test_without_channels_nothing_is_said_of_any(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        text = fetch(server)
    assert "longarc_channels{" not in text and "longarc_notification_age_seconds{" not in text


def test_names_help_and_units_follow_the_conventions(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        text = fetch(server)
    families = {name: one for name, one in read(text).items() if name.startswith("longarc_")}
    assert len(families) > 15
    for name, family in families.items():
        assert re.fullmatch(r"longarc(_[a-z]+)+", name) and not UNWANTED_WORDS.search(name), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter"), sample.name
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels), sample.labels
    checker = shutil.which("promtool")
    if checker is None:
        pytest.skip("promtool is not here; the conventions above were checked")
    done = subprocess.run([checker, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert "longarc" not in done.stdout + done.stderr


def test_a_second_process_goes_on_without_the_port(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        taken = company.settings.metrics.model_copy(update={"listen": f"127.0.0.1:{server.port}"})
        other = replace(company.worker, settings=company.settings.model_copy(update={"metrics": taken}))
        with pytest.raises(PortTaken, match=r"Metrics can't be served at .* See metrics.listen"):
            MetricsServer(other)


def test_each_process_of_a_machine_takes_the_first_free_port(company: Office) -> None:
    first, last = find_free_ports(2)

    def serve(listen: str) -> MetricsServer:
        known = company.settings.model_copy(update={"metrics": MetricsSettings(listen=listen)})
        return MetricsServer(replace(company.worker, settings=known))

    with serve(f"127.0.0.1:{first}-{last}") as one, serve(f"127.0.0.1:{first}-{last}") as other:
        assert (one.port, other.port) == (first, last)
        assert "longarc_build_info" in fetch(one) and "longarc_build_info" in fetch(other)
        with pytest.raises(PortTaken, match=f"at 127.0.0.1:{last}: Address already in use. See metrics.listen"):
            serve(f"127.0.0.1:{first}-{last}")


def find_free_ports(count: int) -> tuple[int, int]:
    """The first and the last of so many ports side by side that nobody listens on."""
    for first in range(20_000, 30_000, count):
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first, first + count - 1
    raise AssertionError("there are none")


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        ("127.0.0.1:9464-9463", "not a range of up to 100 ports. Write the first and the last port"),
        ("127.0.0.1:9464-9999", "not a range of up to 100 ports"),
        ("127.0.0.1:0-4", "not a range of up to 100 ports"),
        ("127.0.0.1:9464-", "not a range of up to 100 ports"),
        ("127.0.0.1:x-9464", "not an address to listen at"),
        ("9464-9465", "not an address to listen at"),
    ],
)
def test_ports_that_are_no_range_are_refused(listen: str, problem: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        parse_listen_range(listen)
    assert problem in f"{raised.value.what} {raised.value.build_remedy()}"


def test_without_a_database_the_process_still_tells_of_itself(empty_url: str) -> None:
    known = settings(empty_url, metrics={"listen": "127.0.0.1:0"})
    office = Office("sqlite://", known=known)
    office.store.close()
    with MetricsServer(office.worker) as server:
        families = read(fetch(server))
    assert values(families, "longarc_database_up") == 0
    assert "longarc_work" in families
