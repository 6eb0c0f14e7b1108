"""The sandbox as a server: its life and its pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.sandboxes import SandboxClient, start_sandbox

#: In a process of its own, where no other sandbox runs.
CLOSED = """
import sys, threading
from pathlib import Path
from support.sandboxes import Receiver, SandboxClient, start_sandbox
with Receiver(500) as receiver, start_sandbox(Path(sys.argv[1]), retry_delays=(3600.0,)) as server:
    sandbox = SandboxClient(server)
    sandbox.apixo("A fox", receiver.url)
    sandbox.apixo("A fox [slow 3600]")
    receiver.wait_for(1)
    running = [thread.name for thread in threading.enumerate()]
left = [thread.name for thread in threading.enumerate()]
print(*(sum(name.startswith("sandbox") for name in names) for names in (running, left)))
"""


def test_whole_walk(sandbox: SandboxClient) -> None:
    """A created task ends in a file that is served whole and in ranges."""
    task_id = sandbox.apixo_task("A red fox in the snow")
    url = json.loads(sandbox.status(task_id)["resultJson"])["resultUrls"][0]

    whole = sandbox.call("GET", url)
    part = sandbox.call("GET", url, headers={"Range": "bytes=4-7"})

    assert f"{sandbox.server.url}/files/{task_id}.mp4" == url
    assert (200, "video/mp4") == (whole.status, whole.headers["content-type"])
    assert (206, b"ftyp") == (part.status, part.body)


def test_public_url_starts_result_urls(tmp_path: Path) -> None:
    """Behind a proxy the results carry the public name, not the one of the socket."""
    with start_sandbox(tmp_path, public_url="https://sandbox.example/") as server:
        sandbox = SandboxClient(server)
        task_id = sandbox.apixo_task("A fox")

        expected = [f"https://sandbox.example/files/{task_id}.mp4"]
        assert expected == json.loads(sandbox.status(task_id)["resultJson"])["resultUrls"]


def test_unknown_file_is_404(sandbox: SandboxClient) -> None:
    """Only results are served, and nothing beside them."""
    for name in ("ffff.mp4", "..%2F..%2Fetc%2Fpasswd.mp4", "x.txt"):
        assert 404 == sandbox.call("GET", f"/files/{name}").status


def test_index_lists_tasks_without_trusting_the_prompt(sandbox: SandboxClient) -> None:
    """The page for people shows the prompt as text, never as markup."""
    sandbox.apixo_task("<script>alert(1)</script>")

    page = sandbox.call("GET", "/")

    assert 200 == page.status
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in page.body
    assert b"<script>" not in page.body


def test_control_lists_tasks(sandbox: SandboxClient) -> None:
    """Tests read state, input and orders of every task, and never a key."""
    task_id = sandbox.apixo_task("A calm lake [slow 0]")

    found = sandbox.call("GET", "/control/tasks")
    task = next(task for task in found.json() if task["task_id"] == task_id)

    assert ("apixo", "success") == (task["provider"], task["state"])
    assert ("A calm lake", {"slow": "0"}) == (task["input"]["prompt"], task["orders"])
    assert [] == task["callbacks"]
    assert "key" not in task


def test_orders_for_the_next_task_only(sandbox: SandboxClient) -> None:
    """`/control/next` bends one create call, and the one after it goes straight."""
    given = sandbox.call("POST", "/control/next", {"directives": "[refuse 503]"})

    assert {"orders": {"refuse": "503"}} == given.json()
    assert 503 == sandbox.apixo("A fox").status
    assert 200 == sandbox.apixo("A fox").status


@pytest.mark.parametrize("body", [{}, {"directives": "[explode]"}, {"directives": 5}, [], b"{"])
def test_orders_that_nobody_knows_are_refused(sandbox: SandboxClient, body: Any) -> None:
    """A typing error in an order is reported at once instead of being obeyed by half."""
    assert 400 == sandbox.call("POST", "/control/next", body).status


def test_close_ends_every_thread(tmp_path: Path) -> None:
    """After close nothing of the sandbox runs, even with tasks and callbacks ahead."""
    command = [sys.executable, "-c", CLOSED, str(tmp_path)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    running, left = map(int, done.stdout.split())

    assert running > 0
    assert 0 == left


def test_pace_holds_every_task(tmp_path: Path) -> None:
    """With a pace a task is still under way when its video is long rendered."""
    with start_sandbox(tmp_path, pace=3600.0) as server:
        sandbox = SandboxClient(server)
        task_id = sandbox.apixo("A fox").json()["data"]["taskId"]
        task = sandbox.when(task_id, lambda task: task.started is not None)

        assert "processing" == task.state
