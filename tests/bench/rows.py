"""
What a job leaves behind: rows and bytes of the database for each, indexes included.

``python -m bench.rows [--database postgresql] [--jobs N]``, from tests/. A job with one
callback, one copy and one hook, whose prompt has a dozen words.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from bench.deployment import Vendor, deployed
from bench.walk import await_hooks, submit
from service.store.database import Database
from service.store.schema import metadata

TREE = Path(__file__).parents[2]
#: They warm nothing up: they fill the first pages, which would count for the others.
FIRST = 20


def main() -> None:
    """Print rows by table, and bytes, of one job."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--jobs", type=int, default=300)
    given = options.parse_args()
    with deployed(TREE, given.database, Vendor()) as (clipbell, other, _):
        url = clipbell.environ.get("CLIPBELL_DATABASE_URL", "")
        database = Database(url or f"sqlite:///{clipbell.folder}/data/clipbell.db")
        submit(clipbell, FIRST)
        await_hooks(other, FIRST)
        before = measured(database)
        submit(clipbell, given.jobs)
        await_hooks(other, FIRST + given.jobs)
        after = measured(database)
        database.close()
    found = {name: (after[name] - before[name]) / given.jobs for name in after}
    print(json.dumps({name: round(value, 2) for name, value in found.items() if value}))


def measured(database: Database) -> dict[str, float]:
    """Rows of each table, and `bytes` of all."""
    with database.read() as tx:
        tables = metadata.sorted_tables
        rows = {t.name: float(tx.scalar(select(func.count()).select_from(t)) or 0) for t in tables}
        return rows | {"bytes": float(_bytes(tx, database.is_sqlite))}


def _bytes(tx: Connection, is_sqlite: bool) -> int:
    if is_sqlite:
        pages = tx.scalar(text("SELECT page_count FROM pragma_page_count"))
        return int(pages or 0) * int(tx.scalar(text("SELECT page_size FROM pragma_page_size")) or 0)
    sizes = [text(f"SELECT pg_total_relation_size('{t.name}')") for t in metadata.sorted_tables]
    return sum(int(tx.scalar(size) or 0) for size in sizes)


if __name__ == "__main__":
    main()
