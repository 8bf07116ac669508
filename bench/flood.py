"""Benchmark of a flood: forged notifications at a steady rate, and how long a person waits for a page meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from worker.app import build
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.store.store import Store
from worker.web.server import PageServer

PER_SECOND, SECONDS, SENDERS = 1_000, 60, 4
BASE = "https://bench.example"


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table. Four connections on loopback send 1,000 forgeries a second for a minute."""
    with _serve() as port:
        answer_times: list[float] = []
        begin = time.monotonic()
        senders = [threading.Thread(target=_flood, args=(port, begin, n, answer_times)) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        pages = _time_pages(port, begin + SECONDS)
        for sender in senders:
            sender.join()
        took = time.monotonic() - begin
    percentile = sorted(answer_times)[len(answer_times) * 99 // 100]
    return [
        (
            f"forged notifications, {PER_SECOND:,} a second asked for",
            f"{len(answer_times):,} at {len(answer_times) / took:,.0f} a second",
        ),
        ("answered, median / 99 of 100", f"{median(answer_times) * 1000:.1f} / {percentile * 1000:.0f} ms"),
        ("a page meanwhile, median / longest", f"{median(pages) * 1000:.1f} / {max(pages) * 1000:.0f} ms"),
    ]


@contextmanager
def _serve() -> Iterator[int]:
    with TemporaryDirectory() as folder:
        key = generate_key()
        settings = Settings.model_validate(
            {
                "database": f"sqlite:///{Path(folder) / 'longarc.db'}",
                "base_url": BASE,
                "pages": {"listen": "127.0.0.1:0"},
                "sync": {"notify_url": BASE},
                "keys": (SecretStr(key),),
            }
        )
        worker = build(settings, store=Store(settings.database, Seal([key])))
        worker.store.migrate()
        with PageServer(worker) as pages:
            yield pages.port
        worker.close()


def _flood(port: int, begin: float, sender: int, times: list[float]) -> None:
    """Send every `SENDERS`th notification at even intervals, or as fast as possible when behind schedule."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(sender, PER_SECOND * SECONDS, SENDERS):
        time.sleep(max(0.0, begin + number / PER_SECOND - time.monotonic()))
        if time.monotonic() > begin + 2 * SECONDS:  # the server is too slow for this rate
            break
        started = time.monotonic()
        # an id and a token in the form of ours, with a signature of zeros
        forged = {"X-Goog-Channel-ID": f"{number:032x}", "X-Goog-Channel-Token": f"{number:032x}.{'0' * 43}"}
        other_headers = {"X-Goog-Resource-ID": "r", "X-Goog-Resource-State": "exists"}
        connection.request("POST", "/notify/google", headers={**forged, **other_headers})
        connection.getresponse().read()
        times.append(time.monotonic() - started)
    connection.close()


def _time_pages(port: int, end: float) -> list[float]:
    times = []
    while time.monotonic() < end:
        started = time.monotonic()
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthy")
        connection.getresponse().read()
        connection.close()
        times.append(time.monotonic() - started)
        time.sleep(0.2)
    return times
