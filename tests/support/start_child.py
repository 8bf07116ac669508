"""Starts several `longarc run` at the same instant, for `tests/commands/test_start.py`.

    python -m tests.support.start_child CONFIG COUNT

imports the program once and forks COUNT processes, so that none of them waits for imports. It lets them start together,
and stops each by SIGTERM once all of them run. It prints the exit codes, and on standard error the output of each
process that failed.
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

#: Modules that `longarc run` needs, imported here before the forks.
IMPORTED_BEFORE_FORKS = (checks, server, people_import, EmbeddedServers)
RUNS = b"Longarc runs: "
#: How many seconds all processes together have until they run.
START_TIMEOUT = 90.0


def start(config: str, gate: int, output: int) -> None:
    """Run `longarc run` as soon as a byte can be read from the pipe `gate`, and end the process with its exit code.

    Writes to the pipe `output`.
    """
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


def read_until_started(outputs: dict[int, bytes]) -> None:
    """Read from each pipe, into `outputs`, until its process runs or has ended."""
    waiting = selectors.DefaultSelector()
    for output in outputs:
        waiting.register(output, selectors.EVENT_READ)
    end = monotonic() + START_TIMEOUT
    while waiting.get_map() and monotonic() < end:
        for key, _ in waiting.select(end - monotonic()):
            chunk = os.read(key.fd, 65536)
            outputs[key.fd] += chunk
            if not chunk or RUNS in outputs[key.fd]:
                waiting.unregister(key.fd)


def start_together(config: str, count: int) -> list[int]:
    """Start so many processes and stop them once they run. Return the exit code of each."""
    gate, gate_opener = os.pipe()
    children: dict[int, int] = {}
    for _ in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(gate_opener)
            start(config, gate, writer)
        os.close(writer)
        children[child] = reader
    os.close(gate)
    outputs = dict.fromkeys(children.values(), b"")
    os.write(gate_opener, b"g" * count)  # a byte for each process
    read_until_started(outputs)
    for child in children:
        os.kill(child, signal.SIGTERM)
    codes = []
    for child, reader in children.items():
        while more := os.read(reader, 65536):
            outputs[reader] += more
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.close(reader)
        if codes[-1] or RUNS not in outputs[reader] or b"Traceback" in outputs[reader]:
            sys.stderr.write(f"--- exit code {codes[-1]}\n{outputs[reader].decode()}")
    os.close(gate_opener)
    return codes


if __name__ == "__main__":
    sys.stdout.write(f"{start_together(sys.argv[1], int(sys.argv[2]))}\n")
