"""This version in a folder of its own, which may become the next release and itself again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import service
from service.store.database import Database

SOURCE = Path(service.__file__).parent
NEXT_VERSION = "99.0.0"
#: The head of the next release's schema.
NEXT = "9999"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

from service.store.schema_version import breaks_older

revision = "{next}"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("mood", sa.String(20), server_default="calm"))
    op.create_table("moods", sa.Column("name", sa.String(20), primary_key=True))
    if {breaks}:
        breaks_older(op.get_bind(), revision)
"""


class Release:
    """An installation that is replaced where it lies, as `pip install` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = str(folder / "clipbell.py")
        self.head = Database("sqlite:///nowhere.db").version().head
        folder.mkdir()
        Path(self.program).write_text("from service.cli import main\n\nmain()\n")
        self.install_this()

    def install_this(self) -> None:
        """This version."""
        shutil.rmtree(self.folder / "service", ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SOURCE, self.folder / "service", ignore=ignored)

    def install_next(self, *, breaks: bool = False) -> None:
        """The next one: its schema has more than ours, and may be of no use to this one."""
        migration = MIGRATION.format(next=NEXT, head=self.head, breaks=breaks)
        versions = self.folder / "service" / "migrations" / "versions"
        (versions / f"{NEXT}_moods.py").write_text(migration)
        init = self.folder / "service" / "__init__.py"
        init.write_text(init.read_text() + f'\n__version__ = "{NEXT_VERSION}"\n')

    def run(self, *arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """A verb of what is installed now."""
        return subprocess.run(
            [sys.executable, self.program, *arguments],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
