"""What a verb imports: only what it needs, so that it answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Libraries that no verb needs which only reads rows.
HEAVY = {"alembic", "apprise", "av", "celery", "flask", "jinja2", "obstore", "PIL", "requests"}
READING = [
    *("jobs:list_jobs", "jobs:show", "deliveries:app", "subscriptions_show:list_all"),
    *("keys:app", "callbacks:list_callbacks", "models:list_models", "videos_list:list_videos"),
    *("ledger:ledger", "changes:cancel", "watch:watch", "recover:recover"),
]


@pytest.mark.parametrize("target", READING)
def test_reading_verb(target: str) -> None:
    """A verb that only reads brings no HTTP client, no pictures and no templates."""
    program = f"import sys; import service.cli.{target.partition(':')[0]}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert 0 == done.returncode, done.stderr
    assert set() == HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("name", ["subscriptions", "videos"])
def test_page_of_a_group(name: str) -> None:
    """The help of a group comes without its verbs' modules and without the database's."""
    program = (
        "import sys; from service.cli import app; from typer.main import get_command\n"
        f"get_command(app).main(['{name}', '-h'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "Commands:" in done.stdout
    assert {"sqlalchemy", "service.cli.wired"} & set(done.stderr.split()) == set()
