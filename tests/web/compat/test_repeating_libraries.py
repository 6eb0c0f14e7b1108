"""The unchanged `openai` libraries where answers get lost: as many jobs as creates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import OpenAI
from support.dropping_proxy import DroppingProxy
from support.node import need_node, npm_install, run
from support.servers import Clipbell, eventually, http_call

CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A web process without a worker: jobs are made, and none is sent."""
    with Clipbell(tmp_path_factory.mktemp("repeats"), "http://127.0.0.1:9") as made:
        made.start_web()
        eventually(lambda: _answers(made))
        yield made


def _answers(clipbell: Clipbell) -> bool:
    try:
        return http_call("GET", f"{clipbell.url}/healthz").status == 200
    except OSError:
        return False


@pytest.fixture
def proxy(clipbell: Clipbell) -> Iterator[DroppingProxy]:
    """A proxy in front of it that loses the answer to each first try."""
    with DroppingProxy(clipbell.url) as made:
        yield made


def account(clipbell: Clipbell, request: pytest.FixtureRequest) -> Clipbell:
    """The same, as an account that has nothing yet."""
    return clipbell.as_account(request.node.name)


def all_jobs(clipbell: Clipbell) -> list[str]:
    """The ids of all jobs of the account."""
    found: list[str] = []
    following: str | None = ""
    while following is not None:
        cursor = f"&cursor={following}" if following else ""
        page = clipbell.call("GET", f"/v1/jobs?limit=100{cursor}").json()
        found += [job["id"] for job in page["data"]]
        following = page["next_cursor"]
    return found


COUNTS = [20, pytest.param(1000, marks=pytest.mark.long)]


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
@pytest.mark.parametrize("count", COUNTS)
def test_python_library(
    clipbell: Clipbell, proxy: DroppingProxy, request: pytest.FixtureRequest, count: int
) -> None:
    """So many creates of the library of PyPI, each answer lost once: as many jobs."""
    alice = account(clipbell, request)
    with OpenAI(api_key=alice.key, base_url=f"{proxy.origin}/v1") as openai:

        def create(number: int) -> str:
            return openai.videos.create(model="kling-2", prompt=f"Fox {number}").id

        with ThreadPoolExecutor(16) as pool:
            made = list(pool.map(create, range(count)))

    assert (count, count) == (len(set(made)), proxy.dropped)
    assert set(made) == set(all_jobs(alice))


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
@pytest.mark.parametrize("lossy", [True, False], ids=["lost answers", "a full server"])
def test_equal_to_the_letter(
    clipbell: Clipbell, proxy: DroppingProxy, request: pytest.FixtureRequest, lossy: bool
) -> None:
    """
    Equal creates at the same moment are as many jobs: with each answer lost once, or refused.

    Of 150 at once a busy server refuses some, since no thread is free for them.
    """
    alice = account(clipbell, request)
    count, origin = (50, proxy.origin) if lossy else (150, clipbell.url)
    with OpenAI(api_key=alice.key, base_url=f"{origin}/v1", max_retries=8) as openai:

        def create(_: int) -> tuple[str, int]:
            made = openai.videos.with_raw_response.create(model="kling-2", prompt="A fox")
            return made.parse().id, made.retries_taken

        with ThreadPoolExecutor(count) as pool:
            made = dict(pool.map(create, range(count)))

    assert count == len(made)
    # How many a full server refuses depends on the machine; see `test_repeats.test_refused_tries`.
    assert not lossy or sum(made.values()) >= count
    assert set(made) == set(all_jobs(alice))


@pytest.mark.parametrize("count", COUNTS)
def test_node_library(
    clipbell: Clipbell,
    proxy: DroppingProxy,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    count: int,
) -> None:
    """The same with the library of npm."""
    need_node(20)
    npm_install(tmp_path, "openai")
    alice = account(clipbell, request)
    (tmp_path / "creates.mjs").write_text((CLIENTS / "creates.mjs").read_text())
    environ = {"OPENAI_BASE_URL": f"{proxy.origin}/v1", "OPENAI_API_KEY": alice.key}
    made = json.loads(run(["node", "creates.mjs", str(count)], tmp_path, **environ))

    assert count == len(set(made))
    # Some first tries get lost before they come to the proxy, on connections that it has closed.
    assert count * 0.8 <= proxy.dropped <= count
    assert set(made) == set(all_jobs(alice))
