"""The release files list the dependencies with hashes and licences, and no dependency has a known vulnerability."""

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

#: After this many seconds, the audit's data counts as unreachable.
AUDIT_TIMEOUT = 240


def read_pins(text: str) -> dict[str, str]:
    """Return the version of each package in a file of constraints."""
    requirements = [Requirement(line) for line in text.splitlines()]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
    }


def read_lock() -> list[Requirement]:
    """Return each requirement in the file with hashes."""
    lines = (ROOT / HASHES).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\")) for line in lines if line[:1] not in {"#", " "}]


def list_required_packages() -> set[str]:
    """Return the packages that Longarc and the extras of a release require, by the metadata of the packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirement_lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    unread_requirements = [Requirement(dependency) for texts in requirement_lists for dependency in texts]
    visited: set[tuple[str, str]] = set()
    while unread_requirements:
        requirement = unread_requirements.pop()
        for extra in {"", *requirement.extras}:
            node = (canonicalize_name(requirement.name), extra)
            if node in visited:
                continue
            visited.add(node)
            dependencies = [Requirement(dependency) for dependency in requires(requirement.name) or []]
            unread_requirements += [
                dependency
                for dependency in dependencies
                if not dependency.marker or dependency.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in visited}


def test_hash_file_lists_exactly_the_required_packages_at_pinned_versions() -> None:
    pins = read_pins((ROOT / CONSTRAINTS).read_text(encoding="utf-8"))
    locked_requirements = read_lock()
    assert {
        requirement.name
        for requirement in locked_requirements
        if not requirement.marker or requirement.marker.evaluate()
    } == list_required_packages()
    assert {requirement.name: str(requirement.specifier) for requirement in locked_requirements} == {
        requirement.name: f"=={pins[requirement.name]}" for requirement in locked_requirements
    }


def test_hash_file_contains_only_requirements_with_hashes() -> None:
    """The file contains only requirements with their hashes, in the format of pip."""
    lines = (ROOT / HASHES).read_text(encoding="utf-8").splitlines(keepends=True)
    body = "".join(line for line in lines if not line.startswith("#"))
    package = r"[a-z0-9-]+==[a-z0-9.]+( ; [a-z_]+ [<!=]+ '[\w.]+'( and [a-z_]+ != '\w+')?)?"
    assert re.fullmatch(rf"({package}( \\\n    --hash=sha256:[0-9a-f]{{64}})+\n)+", body)


def test_licence_page_lists_each_package_with_its_licence() -> None:
    lines = (ROOT / LICENCES).read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    _header, *rows = table
    assert {name: f"=={version}" for name, version, _ in rows} == {
        requirement.name: str(requirement.specifier) for requirement in read_lock()
    }
    assert [name for name, _, licence in rows if licence in {"", "not stated"}] == []


@pytest.mark.proof
@pytest.mark.timeout(AUDIT_TIMEOUT + 60)
@pytest.mark.skipif(not FULL, reason="an audit requests known vulnerabilities from a service: run `make proof`")
def test_no_pinned_version_has_a_known_vulnerability(tmp_path: Path) -> None:
    audit = [sys.executable, "-m", "pip_audit", "--requirement", CONSTRAINTS, "--no-deps", "--disable-pip"]
    report = ["--format", "json", "--progress-spinner", "off", "--cache-dir", str(tmp_path)]
    try:
        result = subprocess.run(
            [*audit, *report], cwd=ROOT, capture_output=True, text=True, check=False, timeout=AUDIT_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the data on known vulnerabilities did not arrive within {AUDIT_TIMEOUT} seconds")
    if not result.stdout:
        last_line = next(iter(result.stderr.strip().splitlines()[-1:]), "no output")
        if "ConnectionError" in result.stderr or "Could not connect" in result.stderr:
            pytest.skip(f"the data on known vulnerabilities can't be reached: {last_line}")
        pytest.fail(f"the audit did not run: {last_line}")
    packages = json.loads(result.stdout)["dependencies"]
    assert {package["name"]: package["vulns"] for package in packages if package.get("vulns")} == {}
    skip_reasons = {package["name"]: package["skip_reason"] for package in packages if "skip_reason" in package}
    if len(skip_reasons) == len(packages):
        pytest.skip(f"the data on known vulnerabilities can't be reached: {next(iter(skip_reasons.values()))}")
    assert skip_reasons == {}
