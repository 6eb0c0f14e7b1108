"""MCP at ``/mcp``: the rules of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.mcp import TASKS, WISH, asked, code, result

from service import store
from service.accounts import create_key
from service.model import JobState


def test_discover(client: FlaskClient) -> None:
    """The server says its version and that it has tools and tasks."""
    found = result(asked(client, "server/discover"))

    assert ["2026-07-28"] == found["supportedVersions"]
    assert {"tools": {}, "extensions": {TASKS: {}}} == found["capabilities"]
    assert ("complete", 0, "private") == (
        found["resultType"],
        found["ttlMs"],
        found["cacheScope"],
    )


def test_a_create_is_a_task(harness: Harness, client: FlaskClient) -> None:
    """With the extension a create answers with a task, which is found at once, to its end."""
    made = result(asked(client, "tools/call", TASKS, name="create_video", arguments=WISH))
    task_id = made["taskId"]
    working = result(asked(client, "tasks/get", TASKS, taskId=task_id))
    with harness.db.write() as tx:
        error = {"code": "CONTENT_VIOLATION", "message": "no foxes"}
        store.jobs.change(tx, task_id, [JobState.QUEUED], state=JobState.FAILED, error=error)
    ended = result(asked(client, "tasks/get", TASKS, taskId=task_id))

    assert ("task", "working") == (made["resultType"], made["status"])
    assert ("complete", "working", None) == (
        working["resultType"],
        working["status"],
        working["ttlMs"],
    )
    assert ("completed", True) == (ended["status"], ended["result"]["isError"])


def test_cancel_is_a_wish(harness: Harness, client: FlaskClient) -> None:
    """A task that waits is cancelled; one that was sent goes on."""
    ids = []
    for _ in range(2):
        made = result(asked(client, "tools/call", TASKS, name="create_video", arguments=WISH))
        ids.append(made["taskId"])
    with harness.db.write() as tx:
        store.jobs.change(tx, ids[1], [JobState.QUEUED], state=JobState.SUBMITTED)
    answers = [result(asked(client, "tasks/cancel", TASKS, taskId=one)) for one in ids]
    states = [result(asked(client, "tasks/get", TASKS, taskId=one))["status"] for one in ids]

    assert [{"resultType": "complete"}] * 2 == answers
    assert ["cancelled", "working"] == states


def test_without_the_extension(client: FlaskClient) -> None:
    """A client that knows no tasks gets the job at once, and no tasks."""
    made = result(asked(client, "tools/call", name="create_video", arguments=WISH))
    refused = asked(client, "tasks/get", taskId=made["structuredContent"]["id"])

    assert ("complete", "queued", False) == (
        made["resultType"],
        made["structuredContent"]["state"],
        made["isError"],
    )
    assert (400, -32021) == (refused.status_code, code(refused))


def test_refusals(harness: Harness, client: FlaskClient) -> None:
    """Faults of the request are JSON-RPC errors; what a tool refuses is the tool's result."""
    with harness.db.write() as tx:
        reader = create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
    bodies = [
        {"jsonrpc": "2.0", "id": 1, "method": "nothing"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
    ]
    codes = [code(client.post("/mcp", json=body)) for body in bodies]
    broken = client.post("/mcp", data="{", content_type="application/json")
    other = asked(client, "tools/call", name="create_video", arguments=WISH)
    client.environ_base["HTTP_X_API_KEY"] = reader
    lacking = result(asked(client, "tools/call", name="create_video", arguments=WISH))

    assert [-32601, -32602, -32600] == codes
    assert (-32700, 400) == (code(broken), broken.status_code)
    assert 200 == other.status_code
    assert "submit" in lacking["structuredContent"]["error"]
    assert 401 == client.post("/mcp", json=bodies[0], headers={"x-api-key": ""}).status_code
    assert 405 == client.get("/mcp").status_code


def test_headers_repeat_the_body(client: FlaskClient) -> None:
    """A header that says something else than the body is refused, an unknown version too."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2099-01-01",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    right = {"MCP-Protocol-Version": "2099-01-01", "Mcp-Method": "tools/list"}
    wrong = right | {"Mcp-Method": "ping"}
    found = client.post("/mcp", json=body, headers=right)

    assert (-32020, -32022) == (code(client.post("/mcp", json=body, headers=wrong)), code(found))
    assert "2026-07-28" in found.get_json()["error"]["data"]["supported"]


@pytest.mark.parametrize(
    ("version", "method", "expected"),
    [
        ("1999-01-01", "tools/list", -32022),
        ("2024-11-05", "ping", -32022),
        ("", "ping", -32022),
        ("2026-07-28", "tools/list", -32602),
        ("2025-06-18", "ping", None),
        ("1999-01-01", "initialize", None),
        (None, "tools/list", None),
    ],
)
def test_version_in_the_header(
    client: FlaskClient, version: str | None, method: str, expected: int | None
) -> None:
    """A version that is not spoken is refused, but for a handshake, which settles it."""
    headers = {} if version is None else {"MCP-Protocol-Version": version}
    body = {"jsonrpc": "2.0", "id": 1, "method": method}
    found = client.post("/mcp", json=body, headers=headers)

    assert expected == found.get_json().get("error", {}).get("code")
    assert (200 if expected is None else 400) == found.status_code


@pytest.mark.parametrize("id_", [None, True, [1], {"a": 1}])
def test_what_is_no_id(client: FlaskClient, id_: Any) -> None:
    """Only its id tells an answer from others, so a video under none of these is not made."""
    call = {"name": "create_video", "arguments": WISH}
    body = {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": call}
    refused = client.post("/mcp", json=body)
    listed = result(asked(client, "tools/call", name="list_jobs", arguments={}))

    assert (400, -32600) == (refused.status_code, code(refused))
    assert [] == listed["structuredContent"]["jobs"]


@pytest.mark.parametrize(
    ("tool", "arguments", "names"),
    [
        ("create_video", {}, ["model", "input"]),
        ("create_video", {"modle": "kling-2", "prompt": "A fox"}, ["modle", "prompt", "model"]),
        ("get_job", {"job_id": 7}, ["job_id: must be"]),
        ("cancel_job", {"job_id": None}, ["job_id: must be"]),
        ("get_job", {"id": "x"}, ["id: takes only job_id", "job_id: this"]),
    ],
)
def test_every_fault_of_the_arguments(
    client: FlaskClient, tool: str, arguments: dict[str, Any], names: list[str]
) -> None:
    """An agent hears of all that is wrong at once."""
    found = result(asked(client, "tools/call", name=tool, arguments=arguments))

    assert [] == [name for name in names if name not in found["structuredContent"]["error"]]


def test_notifications(client: FlaskClient) -> None:
    """What wants no answer gets none."""
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}

    assert (202, b"") == ((answer := client.post("/mcp", json=body)).status_code, answer.data)
