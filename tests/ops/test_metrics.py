"""`/metrics`: its figures, the absence of names of people, and the naming conventions of Prometheus."""

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

#: Words that promtool refuses in a name: types, units other than base units, and abbreviations.
UNWANTED_WORDS = re.compile(
    r"(^|_)(counter|gauge|histogram|summary|metric|ms|millis\w*|sec|secs|minutes|hours|days|num|cnt|percent)($|_)"
)


@pytest.fixture
def company(database_url: str) -> Iterator[Office]:
    """Dana and two reports after four days, each with a booked session. Metrics are served at a free port."""
    metrics_settings = settings(database_url, metrics={"listen": "127.0.0.1:0"})
    office = Office(
        database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), office_settings=metrics_settings
    )
    office.run(4 * DAY)
    yield office
    office.close()


def fetch_metrics(server: MetricsServer) -> str:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    text = answer.read().decode()
    connection.close()
    return text


def parse_families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def sum_samples(families: dict[str, Metric], name: str, **labels: str) -> float:
    """Return the sum of the samples that have these labels."""
    samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
    assert samples, name
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def test_metrics_count_due_and_done_work(company: Office) -> None:
    with MetricsServer(company.worker, count_tasks=lambda: 3) as server:
        families_before = parse_families(fetch_metrics(server))
        company.clock.advance(7 * DAY)
        families_late = parse_families(fetch_metrics(server))  # the weekly reading of the calendar is due
        company.tick()
        families_after = parse_families(fetch_metrics(server))
    assert sum_samples(families_before, "longarc_pairs", state="active") == 2
    assert sum_samples(families_before, "longarc_people") == 3
    assert sum_samples(families_before, "longarc_sessions", kind="career", state="booked") == 2
    assert sum_samples(families_before, "longarc_calendars", service="memory", state="read") == 1
    assert sum_samples(families_before, "longarc_queue_tasks") == 3
    assert sum_samples(families_before, "longarc_database_up") == 1
    assert sum_samples(families_before, "longarc_due") == 0
    assert sum_samples(families_late, "longarc_due", work="read_calendar") == 1
    assert sum_samples(families_late, "longarc_due_age_seconds", work="read_calendar") > HOUR.total_seconds()
    done_counts = [
        sum_samples(families, "longarc_work_total", work="read_calendar", outcome="done")
        for families in (families_late, families_after)
    ]
    assert done_counts[1] == done_counts[0] + 1
    assert sum_samples(families_after, "longarc_effects", work="event.create", progress="done") == 2
    assert (
        sum_samples(families_after, "longarc_build_info", database=company.store.database.url.get_backend_name()) == 1
    )


