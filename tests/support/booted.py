"""
A systemd of the test's own, in a container over this machine's files.

What it writes goes into memory and is gone at its end; it sees no network but its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SECONDS = 400
TOOLS = {"systemd-nspawn": "systemd-container", "unshare": "util-linux", "curl": "curl"}
#: The program of a virtual environment in /srv/clipbell, made of what this test runs with.
COMMAND = """#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONHOME=/opt/python PYTHONPATH=/srv/clipbell:{paths}
exec /opt/python/bin/{python} -m service "$@"
"""
#: Ends the machine however the script ends.
UNIT = """[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sh -x /script.sh >/said 2>/script.log'
ExecStopPost=/bin/systemctl poweroff --force
"""
#: $1 is an empty folder; what follows it are arguments of systemd-nspawn.
MACHINE = """
set -e
place=$1 prepared=$2; shift 2
mount -t tmpfs none $place
mkdir $place/upper $place/work $place/root
mount -t overlay overlay -o lowerdir=/,upperdir=$place/upper,workdir=$place/work $place/root
cp -a $prepared/. $place/root
timeout -k 5 300 systemd-nspawn -q -D $place/root --private-network --register=no --keep-unit "$@" \
    -b systemd.unit=script.service >$place/console 2>&1 || true
cat $place/root/script.log >&2
cat $place/root/said
"""


def missing() -> str:
    """What is missing for it, in one line; blank when all is there."""
    if os.getuid() != 0:
        return "no root, for a systemd of the test's own (run the tests as root)"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        return f"no {absent[0]} (apt-get install {TOOLS[absent[0]]})"
    allowed = subprocess.run(["/usr/bin/unshare", "-m", "true"], capture_output=True, check=False)
    return "" if allowed.returncode == 0 else "no right to mount, for a systemd of the test's own"


def run_under_systemd(script: str, folder: Path) -> tuple[str, str]:
    """
    Boot a systemd that runs a shell script as root, with Clipbell installed in /srv/clipbell.

    Returns:
        What the script printed; and what it ran and printed on stderr.
    """
    prepared, place = folder / "prepared", folder / "machine"
    place.mkdir()
    program = prepared / "srv/clipbell/.venv/bin/clipbell"
    program.parent.mkdir(parents=True)
    base = Path(sys.base_prefix)
    python = Path(sys.executable).resolve().relative_to(base.resolve() / "bin")
    sites = [path for path in sys.path if path.endswith("site-packages")]
    binds = {str(base): "/opt/python"}
    binds |= {site: f"/opt/site{place}" for place, site in enumerate(sites)}
    paths = ":".join(place for place in binds.values() if "site" in place)
    program.write_text(COMMAND.format(paths=paths, python=python))
    program.chmod(0o755)
    shutil.copytree(REPOSITORY / "service", prepared / "srv/clipbell/service")
    shutil.copytree(REPOSITORY / "deploy/systemd", prepared / "etc/systemd/system")
    (prepared / "etc/systemd/system/script.service").write_text(UNIT)
    (prepared / "script.sh").write_text(script)
    mounts = [f"--bind-ro={source}:{target}" for source, target in binds.items()]
    done = subprocess.run(
        ["/usr/bin/unshare", "-m", "sh", "-c", MACHINE, "sh", str(place), str(prepared), *mounts],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout, done.stderr
