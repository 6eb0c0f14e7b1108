"""``python -m hostile [COUNT] [SEED]``: prints the figures, exit code 1 where a promise broke."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hostile.campaign import run

COUNT, SEED = 100_000, 1


def main(count: int = COUNT, seed: int = SEED) -> int:
    """Run it; the exit code."""
    with tempfile.TemporaryDirectory(prefix="clipbell-hostile-") as folder:
        figures = run(Path(folder), count, seed)
    print(figures)
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
