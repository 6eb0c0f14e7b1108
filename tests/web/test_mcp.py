"""MCP at ``/mcp``: the official clients as they are, and the rules of the protocol."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.node import need_node, npm_install, run
from support.servers import Clipbell
from werkzeug.test import TestResponse

from service import store
from service.accounts import create_key
from service.model import JobState
from service.web.app import create_app

CLIENTS = Path(__file__).parent / "clients"
TOOLS = ["create_video", "get_job", "list_jobs", "list_models", "estimate", "cancel_job"]
TASKS = "io.modelcontextprotocol/tasks"
WISH = {"model": "kling-2", "input": {"prompt": "A fox"}}


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def environ_of(clipbell: Clipbell) -> dict[str, str]:
    """Where it is, and the key."""
    return {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key}


def test_python_client(clipbell: Clipbell, tmp_path: Path) -> None:
    """The official Python client, by either era of the protocol: all tools, and a video."""
    (tmp_path / "agent.py").write_text((CLIENTS / "mcp_agent.py.txt").read_text())
    found = json.loads(run([sys.executable, "agent.py"], tmp_path, **environ_of(clipbell)))
    expected = {
        "tools": TOOLS,
        "models": True,
        "seconds": 45.0,
        "refused": [True, True],
        "dear": [True, True],
        "states": ["queued", "succeeded"],
        "link": True,
        "listed": True,
        "late": True,
    }

    assert [expected, expected] == found


def test_typescript_client(clipbell: Clipbell, tmp_path: Path) -> None:
    """The official TypeScript client makes a video, too."""
    need_node(20)
    npm_install(tmp_path, "@modelcontextprotocol/sdk@1")
    (tmp_path / "agent.mjs").write_text((CLIENTS / "mcp_agent.mjs").read_text())
    found = json.loads(run(["node", "agent.mjs"], tmp_path, **environ_of(clipbell)))

    assert (TOOLS, ["queued", "succeeded"]) == (found["tools"], found["states"])
    assert found["link"].startswith(clipbell.url)


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def asked(client: FlaskClient, method: str, *extensions: str, **params: Any) -> TestResponse:
    """A request of 2026-07-28 by a client with these extensions."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {e: {} for e in extensions}},
    }
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    name = params.get("name") or params.get("taskId")
    headers |= {"Mcp-Name": name} if name else {}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return client.post("/mcp", json=body, headers=headers)


def result(answer: TestResponse) -> dict[str, Any]:
    """The result of a request that went well."""
    assert 200 == answer.status_code, answer.text
    found: dict[str, Any] = answer.get_json()["result"]
    return found


def code(answer: TestResponse) -> int:
    """The code of a JSON-RPC error."""
    return int(answer.get_json()["error"]["code"])


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


def test_a_price_over_the_limit(client: FlaskClient) -> None:
    """Nothing is made that may cost more than the caller allows; the answer says the price."""
    wish = {**WISH, "max_price": 1.5}
    found = result(asked(client, "tools/call", TASKS, name="create_video", arguments=wish))

    assert found["isError"]
    assert "1.75" in found["structuredContent"]["error"]
    assert [] == client.get("/v1/jobs").get_json()["data"]


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


def test_notifications(client: FlaskClient) -> None:
    """What wants no answer gets none."""
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}

    assert (202, b"") == ((answer := client.post("/mcp", json=body)).status_code, answer.data)
