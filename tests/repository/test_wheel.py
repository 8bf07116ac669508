"""The wheel works away from the checkout: templates and examples travel inside it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked somewhere else."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place / "dist"), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-2000:]
    (wheel,) = (place / "dist").glob("*.whl")
    unpacked = place / "site"
    install = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(unpacked)]
    subprocess.run(install, check=True)
    return unpacked


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, started in another folder, that sees the unpacked wheel and not the checkout."""
    starts = (
        f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}];"
        f"sys.path.insert(0, {str(installed)!r}); from worker.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", starts, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_command_says_what_it_can_do(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, tmp_path, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "contract" in answer.stdout


def test_the_templates_travel_along(installed: Path, tmp_path: Path) -> None:
    """Every mail is found and rendered from inside the wheel."""
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r});"
        "import worker; assert worker.__file__.startswith(sys.path[0]), worker.__file__;"
        "from worker.mail.render import MailRenderer;"
        "emails = MailRenderer(sender='longarc@corp.example', domain='corp.example'); assert emails.has_language('de');"
        "print(emails.check_templates())"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"


def test_the_migrations_travel_along(installed: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r});"
        "from worker.store.database import Database; Database('sqlite:///made.db').migrate()"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "made.db").stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("settings", "longarc.example.toml"),
        ("people", "people.example.csv"),
        ("openings", "openings.example.csv"),
        ("service", "longarc.service"),
        ("alerts", "monitoring/prometheus-rules.yml"),
        ("dashboard", "monitoring/grafana-dashboard.json"),
    ],
)
def test_the_examples_travel_along(installed: Path, tmp_path: Path, name: str, source: str) -> None:
    """An example is written to the file that is named, and over an existing file only with `--force`."""
    text = (ROOT / "config" / source).read_text(encoding="utf-8")
    assert run(installed, tmp_path, "example", name).stdout == text
    written = run(installed, tmp_path, "example", name, "mine")
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "mine").read_text(encoding="utf-8") == text
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    (tmp_path / "mine").write_text("my own")
    refused = run(installed, tmp_path, "example", name, "mine")
    said = "mine exists already. Name another file, or replace it with --force."
    assert (refused.returncode, refused.stderr.strip()) == (1, f"longarc: {said}")
    assert (tmp_path / "mine").read_text() == "my own"
    assert run(installed, tmp_path, "example", name, "mine", "--force").returncode == 0
    assert (tmp_path / "mine").read_text(encoding="utf-8") == text


def test_readme_installs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """The commands that it names after the installation work there, and it installs nothing from a package index."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install longarc\n" not in readme
    steps = readme.partition("## Install")[2].split("```")[1].splitlines()
    commands = [step.partition("#")[0].split()[1:] for step in steps if "bin/longarc " in step]
    assert [words[-1] for words in commands] == ["longarc", "run"]
    begun = run(installed, tmp_path, *commands[0])
    assert "How are calendars and mail reached?" in begun.stdout, "nobody answers here"
    assert "Nothing was answered, and nothing was written" in begun.stderr
    questions = run(installed, tmp_path, "init", "--questions", "caldav").stdout
    assert "caldav_url" in questions
