"""The container file and the compose file are valid, restrict the services, and agree with the documentation."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT
from worker.cli import main

FOLDER = ROOT / "config" / "container"
DOCKERFILE = FOLDER / "Dockerfile"
COMPOSE = FOLDER / "compose.yaml"
ENVIRONMENT = {"LONGARC_DIR": "/etc/longarc", "LONGARC_HOST": "longarc.example.com"}


def find_tool(name: str) -> str:
    """Return the path of a tool from a Python package. Skip the test where the package does not have it."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if path is None:
        pytest.skip(f"{name} is missing: its package has no file for this system")
    return path


@cache
def read_compose() -> dict[str, Any]:
    load: Any = yaml.safe_load  # the library has no types
    content: dict[str, Any] = load(COMPOSE.read_text(encoding="utf-8"))
    return content


def list_instructions(name: str) -> list[str]:
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]


def test_hadolint_accepts_the_container_file() -> None:
    result = subprocess.run([find_tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_docker_compose_accepts_the_compose_file() -> None:
    env = {**os.environ, **ENVIRONMENT}
    command = [find_tool("docker-compose"), "--file", str(COMPOSE), "config", "--quiet"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (result.returncode, result.stderr) == (0, "")


def test_docker_compose_names_a_missing_variable() -> None:
    command = [find_tool("docker-compose"), "--file", str(COMPOSE), "config", "--quiet"]
    env = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert result.returncode != 0
    assert "LONGARC_DIR" in result.stderr or "LONGARC_HOST" in result.stderr


def test_wheel_is_built_from_the_files_that_the_container_file_copies(tmp_path: Path) -> None:
    for arguments in list_instructions("COPY"):
        *sources, target = arguments.split()
        if sources[0].startswith("--from"):
            continue
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, tmp_path / source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    result = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert list((tmp_path / "dist").glob("longarc-*.whl"))
    assert (tmp_path / "constraints-hashes.txt").exists()


def test_image_runs_as_its_own_user_and_stops_with_sigint() -> None:
    (user,) = list_instructions("USER")
    assert user == "10001:10001"
    assert list_instructions("STOPSIGNAL") == ["SIGINT"]
    assert list_instructions("ENTRYPOINT") == ['["longarc"]']
    (health_check,) = list_instructions("HEALTHCHECK")
    health_command = re.findall(r'"([^"]+)"', health_check)
    assert health_command == ["longarc", "status", "--health"]
    _, *compose_command = read_compose()["services"]["worker"]["healthcheck"]["test"]  # after the word CMD
    assert health_command == compose_command
    options = {option for parameter in main.commands["status"].params for option in parameter.opts}
    assert "--health" in options


def test_every_service_is_read_only_and_drops_its_capabilities() -> None:
    for name, service in read_compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name  # noqa: S108
        assert "privileged" not in service, name
    added_capabilities = {name: service.get("cap_add") for name, service in read_compose()["services"].items()}
    assert added_capabilities == {"database": None, "worker": None, "proxy": ["NET_BIND_SERVICE"]}


def test_images_have_official_names_and_secrets_are_files() -> None:
    images = [service["image"] for service in read_compose()["services"].values()]
    images += [instruction.split()[0] for instruction in list_instructions("FROM")]
    assert [image for image in images if not re.fullmatch(r"[a-z]+(:[\w.-]+)?", image)] == []
    assert {tuple(secret) for secret in read_compose()["secrets"].values()} == {("file",)}
    variables = read_compose()["services"]["worker"]["environment"]
    assert all(name.endswith("_FILE") and path.startswith("/run/secrets/") for name, path in variables.items())
    assert set(read_compose()["services"]["worker"]["secrets"]) == {Path(path).name for path in variables.values()}


def test_only_the_proxy_publishes_ports() -> None:
    services = read_compose()["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["database"]["networks"] == ["inside"]
    assert read_compose()["networks"]["inside"]["internal"] is True


def test_settings_on_the_container_page_match_the_compose_file() -> None:
    page = (ROOT / "docs" / "how-to" / "container.md").read_text(encoding="utf-8")
    address = read_compose()["services"]["proxy"]["networks"]["inside"]["ipv4_address"]
    assert f'proxy = "{address}"' in page
    (port,) = re.findall(r"reverse_proxy worker:(\d+)", (FOLDER / "Caddyfile").read_text(encoding="utf-8"))
    assert f'listen = "0.0.0.0:{port}"' in page
    for secret in read_compose()["secrets"]:
        assert f"secrets/{secret}" in page
