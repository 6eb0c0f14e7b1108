"""Requests as a client of MCP 2026-07-28 makes them."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

TASKS = "io.modelcontextprotocol/tasks"
WISH = {"model": "kling-2", "input": {"prompt": "A fox"}}


def asked(
    client: FlaskClient,
    method: str,
    *extensions: str,
    elicitation: dict[str, Any] | None = None,
    **params: Any,
) -> TestResponse:
    """A request of 2026-07-28 by a client with these extensions, which can ask its user so."""
    capabilities: dict[str, Any] = {"extensions": {e: {} for e in extensions}}
    if elicitation is not None:
        capabilities["elicitation"] = elicitation
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
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
