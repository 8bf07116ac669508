"""The release files are right about the dependencies: hashes and licences; and no dependency has a known fault."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.proof import FULL
from tools.release_files import CONSTRAINTS, EXTRAS, HASHES, LICENCES, ROOT

#: How many seconds the audit may take before its data counts as out of reach.
AUDIT_TIMEOUT = 240


def read_pins(text: str) -> dict[str, str]:
    """The version of each package in a file of constraints."""
    requirements = [Requirement(line) for line in text.splitlines()]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in requirements}


def read_lock() -> list[Requirement]:
    """Each requirement of the file with hashes."""
    lines = (ROOT / HASHES).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\")) for line in lines if line[:1] not in {"#", " "}]


def runtime_closure() -> set[str]:
    """What is installed here with Longarc and the extras of a release, found in the packages' own metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    waiting = [Requirement(one) for names in lists for one in names]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        for extra in {"", *requirement.extras}:
            node = (canonicalize_name(requirement.name), extra)
            if node in seen:
                continue
            seen.add(node)
            needed = [Requirement(one) for one in requires(requirement.name) or []]
            waiting += [one for one in needed if not one.marker or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def test_the_hashes_name_exactly_what_longarc_installs_at_the_pinned_versions() -> None:
    pins = read_pins((ROOT / CONSTRAINTS).read_text(encoding="utf-8"))
    lock = read_lock()
    assert {one.name for one in lock if not one.marker or one.marker.evaluate()} == runtime_closure()
    assert {one.name: str(one.specifier) for one in lock} == {one.name: f"=={pins[one.name]}" for one in lock}


def test_each_package_has_hashes_and_no_address() -> None:
    """Nothing but requirements, each followed by its hashes, in the form that pip takes."""
    lines = (ROOT / HASHES).read_text(encoding="utf-8").splitlines(keepends=True)
    body = "".join(line for line in lines if not line.startswith("#"))
    package = r"[a-z0-9-]+==[a-z0-9.]+( ; [a-z_]+ [<!=]+ '[\w.]+'( and [a-z_]+ != '\w+')?)?"
    assert re.fullmatch(rf"({package}( \\\n    --hash=sha256:[0-9a-f]{{64}})+\n)+", body)


def test_each_package_is_listed_with_its_licence() -> None:
    lines = (ROOT / LICENCES).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][1:]
    assert {name: f"=={version}" for name, version, _ in rows} == {one.name: str(one.specifier) for one in read_lock()}
    assert [name for name, _, licence in rows if licence in {"", "not stated"}] == []


@pytest.mark.proof
@pytest.mark.timeout(AUDIT_TIMEOUT + 60)
@pytest.mark.skipif(not FULL, reason="an audit asks a service for known faults: run `make proof`")
def test_no_pinned_version_has_a_known_fault(tmp_path: Path) -> None:
    audit = [sys.executable, "-m", "pip_audit", "--requirement", CONSTRAINTS, "--no-deps", "--disable-pip"]
    report = ["--format", "json", "--progress-spinner", "off", "--cache-dir", str(tmp_path)]
    try:
        done = subprocess.run(
            [*audit, *report], cwd=ROOT, capture_output=True, text=True, check=False, timeout=AUDIT_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the data on known faults did not come within {AUDIT_TIMEOUT} seconds")
    if not done.stdout:
        last_line = next(iter(done.stderr.strip().splitlines()[-1:]), "no output")
        if "ConnectionError" in done.stderr or "Could not connect" in done.stderr:
            pytest.skip(f"the data on known faults can't be reached: {last_line}")
        pytest.fail(f"the audit did not run: {last_line}")
    packages = json.loads(done.stdout)["dependencies"]
    assert {one["name"]: one["vulns"] for one in packages if one.get("vulns")} == {}
    left_out = {one["name"]: one["skip_reason"] for one in packages if "skip_reason" in one}
    if len(left_out) == len(packages):
        pytest.skip(f"the data on known faults can't be reached: {next(iter(left_out.values()))}")
    assert left_out == {}
