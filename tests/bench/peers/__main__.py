"""
Clipbell beside what else does a part of its work, in the same run and in turns.

``python -m bench.peers [--only ingest notify deliveries] [--database sqlite postgresql]
[--rounds N] [--callbacks N] [--jobs N N] [--deliveries N] [--json FILE]``, from tests/.

The first run makes the peers' environment below the user's cache: `pip` and `apt-get` fetch
them by name. What cannot be had is named in a line each, and left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from support.databases import DATABASES

from bench.figures import Figures, print_rounds
from bench.peers import deliveries, notices, receivers
from bench.peers.kit import Kit, build

PARTS = ("ingest", "notify", "deliveries")
Rounds = dict[str, list[Figures]]


def main() -> None:
    """Print a table for each measurement, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--database", nargs="*", choices=DATABASES, default=DATABASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callbacks", type=int, default=2000)
    parser.add_argument("--jobs", type=int, nargs=2, default=[20, 100], help="at 1 and 20 a second")
    parser.add_argument("--deliveries", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    kit, found = build(), dict[str, Rounds]()
    for line in kit.missing:
        print(line, flush=True)
    for part in given.only:
        for database in given.database:
            for name, rounds in _measured(part, kit, database, given):
                title = f"{part}, {database}, {name}"
                print_rounds(title, rounds)
                found[title] = rounds
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


def _measured(
    part: str, kit: Kit, database: str, given: argparse.Namespace
) -> Iterator[tuple[str, Rounds]]:
    if part == "ingest":
        return receivers.measure(kit, database, given.callbacks, given.rounds)
    if part == "notify":
        return notices.measure(kit, database, given.jobs, given.rounds)
    return deliveries.measure(database, given.deliveries, given.rounds)


if __name__ == "__main__":
    main()