def test_metrics_count_mails_by_name_and_measure_lags(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        families_before = parse_families(fetch_metrics(server))
        company.run(21 * DAY)
        families_after = parse_families(fetch_metrics(server))
    names = ("longarc_mails_total", "longarc_plan_lag_seconds_count", "longarc_effect_lag_seconds_count")
    rises = {name: sum_samples(families_after, name) - sum_samples(families_before, name) for name in names}
    briefs = {"mail": MailName.BRIEF.value, "outcome": "done"}
    assert sum_samples(families_after, "longarc_mails_total", **briefs) > sum_samples(
        families_before, "longarc_mails_total", **briefs
    )
    assert min(rises.values()) > 0


def test_metrics_contain_no_names_or_addresses(company: Office) -> None:
    """This holds even after errors that name people."""
    company.mailer.fail = Fails(lambda: Unavailable(f"the line to {SAM} broke"), "send")
    company.calendar.fail = Fails(lambda: Unavailable(f"the calendar of {DANA} is away"), "changes")
    company.clock.advance(3 * DAY)  # to a Monday, because at weekends calendars may not be read for an hour
    with MetricsServer(company.worker) as server:
        families_before = parse_families(fetch_metrics(server))
        company.run(HOUR)
        text = fetch_metrics(server)
    failed_readings = {"work": "read_calendar", "outcome": "failed"}
    assert sum_samples(parse_families(text), "longarc_work_total", **failed_readings) > sum_samples(
        families_before, "longarc_work_total", **failed_readings
    )
    assert "@" not in text
    for name in ("dana", "sam", "kim", "corp"):
        assert not re.search(rf"\b{name}\b", text, re.IGNORECASE), name


def test_worker_without_a_recent_heartbeat_is_silent(company: Office) -> None:
    now = company.clock()
    for holder, seen_at in (("a", now), ("b", now - HOUR)):
        heartbeat = Heartbeat(holder=holder, host="host", pid=1, started_at=START, seen_at=seen_at, version="1")
        company.store.heartbeats.save_heartbeat(heartbeat)
    with MetricsServer(company.worker) as server:
        families = parse_families(fetch_metrics(server))
    assert [sum_samples(families, "longarc_workers", state=state) for state in ("live", "silent")] == [1, 1]


def test_channels_are_counted_by_standing_with_the_age_of_the_last_notification(company: Office) -> None:
    """Dana's channel fails, Sam's is trusted, and on Kim's a notification has not come for an hour."""
    now = company.clock()
    open_channel = {"service": "outlook", "expires_at": now + DAY, "due_at": now + HOUR}
    failing_channel = {"calendar": DANA, "service": "outlook", "failures": 1, "due_at": now, "notified_at": now - HOUR}
    with company.store.database.write() as connection:
        connection.execute(insert(channel), [failing_channel])
        connection.execute(
            insert(channel), [{"calendar": SAM, **open_channel, "proven_at": now, "notified_at": now - MINUTE}]
        )
        connection.execute(insert(channel), [{"calendar": KIM, **open_channel, "awaiting_since": now - HOUR}])
    with MetricsServer(company.worker) as server:
        families = parse_families(fetch_metrics(server))
    standings = {
        standing: sum_samples(families, "longarc_channels", service="outlook", standing=standing)
        for standing in ChannelStanding
    }
    assert standings == {"trusted": 1, "unproven": 0, "silent": 1, "failing": 1}
    assert sum_samples(families, "longarc_notification_age_seconds", service="outlook") == MINUTE.total_seconds()


def test_no_metrics_of_channels_are_served_without_channels(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        text = fetch_metrics(server)
    assert "longarc_channels{" not in text and "longarc_notification_age_seconds{" not in text


def test_metric_names_and_help_texts_follow_the_conventions(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        text = fetch_metrics(server)
    families = {name: metric for name, metric in parse_families(text).items() if name.startswith("longarc_")}
    assert len(families) > 15
    for name, family in families.items():
        assert re.fullmatch(r"longarc(_[a-z]+)+", name) and not UNWANTED_WORDS.search(name), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter"), sample.name
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels), sample.labels
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here; the conventions above were checked")
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    # `promtool` returns 3 when it finds a style that it does not like, also in a metric of another library.
    assert result.returncode in (0, 3), result.stderr
    assert "longarc" not in result.stdout + result.stderr


def test_server_on_a_taken_port_raises_port_taken(company: Office) -> None:
    with MetricsServer(company.worker) as server:
        taken_address = company.settings.metrics.model_copy(update={"listen": f"127.0.0.1:{server.port}"})
        other_worker = replace(company.worker, settings=company.settings.model_copy(update={"metrics": taken_address}))
        with pytest.raises(PortTaken, match=r"Metrics can't be served at .* See metrics.listen"):
            MetricsServer(other_worker)


def test_each_process_takes_the_first_free_port_of_the_range(company: Office) -> None:
    first, last = find_free_ports(2)

    def serve(listen: str) -> MetricsServer:
        port_settings = company.settings.model_copy(update={"metrics": MetricsSettings(listen=listen)})
        return MetricsServer(replace(company.worker, settings=port_settings))

    with serve(f"127.0.0.1:{first}-{last}") as first_server, serve(f"127.0.0.1:{first}-{last}") as second_server:
        assert (first_server.port, second_server.port) == (first, last)
        assert "longarc_build_info" in fetch_metrics(first_server) and "longarc_build_info" in fetch_metrics(
            second_server
        )
        with pytest.raises(PortTaken, match=f"at 127.0.0.1:{last}: Address already in use. See metrics.listen"):
            serve(f"127.0.0.1:{first}-{last}")


def find_free_ports(count: int) -> tuple[int, int]:
    """Return the first and the last of `count` consecutive ports that are free."""
    for first in range(20_000, 30_000, count):
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first, first + count - 1
    raise AssertionError("no consecutive ports are free")


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
def test_invalid_port_range_is_refused(listen: str, problem: str) -> None:
    with pytest.raises(InvalidValue) as error_info:
        parse_listen_range(listen)
    assert problem in f"{error_info.value.what} {error_info.value.build_remedy()}"


def test_metrics_of_the_process_are_served_without_a_database(empty_url: str) -> None:
    """The database of the settings has no tables."""
    empty_settings = settings(empty_url, metrics={"listen": "127.0.0.1:0"})
    office = Office("sqlite://", office_settings=empty_settings)
    office.store.close()
    with MetricsServer(office.worker) as server:
        families = parse_families(fetch_metrics(server))
    assert sum_samples(families, "longarc_database_up") == 0
    assert "longarc_work" in families
