"""The recipes for clients that exist already: openai, LiteLLM and MCP, each run as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from string import Template

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from support.coroutines import run_coroutine
from support.node import ENVIRON, need_node, npm_install
from support.requirements import need
from support.servers import Clipbell, Hook, eventually

import service.web

pytestmark = pytest.mark.slow

RECIPES = Path(service.web.__file__).with_name("recipes")
PYTHON = sys.executable


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def environ(clipbell: Clipbell) -> dict[str, str]:
    """What every recipe gets."""
    return {
        "CLIPBELL_URL": clipbell.url,
        "CLIPBELL_KEY": clipbell.key,
        "CLIPBELL_WEBHOOK_SECRET": clipbell.webhook_secret,
    }


def run(
    clipbell: Clipbell, folder: Path, *words: str, said: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """A command in the folder, to which somebody says this."""
    return subprocess.run(
        words,
        cwd=folder,
        env=ENVIRON | environ(clipbell) | more,
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def saved(folder: Path, recipe: str, name: str) -> str:
    """A recipe, saved by the name that it asks for."""
    (folder / name).write_text((RECIPES / f"{recipe}.txt").read_text())
    return name


def is_film(path: Path) -> bool:
    """Whether a film lies there."""
    return path.read_bytes()[4:8] == b"ftyp"


def test_openai(clipbell: Clipbell, tmp_path: Path) -> None:
    """The one for the `openai` library saves a video, and verifies what its URL hears."""
    saved(tmp_path, "openai.py", "app.py")
    with Hook() as hook:
        made = run(clipbell, tmp_path, PYTHON, "app.py", "A fox", hook.url)
        assert 0 == made.returncode, made.stderr
        hit = eventually(lambda: hook.hits)[0]
    verify = "import app; print(app.verified({!r}, {!r}))"
    good = run(clipbell, tmp_path, PYTHON, "-c", verify.format(hit.body, hit.headers))
    forged = run(clipbell, tmp_path, PYTHON, "-c", verify.format(hit.body + b" ", hit.headers))

    assert is_film(tmp_path / "video.mp4")
    assert f"('video.completed', '{made.stdout.strip()}')" == good.stdout.strip(), good.stderr
    assert "InvalidWebhookSignatureError" in forged.stderr


def test_openai_in_node(clipbell: Clipbell, tmp_path: Path) -> None:
    """The one for the library of npm saves a video; of one that failed it says why."""
    need_node(20)
    npm_install(tmp_path, "openai")
    name = saved(tmp_path, "openai_node.mjs", "app.mjs")
    made = run(clipbell, tmp_path, "node", name, "A fox")
    failed = run(clipbell, tmp_path, "node", name, "[fail NSFW] A fox")

    assert (0, "succeeded") == (made.returncode, clipbell.job(made.stdout.strip())["state"])
    assert is_film(tmp_path / "video.mp4")
    assert (1, True) == (failed.returncode, bool(failed.stderr.strip()))


@pytest.mark.long  # Its packages take a minute; OpenAI's library, which it builds on, is above.
@pytest.mark.timeout(900)
def test_litellm(clipbell: Clipbell, tmp_path: Path) -> None:
    """The one for LiteLLM, which comes from PyPI as it is, saves a video."""
    run(clipbell, tmp_path, PYTHON, "-m", "venv", "venv")
    interpreter = str(tmp_path / "venv" / "bin" / "python")
    command = [interpreter, "-m", "pip", "install", "-q", "--no-compile", "--no-input"]
    command.append("litellm>=1.110")
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode:
        need(f"pip could not install litellm: {installed.stderr.strip()[-200:]}")
    name = saved(tmp_path, "litellm.py", "app.py")
    # Else it asks GitHub for a newer list of prices first.
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    made = run(clipbell, tmp_path, interpreter, name, "A fox", **offline)
    failed = run(clipbell, tmp_path, interpreter, name, "[fail NSFW] A fox", **offline)

    assert 0 == made.returncode, made.stderr
    assert is_film(tmp_path / "video.mp4")
    assert (1, True) == (failed.returncode, "Traceback" not in failed.stderr), failed.stderr


@pytest.mark.parametrize(("said", "code"), [("y", 0), ("n", 1)])
def test_mcp_in_python(clipbell: Clipbell, tmp_path: Path, said: str, code: int) -> None:
    """The one for MCP asks about a price over its limit, and prints the link of an agreed video."""
    name = saved(tmp_path, "mcp_client.py", "agent.py")
    made = run(clipbell, tmp_path, PYTHON, name, "A fox", "0.10", said=f"{said}\n")

    assert code == made.returncode, made.stderr
    assert "Make this video? " in made.stdout
    assert (code == 0) == (f"{clipbell.url}/v/" in made.stdout)
    assert (code == 1) == ("nothing was made" in made.stderr)


def test_configuration(clipbell: Clipbell) -> None:
    """With its variables filled in, the configuration leads the official client to the tools."""
    text = Template((RECIPES / "mcp.json.txt").read_text()).substitute(environ(clipbell))
    server = json.loads(text)["mcpServers"]["clipbell"]

    async def tools() -> list[str]:
        async with httpx2.AsyncClient(headers=server["headers"], timeout=30) as http:
            transport = streamable_http_client(server["url"], http_client=http)
            async with Client(transport) as client:
                return [tool.name for tool in (await client.list_tools()).tools]

    assert "create_video" in run_coroutine(tools)


@pytest.mark.timeout(300)
def test_claude_code(clipbell: Clipbell, tmp_path: Path) -> None:
    """Claude Code connects by the recipe's commands, and reads the configuration."""
    need_node(20)
    npm_install(tmp_path, "@anthropic-ai/claude-code")
    name = saved(tmp_path, "claude_code.sh", "connect.sh")
    saved(tmp_path, "mcp.json", ".mcp.json")
    path = f"{tmp_path}/node_modules/.bin{os.pathsep}{ENVIRON['PATH']}"
    quiet = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    own = {"HOME": str(tmp_path), "PATH": path, **quiet}
    made = run(clipbell, tmp_path, "sh", name, **own)
    (tmp_path / ".claude.json").unlink()
    read = run(clipbell, tmp_path, "node_modules/.bin/claude", "mcp", "get", "clipbell", **own)

    assert 0 == made.returncode, made.stdout + made.stderr
    assert f"clipbell: {clipbell.url}/mcp (HTTP) - \u2714 Connected" in made.stdout
    assert "${CLIPBELL_URL}/mcp" in read.stdout, read.stdout + read.stderr
