"""Large bodies lie in files and are read one by one, so a crowd of them fits into memory."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.servers import Clipbell, eventually, http_call

BODIES = 16
MEGABYTES = 24


def peak(pid: int) -> float:
    """The most memory that a process has taken so far, in MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def post(clipbell: Clipbell, body: bytes) -> int:
    """The status of the answer, however long it takes."""
    headers = {"x-api-key": clipbell.key, "Content-Type": "application/json"}
    return http_call("POST", f"{clipbell.url}/v1/jobs", body, headers, seconds=120).status


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_sixteen_large_bodies_at_once(tmp_path: Path) -> None:
    """16 callers with a key send 24 MB each: all are answered, and memory stays bounded."""
    body = json.dumps({"model": "x" * (MEGABYTES * 1024 * 1024)}).encode()
    with Clipbell(tmp_path / "site", "http://127.0.0.1:9") as clipbell:
        clipbell.start_web()
        eventually(clipbell.answers)
        (worker,) = clipbell.children("serve")
        before = peak(worker)
        with ThreadPoolExecutor(BODIES) as pool:
            statuses = set(pool.map(lambda _: post(clipbell, body), range(BODIES)))
        grown = peak(worker) - before
        print(f"{BODIES} bodies of {MEGABYTES} MB: {before:.0f} MB and {grown:.0f} MB more")

    assert {422} == statuses
    # Eight threads hold a body and what it says, and one of them three times as much as it reads.
    assert grown < 600
