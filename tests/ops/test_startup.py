"""What a process of the service loads and checks before it works."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.harness import Harness

from service.ops import startup
from service.ops.setup import initialise
from service.settings import load_settings

#: Only a change of the schema needs them: eight megabytes and a tenth of a second of each process.
FOR_MIGRATIONS = ("alembic", "mako")
#: Only who sends mail, keeps rows in PostgreSQL or has a key of that vendor needs them.
FOR_SOME = (
    *("email_validator", "smtplib", "sqlalchemy.dialects.postgresql"),
    *("service.providers.kling", "apprise", "obstore"),
)


def test_what_is_not_loaded() -> None:
    """No process loads what changes the schema, nor what its settings may not ask for."""
    code = "import sys, service.cli.worker, service.cli.serve, service.cli.up; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()

    assert [] == [name for name in (*FOR_MIGRATIONS, *FOR_SOME) if name in loaded]


def test_worker_without_mail(tmp_path: Path) -> None:
    """A worker that sends no mail loads no templates; with mail set, it has the channel."""
    code = (
        "import sys; from service.cli.worker import build, load_settings; "
        "print(*build(load_settings()).channels, 'jinja2' in sys.modules)"
    )
    environ = {"CLIPBELL_DATA_DIR": str(tmp_path), "CLIPBELL_SECRET_KEYS": "k" * 40}
    mail = {"CLIPBELL_SMTP_URL": "smtp://127.0.0.1:9", "CLIPBELL_MAIL_FROM": "me@example.com"}
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environ | more,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for more in ({}, mail)
    ]

    assert [
        ["webhook", "slack", "apprise", "False"],
        ["webhook", "slack", "email", "apprise", "True"],
    ] == found


def test_schema_that_comes(tmp_path: Path) -> None:
    """A process that is started before `clipbell init` has ended waits for it."""
    settings = load_settings({}, data_dir=tmp_path / "data", secret_keys="k" * 40)
    settings.data_dir.mkdir()
    waiting = threading.Thread(target=startup.await_schema, args=(settings,))
    waiting.start()
    initialise(settings)
    waiting.join(20)

    assert not waiting.is_alive()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The root logger is put back: tests that count records must not depend on this one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("own_logging")
def test_ready(harness: Harness) -> None:
    """Settings over a database at head are returned as they are."""
    assert harness.wiring.settings is startup.make_ready(harness.wiring.settings)


def test_folder_is_closed_to_others(harness: Harness) -> None:
    """Whatever its rights were, afterwards only its owner gets into the folder."""
    folder = harness.wiring.settings.data_dir
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    startup.await_schema(harness.wiring.settings)

    assert 0o700 == folder.stat().st_mode & 0o777
