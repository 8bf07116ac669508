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
#: The layers, lowest first. A module imports from its own layer or from layers before it.
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
#: Packages of the same layer that each package must not import.
FORBIDDEN_NEIGHBOURS = {
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
def list_modules() -> tuple[str, ...]:
    """Return the dotted name of every module of the product."""
    paths = sorted(path.relative_to(ROOT) for path in WORKER.rglob("*.py") if "_templates" not in path.parts)
    return tuple(".".join(path.with_suffix("").parts) for path in paths)


@cache
def read_source(module: str) -> str:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


@cache
def parse_module(module: str) -> ast.Module:
    return ast.parse(read_source(module))


def iter_imports(module: str) -> Iterator[str]:
    """Yield the dotted names that a module imports anywhere in it. For `from a import b`, yield both `a` and `a.b`."""
    for node in ast.walk(parse_module(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module} imports by dots; write the whole name"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def get_product_imports(module: str) -> set[str]:
    """Return the modules of the product that a module imports."""
    return {name for name in iter_imports(module) if name in get_known_names()}


@cache
def get_known_names() -> frozenset[str]:
    """Return the names of all modules, and of all packages as an import writes them."""
    return frozenset(list_modules()) | {name.removesuffix(".__init__") for name in list_modules()}


def get_package(module: str) -> str:
    """Return the package of a module: `worker.providers.caldav.calendar` belongs to `providers`.

    A module directly in `worker` is taken as a package, and `worker` itself belongs to `__init__`.
    """
    return ([*module.split("."), "__init__"])[1]


def get_layer(name: str) -> int:
    layer_numbers = [number for number, names in enumerate(LAYERS) if name in names]
    assert layer_numbers, f"worker/{name} belongs to no layer. Add it to LAYERS in tests/repository/test_layers.py"
    return layer_numbers[0]


MODULES_IN_PACKAGES = [module for module in list_modules() if get_package(module) != "__init__"]


def test_module_imports_only_its_own_and_lower_layers() -> None:
    violations = [
        f"{module} imports {name}"
        for module in MODULES_IN_PACKAGES
        for name in sorted(get_product_imports(module))
        if get_package(name) != "__init__" and get_layer(get_package(name)) > get_layer(get_package(module))
    ]
    assert violations == []


def test_domain_imports_only_the_standard_library_and_holidays() -> None:
    """The domain is pure: it uses no I/O, no clock, no settings and no database."""
    for module in (candidate for candidate in MODULES_IN_PACKAGES if get_package(candidate) == "domain"):
        roots = {name.partition(".")[0] for name in iter_imports(module)}
        assert roots <= {*sys.stdlib_module_names, "holidays", "worker"}, module
        assert not roots & IMPURE, module
        assert {get_package(name) for name in get_product_imports(module)} <= {"domain", "errors", "__init__"}, module


def test_packages_do_not_import_forbidden_neighbours() -> None:
    """For example, providers import neither the store nor the settings."""
    for module in MODULES_IN_PACKAGES:
        assert not {get_package(name) for name in get_product_imports(module)} & FORBIDDEN_NEIGHBOURS.get(
            get_package(module), set()
        ), module


def test_engine_and_app_import_no_vendor() -> None:
    """These modules import only the parts of the providers that all services share."""
    for module in (
        "worker.engine.sweep",
        "worker.engine.outbox",
        "worker.engine.event_attempts",
        "worker.engine.sync",
        "worker.engine.actions",
        "worker.app",
    ):
        vendors = {name for name in get_product_imports(module) if get_package(name) == "providers"}
        shared_modules = {
            "worker.providers",
            *(f"worker.providers.{name}" for name in ("base", "limiter", "identities")),
        }
        assert vendors <= shared_modules, module


def test_only_the_clock_module_reads_the_clock() -> None:
    """Other modules take the time as an argument."""
    assert [module for module in list_modules() if reads_clock(module)] == ["worker.clock"]


def reads_clock(module: str) -> bool:
    calls = [node.func for node in ast.walk(parse_module(module)) if isinstance(node, ast.Call)]
    return any(map(_is_clock_call, calls)) or bool({f"time.{clock}" for clock in CLOCKS} & set(iter_imports(module)))


def _is_clock_call(function: ast.expr) -> bool:
    """Whether a call reads the clock, such as `datetime.now`, `date.today` or `time.time`."""
    if not (isinstance(function, ast.Attribute) and function.attr in CLOCKS):
        return False
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name in {"datetime", "date", "time"}


def test_no_module_is_longer_than_the_limit() -> None:
    lengths = {module: len(read_source(module).splitlines()) for module in list_modules()}
    assert {module: length for module, length in lengths.items() if length > MAX_LINES} == {}


def test_each_module_has_a_docstring() -> None:
    assert [
        module for module in list_modules() if parse_module(module).body and not ast.get_docstring(parse_module(module))
    ] == []


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


def test_only_the_tasks_have_effects_at_import() -> None:
    """No other import opens a database, a file or a connection, and no other module imports the tasks."""
    excluded = {"worker.tasks", "worker.__main__", "worker.store.migrations.env"}
    imported_modules = [
        module
        for module in list_modules()
        if module not in excluded and not module.startswith("worker.store.migrations.versions")
    ]
    result = subprocess.run(
        [sys.executable, "-B", "-c", IMPORTER, *imported_modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


#: Packages of a second HTTP stack. Among them, urllib3-future replaces urllib3 when both are installed.
SECOND_STACK = {"caldav", "niquests", "urllib3-future", "qh3", "jh2", "wassima"}
#: Imports every module and prints the modules of the second stack that are imported with them.
SECOND_STACK_IMPORTER = """
import sys, importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
print(sorted(set(sys.argv[1].split(",")) & {name.partition(".")[0] for name in sys.modules}))
"""


def test_product_installs_one_http_stack() -> None:
    """No extra of the product installs a second HTTP stack; only the extra for development does."""
    assert not SECOND_STACK & list_installed_packages("longarc", {"embedded", "redis", "scim"})
    assert "caldav" in list_installed_packages("longarc", {"dev"})


def test_tests_use_the_http_library_of_the_product() -> None:
    """urllib3-future replaces urllib3 at each start of Python. Tests with it would not test the product."""
    assert vars(urllib3)["__version__"] == metadata.version("urllib3"), "set up again: rm -rf .venv && make setup"
    assert not list(Path(urllib3.__file__).parents[1].glob("urllib3*.pth"))


def test_no_module_imports_the_second_stack() -> None:
    imported_modules = [
        module
        for module in list_modules()
        if module != "worker.store.migrations.env" and not module.startswith("worker.store.migrations.versions")
    ]
    arguments = [sys.executable, "-B", "-c", SECOND_STACK_IMPORTER, "caldav,niquests,urllib3_future", *imported_modules]
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def list_installed_packages(name: str, extras: set[str]) -> set[str]:
    """Return the packages that pip installs for a package with these extras, including itself, by their metadata."""
    extras_by_package: dict[str, set[str]] = {}
    unread_packages = [(name, extras)]
    while unread_packages:
        name, extras = unread_packages.pop()
        if extras <= extras_by_package.get(name, set()) and name in extras_by_package:
            continue
        extras_by_package.setdefault(name, set()).update(extras)
        for line in list_requirements(name):
            requirement = Requirement(line)
            active_extras = {"", *extras_by_package[name]}
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": active_extra}) for active_extra in active_extras
            ):
                unread_packages.append((canonicalize_name(requirement.name), set(requirement.extras)))
    return set(extras_by_package)


def list_requirements(name: str) -> list[str]:
    if name == "longarc":  # its installed metadata may be outdated, but pyproject.toml is current
        project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        requirements = [(requirement, extra) for extra, members in extras.items() for requirement in members]
        marked_requirements = [
            f'{requirement} {"and" if ";" in requirement else ";"} extra == "{extra}"'
            for requirement, extra in requirements
        ]
        return [*project["dependencies"], *marked_requirements]
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # not installed: a requirement for another system


def test_every_name_in_the_layers_belongs_to_a_module() -> None:
    """A name in `LAYERS` that belongs to no module would have no effect."""
    parts = {get_package(module) for module in MODULES_IN_PACKAGES}
    assert set(chain(*LAYERS)) <= parts
