"""The peers' programs: a virtual environment and Debian's `webhook`, made once and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

#: What Clipbell stands on too comes in its version.
SHARED = ("flask", "gunicorn", "sqlalchemy", "celery", "redis", "packaging", "psycopg", "requests")
COMMON = [*(f"{name}=={version(name)}" for name in SHARED), f"psycopg-binary=={version('psycopg')}"]
#: Each may be missing by itself.
PEERS = ("hookspool==0.2.0", "django-outbound-webhooks==0.4.0")
BUILD_SECONDS = 600.0


@dataclass(frozen=True)
class Kit:
    """
    What there is of them.

    `missing` says in a line each what cannot be had.
    """

    python: Path
    webhook: Path | None
    redis: Path | None
    missing: tuple[str, ...]

    def has(self, peer: str) -> bool:
        """Whether that distribution is installed."""
        code = f"import importlib.metadata as m; m.version({peer!r})"
        return _run([str(self.python), "-c", code]) == ""


def build() -> Kit:
    """The programs, from the user's cache or made now."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipbell-bench"
    wanted = "\n".join([sys.version, *COMMON, *PEERS])
    folder = cache / hashlib.sha256(wanted.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    missing, whole = list[str](), folder / "whole"
    if not whole.exists() and not (missing := _install(folder)):
        whole.touch()
    redis = shutil.which("redis-server")
    if not redis:
        missing.append("redis-server is missing: no Flask + ORM + Celery")
    return Kit(
        python=folder / "venv/bin/python",
        webhook=_program(folder),
        redis=Path(redis) if redis else None,
        missing=tuple(missing),
    )


def _install(folder: Path) -> list[str]:
    """Fill the folder; what cannot be had."""
    python = str(folder / "venv/bin/python")
    for command in (
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [python, "-m", "pip", "install", "-q", *COMMON],
    ):
        if trouble := _run(command):
            raise SystemExit(f"the peers' environment cannot be made: {trouble}")
    found = {peer: _run([python, "-m", "pip", "install", "-q", peer]) for peer in PEERS}
    found["webhook"] = _unpack_webhook(folder)
    return [f"{peer} cannot be had: {trouble}" for peer, trouble in found.items() if trouble]


def _unpack_webhook(folder: Path) -> str:
    """Debian's package, unpacked beside the environment; why it cannot be had, or nothing."""
    if shutil.which("webhook"):
        return ""
    download = ["apt-get", "download", "-q", "webhook"]
    if _run(download, folder) and (trouble := _run(["apt-get", "update", "-q"])):
        return trouble
    if not list(folder.glob("webhook_*.deb")) and (trouble := _run(download, folder)):
        return trouble
    (package,) = folder.glob("webhook_*.deb")
    return _run(["dpkg-deb", "-x", str(package), str(folder)])


def _program(folder: Path) -> Path | None:
    unpacked = folder / "usr/bin/webhook"
    installed = shutil.which("webhook")
    if unpacked.exists():
        return unpacked
    return Path(installed) if installed else None


def _run(command: Sequence[str], folder: Path | None = None) -> str:
    """The last line of what a command that failed said; nothing where it did not fail."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1] if done.returncode else ""
