"""MCP with the official clients as they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.node import need_node, npm_install, run
from support.servers import Clipbell

CLIENTS = Path(__file__).parent / "clients"
TOOLS = ["create_video", "get_job", "list_jobs", "list_models", "estimate", "cancel_job"]


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
        "states": ["queued", "succeeded"],
        "link": True,
        "listed": True,
        "late": True,
    }

    # Only the newer era has questions: there one price is accepted, and one declined.
    asked = {"dear": [[False, "queued"], [True, None]], "questions": [[True, True]] * 2}
    refused = {"dear": [[True, None]] * 2, "questions": []}

    assert [expected | asked, expected | refused] == found


def test_typescript_client(clipbell: Clipbell, tmp_path: Path) -> None:
    """The official TypeScript client makes a video, too."""
    need_node(20)
    npm_install(tmp_path, "@modelcontextprotocol/sdk@1")
    (tmp_path / "agent.mjs").write_text((CLIENTS / "mcp_agent.mjs").read_text())
    found = json.loads(run(["node", "agent.mjs"], tmp_path, **environ_of(clipbell)))

    assert (TOOLS, ["queued", "succeeded"]) == (found["tools"], found["states"])
    assert found["link"].startswith(clipbell.url)
