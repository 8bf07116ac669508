"""Checks by their imports that modules keep to the layers of CONTRIBUTING.md."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from itertools import chain
from pathlib import Path

import urllib3
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

WORKER = ROOT / "worker"
#: The layers from the lowest on. A module imports from its own layer or from those before it.
LAYERS = (
    {"errors"},
    {"domain"},
    {"clock", "i18n", "links", "logs", "openid", "private_files", "process_metrics", "seal", "server_thread"},
    {"mail", "providers", "roster", "settings", "store"},
    {"embedded", "engine"},
    {"app"},
    {"ops", "setup", "simulation", "tasks", "web"},
    {"commands"},
    {"cli", "__main__"},
)
#: Which packages of its own layer each package must not import.
STRANGERS = {
    "providers": {"store", "settings", "mail", "roster"},
    "store": {"providers", "settings", "mail", "roster"},
    "settings": {"store", "providers", "mail", "roster"},
    "mail": {"store", "roster"},
    "roster": {"store", "mail"},
}
#: Functions that read the clock of the machine.
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
#: Modules of the standard library with input and output, concurrency, clocks or random values.
IMPURE = {"os", "pathlib", "io", "socket", "sqlite3", "subprocess", "threading", "logging", "random", "time"}
MAX_LINES = 500


@cache
def modules() -> tuple[str, ...]:
    """Every module of ours, by its dotted name."""
    paths = sorted(path.relative_to(ROOT) for path in WORKER.rglob("*.py") if "_templates" not in path.parts)
    return tuple(".".join(path.with_suffix("").parts) for path in paths)


@cache
def text(module: str) -> str:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(text(module))


def imported(module: str) -> Iterator[str]:
    """The dotted names a module imports, anywhere in it; for `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module} imports by dots; write the whole name"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """The modules of ours that a module imports."""
    return {name for name in imported(module) if name in known()}


@cache
def known() -> frozenset[str]:
    return frozenset(modules()) | {name.removesuffix(".__init__") for name in modules()}


def part(module: str) -> str:
    """`worker.providers.caldav.calendar` is part of `providers`."""
    return ([*module.split("."), "__init__"])[1]


def layer(name: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if name in names]
    assert found, f"worker/{name} belongs to no layer yet; say in tests/repository/test_layers.py to which"
    return found[0]


NAMED = [module for module in modules() if part(module) != "__init__"]


def test_a_module_knows_only_what_is_below_it() -> None:
    found = [
        f"{module} imports {name}"
        for module in NAMED
        for name in sorted(ours(module))
        if part(name) != "__init__" and layer(part(name)) > layer(part(module))
    ]
    assert found == []


def test_the_domain_knows_the_standard_library_and_holidays() -> None:
    """Pure: no I/O, no clock, no settings, no database."""
    for module in (m for m in NAMED if part(m) == "domain"):
        roots = {name.partition(".")[0] for name in imported(module)}
        assert roots <= {*sys.stdlib_module_names, "holidays", "worker"}, module
        assert not roots & IMPURE, module
        assert {part(name) for name in ours(module)} <= {"domain", "errors", "__init__"}, module


def test_neighbours_do_not_know_each_other() -> None:
    """Providers know neither store nor settings, and so on."""
    for module in NAMED:
        assert not {part(name) for name in ours(module)} & STRANGERS.get(part(module), set()), module


def test_no_vendor_is_known_where_things_are_decided_and_performed() -> None:
    """These modules import only what all calendar and mail services share."""
    for module in (
        "worker.engine.sweep",
        "worker.engine.outbox",
        "worker.engine.sync",
        "worker.engine.actions",
        "worker.app",
    ):
        vendors = {name for name in ours(module) if part(name) == "providers"}
        known = {"worker.providers", *(f"worker.providers.{name}" for name in ("base", "limiter", "identities"))}
        assert vendors <= known, module


def test_nobody_but_the_clock_asks_what_time_it_is() -> None:
    """Time is passed in."""
    assert [m for m in modules() if asks(m)] == ["worker.clock"]


def asks(module: str) -> bool:
    calls = [node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    return any(map(_asks, calls)) or bool({f"time.{clock}" for clock in CLOCKS} & set(imported(module)))


def _asks(called: ast.expr) -> bool:
    """`datetime.now`, `datetime.datetime.utcnow`, `date.today`, `time.time`, …"""
    if not (isinstance(called, ast.Attribute) and called.attr in CLOCKS):
        return False
    owner = called.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name in {"datetime", "date", "time"}


def test_no_module_is_longer_than_can_be_read() -> None:
    lengths = {module: len(text(module).splitlines()) for module in modules()}
    assert {module: length for module, length in lengths.items() if length > MAX_LINES} == {}


def test_each_module_says_why_it_exists() -> None:
    assert [m for m in modules() if tree(m).body and not ast.get_docstring(tree(m))] == []


#: Imports every module and fails when one of them writes, connects, or starts something.
IMPORTER = """
import sys, importlib
def hook(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in ("socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.mkdir"):
        raise RuntimeError(f"{event} at import: {args}")
sys.addaudithook(hook)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(sorted(name for name in sys.modules if name == "worker.tasks"))
"""


def test_only_the_tasks_do_something_when_they_are_imported() -> None:
    """Nothing else opens a database, a file or a connection, and nothing else brings the tasks along."""
    acting = {"worker.tasks", "worker.__main__", "worker.store.migrations.env"}
    quiet = [m for m in modules() if m not in acting and not m.startswith("worker.store.migrations.versions")]
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORTER, *quiet],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


#: A second HTTP stack, and a client that takes the place of urllib3 when it is installed beside it.
SECOND_STACK = {"caldav", "niquests", "urllib3-future", "qh3", "jh2", "wassima"}
#: Imports every module and prints those of the second stack that came along.
STACKS = """
import sys, importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
print(sorted(set(sys.argv[1].split(",")) & {name.partition(".")[0] for name in sys.modules}))
"""


def test_the_product_needs_one_http_stack() -> None:
    """No extra of the product installs a second HTTP stack; only the extra for development does."""
    assert not SECOND_STACK & installed_with("longarc", {"embedded", "redis", "scim"})
    assert "caldav" in installed_with("longarc", {"dev"})


def test_the_tests_run_on_the_http_library_of_the_product() -> None:
    """Where urllib3-future is installed, it replaces urllib3 at each start of Python, and tests would prove nothing."""
    assert vars(urllib3)["__version__"] == metadata.version("urllib3"), "set up again: rm -rf .venv && make setup"
    assert not list(Path(urllib3.__file__).parents[1].glob("urllib3*.pth"))


def test_no_module_imports_the_second_stack() -> None:
    quiet = [
        m
        for m in modules()
        if m != "worker.store.migrations.env" and not m.startswith("worker.store.migrations.versions")
    ]
    asked = [sys.executable, "-B", "-c", STACKS, "caldav,niquests,urllib3_future", *quiet]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def installed_with(name: str, extras: set[str]) -> set[str]:
    """The packages that pip installs for a package with these extras, itself included, by the packages' metadata."""
    known: dict[str, set[str]] = {}
    waiting = [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        if extras <= known.get(name, set()) and name in known:
            continue
        known.setdefault(name, set()).update(extras)
        for line in needs(name):
            need = Requirement(line)
            wanted = {"", *known[name]}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in wanted):
                waiting.append((canonicalize_name(need.name), set(need.extras)))
    return set(known)


def needs(name: str) -> list[str]:
    if name == "longarc":  # its metadata is as old as its installation; pyproject.toml is current
        project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        listed = [(need, extra) for extra, needs in extras.items() for need in needs]
        more = [f'{need} {"and" if ";" in need else ";"} extra == "{extra}"' for need, extra in listed]
        return [*project["dependencies"], *more]
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # not installed: a requirement for another system


def test_every_layer_is_there() -> None:
    """A name in `LAYERS` that belongs to no module would check nothing."""
    parts = {part(module) for module in NAMED}
    assert set(chain(*LAYERS)) <= parts
