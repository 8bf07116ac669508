"""The wheel works without the checkout, and contains the templates, the migrations and the examples."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built and unpacked wheel, outside the checkout."""
    work_folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(work_folder / "dist"),
        str(ROOT),
    ]
    build_result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert build_result.returncode == 0, build_result.stderr[-2000:]
    (wheel,) = (work_folder / "dist").glob("*.whl")
    site_folder = work_folder / "site"
    install = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(site_folder)]
    subprocess.run(install, check=True)
    return site_folder


def run_longarc(wheel_folder: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `longarc` in another folder, with the unpacked wheel and without the checkout on the import path."""
    code = (
        f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}];"
        f"sys.path.insert(0, {str(wheel_folder)!r}); from worker.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_wheel_runs_the_command_with_its_help(wheel_folder: Path, tmp_path: Path) -> None:
    result = run_longarc(wheel_folder, tmp_path, "--help")
    assert result.returncode == 0, result.stderr
    assert "contract" in result.stdout


def test_wheel_contains_the_templates(wheel_folder: Path, tmp_path: Path) -> None:
    """Every mail is rendered from templates inside the wheel."""
    code = (
        f"import sys; sys.path.insert(0, {str(wheel_folder)!r});"
        "import worker; assert worker.__file__.startswith(sys.path[0]), worker.__file__;"
        "from worker.mail.render import MailRenderer;"
        "emails = MailRenderer(sender='longarc@corp.example', domain='corp.example'); assert emails.has_language('de');"
        "print(emails.check_templates())"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_wheel_contains_the_migrations(wheel_folder: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(wheel_folder)!r});"
        "from worker.store.database import Database; Database('sqlite:///made.db').migrate()"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
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
def test_wheel_contains_the_examples(wheel_folder: Path, tmp_path: Path, name: str, source: str) -> None:
    """`longarc example` prints an example, or writes it to a file. It replaces a file only with `--force`."""
    text = (ROOT / "config" / source).read_text(encoding="utf-8")
    assert run_longarc(wheel_folder, tmp_path, "example", name).stdout == text
    result = run_longarc(wheel_folder, tmp_path, "example", name, "mine")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "mine").read_text(encoding="utf-8") == text
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    (tmp_path / "mine").write_text("my own")
    refused = run_longarc(wheel_folder, tmp_path, "example", name, "mine")
    message = "mine exists already. Name another file, or replace it with --force."
    assert (refused.returncode, refused.stderr.strip()) == (1, f"longarc: {message}")
    assert (tmp_path / "mine").read_text() == "my own"
    assert run_longarc(wheel_folder, tmp_path, "example", name, "mine", "--force").returncode == 0
    assert (tmp_path / "mine").read_text(encoding="utf-8") == text


def test_commands_of_the_readme_work_in_an_empty_folder(wheel_folder: Path, tmp_path: Path) -> None:
    """The commands in README after the installation work, and README installs nothing from a package index."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install longarc\n" not in readme
    steps = readme.partition("## Install")[2].split("```")[1].splitlines()
    commands = [step.partition("#")[0].split()[1:] for step in steps if "bin/longarc " in step]
    assert [arguments[-1] for arguments in commands] == ["longarc", "run"]
    result = run_longarc(wheel_folder, tmp_path, *commands[0])
    # `longarc` asks its first question, and gets no answer
    assert "How are calendars and mail reached?" in result.stdout
    assert "Nothing was answered, and nothing was written" in result.stderr
    questions = run_longarc(wheel_folder, tmp_path, "init", "--questions", "caldav").stdout
    assert "caldav_url" in questions
