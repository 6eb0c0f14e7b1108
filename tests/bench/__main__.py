"""
How fast Clipbell is: whole jobs against a scripted vendor and hook on this machine.

``python -m bench [--jobs N] [--repeat N] [--against TREE] [--only NAME …] [--json FILE]``

To be run from tests/. Figures depend on the machine: only those of one run can be
compared. With `--against` each round measures another source tree too, in turns, and the
ratio is what counts.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.deployment import Vendor
from bench.figures import Figures, spread
from bench.walk import Walk, run

OWN = Path(__file__).parents[2]


def walks(jobs: int) -> list[Walk]:
    """Everything that is measured."""
    large = Vendor(create_seconds=1.0, task_seconds=4.5, film_bytes=20 * 1024**2)
    return [
        *(Walk(f"burst {name}", jobs, database=name) for name in ("sqlite", "postgresql")),
        *(Walk(f"1/s {name}", 20, 1.0, name) for name in ("sqlite", "postgresql")),
        *(Walk(f"20/s {name}", jobs, 20.0, name) for name in ("sqlite", "postgresql")),
        *(Walk(f"20 MB {name}", jobs, 0.0, name, large) for name in ("sqlite", "postgresql")),
    ]


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = [w for w in walks(options.jobs) if not options.only or w.name in options.only]
    trees = [options.against, OWN] if options.against else [OWN]
    rounds = {walk.name: _measure(walk, trees, options.repeat) for walk in chosen}
    _print(rounds)
    if options.json:
        described = {walk.name: asdict(walk) for walk in chosen}
        options.json.write_text(json.dumps({"walks": described, "rounds": rounds}, indent=2))


def _measure(walk: Walk, trees: list[Path], repeat: int) -> list[list[Figures]]:
    """The figures of each tree, all rounds; within a round the trees take turns."""
    rounds = [[run(walk, tree.resolve()) for tree in trees] for _ in range(repeat)]
    return [list(of_tree) for of_tree in zip(*rounds, strict=True)]


def _print(rounds: dict[str, list[list[Figures]]]) -> None:
    table = Table(box=None)
    names = list(next(iter(rounds.values()))[0][0])
    for name in ("", *names):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for walk, trees in rounds.items():
        for label, tree in zip(["before", ""][-len(trees) :], trees, strict=True):
            table.add_row(f"{walk} {label}", *(spread([f[name] for f in tree]) for name in names))
        if len(trees) == 2:
            ratios = ([b[name] / a[name] for a, b in zip(*trees, strict=True)] for name in names)
            table.add_row(f"{walk} ratio", *(spread(list(one)) for one in ratios))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
