"""One run of schemathesis against gunicorn over SQLite, with the sandbox as both vendors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.sandboxes import start_sandbox
from support.servers import Clipbell, Hook, eventually

HERE = Path(__file__).parent
#: Requests at the synchronous APIs soon get 504, and their jobs go on.
SYNC_SECONDS = "0.01"


def campaign(folder: Path, seed: int, *options: str) -> subprocess.CompletedProcess[str]:
    """
    The run's end: exit code 0 when every operation passed every check.

    Once there is one of everything the worker stops: what is made by requests that
    nobody means is not rendered.
    """
    with start_sandbox(folder / "sandbox", credits=1e6) as server, Hook() as hook:
        settings = {"sync_timeout": SYNC_SECONDS, "poll_after": "0.2", "poll_every": "0.2"}
        with Clipbell(folder, server.url, **settings) as clipbell:
            clipbell.start()
            (folder / "schemathesis.toml").write_text(_with_rows(_rows(clipbell, hook)))
            clipbell.stop("worker")
            return _run(clipbell, hook, folder, seed, options)


def _rows(clipbell: Clipbell, hook: Hook) -> dict[str, str]:
    """The ids of one of everything, by the name that paths have for it."""
    spec = {"channel": "webhook", "target": hook.url}
    made = clipbell.call("POST", "/v1/subscriptions", spec).json()
    job = clipbell.submit("A fox in the snow 狐")
    done = clipbell.await_state(job["id"], "succeeded")
    eventually(lambda: hook.hits)

    def first(path: str) -> str:
        found = eventually(lambda: clipbell.call("GET", path).json()["data"])
        return str(found[0]["id"])

    return {
        "job_id": job["id"],
        "video_id": job["id"],
        "subscription_id": made["id"],
        "delivery_id": first("/v1/deliveries?state=delivered"),
        "callback_id": first("/v1/callbacks"),
        "name": "segmind",
        "token": done["video"]["url"].rpartition("/")[2],
    }


def _with_rows(rows: dict[str, str]) -> str:
    """The settings, with ids that lead somewhere for a part of the requests."""
    report = (HERE / "schemathesis.toml").read_text()
    for name, value in rows.items():
        report += f"\n[dictionaries.{name}]\nvalues = [{json.dumps(value)}]\n"
    report += "\n[parameters]\n"
    for name in rows:
        report += f'"path.{name}" = {{ dictionary = "{name}", probability = 0.5 }}\n'
    return report


def _run(
    clipbell: Clipbell, hook: Hook, folder: Path, seed: int, options: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    environ = {"SCHEMATHESIS_HOOKS": "fuzz.formats", "CLIPBELL_FUZZ_HOOK": hook.url}
    environ["CLIPBELL_FUZZ_KEY"] = clipbell.call("GET", "/v1/keys").json()["data"][0]["id"]
    environ["PYTHONPATH"] = str(HERE.parent)
    key = ("--header", f"x-api-key: {clipbell.key}")
    common = ("--seed", str(seed), "--no-color", "--warnings", "off", *key)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{clipbell.url}/openapi.json"]
    return subprocess.run(
        [*command, *common, *options],
        cwd=folder,
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
