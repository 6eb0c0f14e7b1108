"""The long form: ``python -m fuzz --examples 200 --seed 7``, from ``tests/``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import campaign

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="requests per operation")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        done = campaign(Path(folder), given.seed, "--max-examples", str(given.examples))
    print(done.stdout, done.stderr)
    sys.exit(done.returncode)
