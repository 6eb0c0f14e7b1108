"""The Zapier integration: its own tests, by Zapier's core, against a running service."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.node import need_node, npm_install, run
from support.servers import Clipbell

pytestmark = pytest.mark.slow

ZAPIER = Path(__file__).parents[2] / "deploy" / "zapier"


@pytest.fixture(scope="module")
def integration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the integration with Zapier's core installed."""
    need_node(20)
    folder = tmp_path_factory.mktemp("zapier") / "app"
    shutil.copytree(ZAPIER, folder, ignore=shutil.ignore_patterns("node_modules"))
    npm_install(folder)
    return folder


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def test_its_own_tests(integration: Path, clipbell: Clipbell) -> None:
    """All of them pass, none is skipped, and no hook is left behind on the server."""
    files = sorted(str(path) for path in (integration / "test").glob("*.test.js"))
    environ = {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key}
    report = run(["node", "--test", "--test-reporter=tap", *files], integration, **environ)
    counts = {name: int(n) for name, n in re.findall(r"^# (\w+) (\d+)$", report, re.M)}

    assert counts["tests"] == counts["pass"] > 20, report
    assert [] == clipbell.call("GET", "/v1/subscriptions").json()["data"]
