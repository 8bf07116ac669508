"""Writes the two files of a release about its dependencies: `constraints-hashes.txt` and `docs/licences.md`.

Both list the runtime dependencies of Longarc, with those of the extras `embedded`, `redis` and `scim`, for every
platform and Python, at the versions of `constraints.txt`. `make constraints` runs this module.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("embedded", "redis", "scim")
CONSTRAINTS = "constraints.txt"
HASHES = "constraints-hashes.txt"
LICENCES = "docs/licences.md"

_HASHES_HEAD = """\
# Written by `make constraints` from pyproject.toml and constraints.txt. For a release:
#   pip install --require-hashes -r constraints-hashes.txt
"""
_LICENCES_HEAD = """\
# Licences of what Longarc installs

Written by `make constraints`: each package that Longarc needs to run, with the extras `embedded`, `redis` and `scim`,
and the licence that the package itself states.

| package | version | licence |
|---|---|---|
"""
_CLASSIFIER = "License ::"
_MIT_TEXT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"


def lock_with_hashes() -> str:
    """Return the text of the lock: the pinned runtime dependencies, each with the hashes of all its files."""
    command = ["pip", "compile", "pyproject.toml", "--constraint", CONSTRAINTS, "--universal", "--generate-hashes"]
    options = [
        "--quiet",
        "--no-config",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
    ]
    return _HASHES_HEAD + _run_uv(*command, *options, *(f"--extra={extra}" for extra in EXTRAS))


def list_licences(lock: str) -> str:
    """Return a table of the packages in the lock and their licences. Installs the packages into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "lock.txt")
        # Without markers, since packages that only another platform or Python needs are listed as well.
        requirements.write_text("".join(f"{_without_marker(line)}\n" for line in lock.splitlines()), encoding="utf-8")
        target = Path(folder, "packages")
        install = ["pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes"]
        _run_uv(*install, "--target", str(target), "--requirements", str(requirements))
        return _LICENCES_HEAD + "".join(_rows(distributions(path=[str(target)])))


def _rows(packages: Iterable[Distribution]) -> list[str]:
    return sorted(f"| {canonicalize_name(one.name)} | {one.version} | {read_licence(one)} |\n" for one in packages)


def read_licence(package: Distribution) -> str:
    """The licence that a package states: in `License-Expression`, its classifiers, `License`, or the text of a file."""

    def read_all(field: str) -> list[str]:
        return package.metadata.get_all(field) or []

    paths = [one.split(" :: ") for one in read_all("Classifier") if one.startswith(_CLASSIFIER)]
    classifiers = "; ".join(path[-1] for path in paths if path[-1] != "OSI Approved")
    first_lines = [one.strip().splitlines()[0] for one in read_all("License") if one.strip()]
    candidates = [*read_all("License-Expression"), classifiers, *first_lines, _recognize_text(package), "not stated"]
    return next(filter(None, candidates))


def _recognize_text(package: Distribution) -> str:
    """Return `MIT (by its text)` when a licence file of the package has the text of that licence, otherwise ""."""
    files = [one for one in package.files or [] if "license" in one.name.lower()]
    return "MIT (by its text)" if any(_MIT_TEXT in " ".join(one.read_text().split()) for one in files) else ""


def _without_marker(line: str) -> str:
    """Return a line of the lock without its environment marker."""
    requirement, semicolon, _ = line.partition(" ; ")
    return f"{requirement} \\" if semicolon else line


def _run_uv(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "uv", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv {words[0]} {words[1]} failed:\n{done.stderr.strip()}")
    return done.stdout


def main() -> None:
    """Write both files."""
    lock = lock_with_hashes()
    (ROOT / HASHES).write_text(lock, encoding="utf-8")
    (ROOT / LICENCES).write_text(list_licences(lock), encoding="utf-8")
    sys.stdout.write(f"Wrote {HASHES} and {LICENCES}.\n")


if __name__ == "__main__":
    main()
