"""Clients that generators make from /openapi.json: their calls type-check and work."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.node import finish, need_node, npm_install, run
from support.requirements import need
from support.servers import Clipbell, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAMS = Path(__file__).parent / "clients"
GENERATOR = "openapi-python-client==0.29.1"
NPM = ("openapi-typescript@7", "openapi-fetch@0.17", "typescript@5", "@types/node@24")
#: Bodies that this generator knows no type for: the call is there, without one.
FILES = r"Unsupported content_type (image|video)/"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """The web process alone: a job stays queued."""
    with Clipbell(tmp_path_factory.mktemp("clipbell"), "http://127.0.0.1:9") as made:
        made.start_web()
        eventually(lambda: answers(made))
        yield made


def answers(clipbell: Clipbell) -> bool:
    """Whether the web process listens by now."""
    try:
        return clipbell.call("GET", "/healthz").status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def document(clipbell: Clipbell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its document, in a file."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(clipbell.call("GET", "/openapi.json").body)
    return path


def environ_of(clipbell: Clipbell) -> dict[str, str]:
    """Where the programs find the service."""
    return {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key}


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the generator's own environment: it needs an older typer than we do."""
    folder = tmp_path_factory.mktemp("generator")
    run([sys.executable, "-m", "venv", "venv"], folder)
    pip = [str(folder / "venv" / "bin" / "pip"), "install", "-q", "--no-input", "--no-compile"]
    installed = finish([*pip, GENERATOR], folder)
    if installed.returncode:
        need(f"pip could not install {GENERATOR}: {installed.stderr.strip()[-200:]}")
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def client(generator: Path, document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the generated package, and what was printed beside it."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "config.yml").write_text("post_hooks: []\n")
    given = ["--path", str(document), "--config", "config.yml", "--meta", "none"]
    where = ["--output-path", "clipbell_client"]
    done = finish([str(generator / "openapi-python-client"), "generate", *given, *where], folder)
    (folder / "printed").write_text(done.stdout + done.stderr)
    assert 0 == done.returncode, done.stdout + done.stderr
    return folder


def test_python_is_whole(generator: Path, client: Path, document: Path) -> None:
    """Each operation has its module, each can be imported, and nothing but files is left out."""
    operations: dict[str, dict[str, Any]] = json.loads(document.read_text())["paths"]
    ids = {report["operationId"] for path in operations.values() for report in path.values()}
    made = {path.stem for path in (client / "clipbell_client" / "api").glob("*/*.py")}
    printed = (client / "printed").read_text()
    walk = "import pkgutil, clipbell_client as c; "
    walk += "[__import__(m.name) for m in pkgutil.walk_packages(c.__path__, 'clipbell_client.')]"
    run([str(generator / "python"), "-c", walk], client)

    assert set() == {name for name in ids if name.lower() not in made}
    assert "will not be generated" not in printed
    assert printed.count("WARNING") == len(re.findall(FILES, printed)), printed


def test_python(generator: Path, client: Path, clipbell: Clipbell) -> None:
    """mypy passes a program with the generated types, and it makes a job."""
    shutil.copy(PROGRAMS / "call.py.txt", client / "call.py")
    interpreter = str(generator / "python")
    checks = ["--strict", "--python-executable", interpreter, "call.py"]
    run([sys.executable, "-m", "mypy", *checks], client)
    job_id, state = run([interpreter, "call.py"], client, **environ_of(clipbell)).split()

    assert "queued" == state == clipbell.call("GET", f"/v1/jobs/{job_id}").json()["state"]


def test_typescript(document: Path, clipbell: Clipbell, tmp_path: Path) -> None:
    """tsc passes a program with the generated types, and it makes a job."""
    need_node(20)
    npm_install(tmp_path, *NPM)
    options = {"module": "nodenext", "target": "es2022", "strict": True, "types": ["node"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAMS / "call.ts", tmp_path)
    run(["npx", "openapi-typescript", str(document), "-o", "api.d.ts"], tmp_path)
    run(["npx", "tsc", "--project", "."], tmp_path)
    job_id, state = run(["node", "call.js"], tmp_path, **environ_of(clipbell)).split()

    assert "queued" == state == clipbell.call("GET", f"/v1/jobs/{job_id}").json()["state"]


def test_lint(document: Path, tmp_path: Path) -> None:
    """Redocly finds no error, and every example is valid."""
    need_node(20)
    npm_install(tmp_path, "@redocly/cli@2")
    report = run(["npx", "redocly", "lint", "--format", "json", str(document)], tmp_path)
    problems = json.loads(report[report.index("{") :])["problems"]

    # The probes and this document need no key and take no input: nothing is refused.
    # The inputs of vendors that the server has no key for are there, and nothing refers to them.
    allowed = {"operation-4xx-response", "no-unused-components"}
    assert allowed >= {problem["ruleId"] for problem in problems}, problems
