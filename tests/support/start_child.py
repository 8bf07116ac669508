"""Several `longarc run` that start at one instant: what
`tests/commands/test_start.py` has done, without waiting for imports.

    python -m tests.support.start_child CONFIG COUNT

forks so many processes, lets them go together, and stops each by SIGTERM once all of them run. Prints the exit codes,
and on standard error what those said that did not end well.
"""

import os
import selectors
import signal
import sys
import traceback
from time import monotonic

from worker.cli import main
from worker.embedded import EmbeddedServers
from worker.engine import people_import
from worker.ops import checks
from worker.web import server

#: What they need, imported before any of them is forked.
WARM = (checks, server, people_import, EmbeddedServers)
RUNS = b"Longarc runs: "
PATIENCE = 90.0


def start(config: str, gate: int, output: int) -> None:
    """Become a `longarc run` as soon as the gate is opened."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.read(gate, 1)
        main(["--config", config, "run", "--workers", "1"], standalone_mode=True)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def follow(outputs: dict[int, bytes]) -> None:
    """Read what they say until each of them runs, or has ended."""
    waiting = selectors.DefaultSelector()
    for output in outputs:
        waiting.register(output, selectors.EVENT_READ)
    end = monotonic() + PATIENCE
    while waiting.get_map() and monotonic() < end:
        for key, _ in waiting.select(end - monotonic()):
            said = os.read(key.fd, 65536)
            outputs[key.fd] += said
            if not said or RUNS in outputs[key.fd]:
                waiting.unregister(key.fd)


def start_together(config: str, count: int) -> list[int]:
    """The exit code of each."""
    gate, opened = os.pipe()
    children: dict[int, int] = {}
    for _ in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(opened)
            start(config, gate, writer)
        os.close(writer)
        children[child] = reader
    os.close(gate)
    said = dict.fromkeys(children.values(), b"")
    os.write(opened, b"g" * count)
    follow(said)
    for child in children:
        os.kill(child, signal.SIGTERM)
    codes = []
    for child, reader in children.items():
        while more := os.read(reader, 65536):
            said[reader] += more
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.close(reader)
        if codes[-1] or RUNS not in said[reader] or b"Traceback" in said[reader]:
            sys.stderr.write(f"--- exit code {codes[-1]}\n{said[reader].decode()}")
    os.close(opened)
    return codes


if __name__ == "__main__":
    sys.stdout.write(f"{start_together(sys.argv[1], int(sys.argv[2]))}\n")
