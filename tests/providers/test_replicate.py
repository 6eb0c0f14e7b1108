"""Replicate's list of predictions, page after page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from support.harness import NOON
from support.raw_servers import LOCAL, Server, answer, routes
from support.reach import access

from service.errors import ProviderError
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.model import Job
from service.outbound.client import Outbound
from service.providers.replicate import MOST_PAGES, Replicate
from service.settings import load_settings

FIRST = "/v1/predictions"


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(LOCAL)
    yield made
    made.close()


@pytest.fixture
def job() -> Job:
    """One of ours."""
    body = {"model": "kling-2.5-turbo", "input": {"prompt": "A fox", "duration": 5}}
    asked = check_request(body, {}, Market({"replicate"}, {}, NOON.date()))
    return planned_job(load_settings({}, secret_keys="k" * 40), "acc", asked, NOON)


Asks = Callable[[dict[str, bytes]], Replicate]


@pytest.fixture
def vendor(request: pytest.FixtureRequest, outbound: Outbound) -> Asks:
    """A vendor with these pages."""

    def make(pages: dict[str, bytes]) -> Replicate:
        server = Server(routes(pages))
        request.addfinalizer(server.close)
        return Replicate(access(outbound, server.url("")))

    return make


def page(following: object, *webhooks: str) -> bytes:
    """A page of predictions, one for each callback URL."""
    results = [{"id": f"p{url}", "webhook": url} for url in webhooks]
    return answer(json.dumps({"next": following, "results": results}).encode())


@pytest.mark.parametrize(
    "following",
    [
        "https://api.replicate.com/v1/predictions?cursor=2",
        "http://10.0.0.1:8080/inner/v1/predictions?cursor=2",
        "/v1/predictions?cursor=2",
        "?cursor=2",
    ],
)
def test_next_page(vendor: Asks, job: Job, following: str) -> None:
    """It is asked for where the first one was, whatever name the vendor has for itself."""
    pages = {FIRST: page(following, "x"), f"{FIRST}?cursor=2": page(None, "y", "ours")}
    found = vendor(pages).find(job, lambda url: job.id if url == "ours" else None)

    assert "pours" == found


@pytest.mark.parametrize("following", [None, "", 7, "http://[", "nowhere", {}])
def test_last_page(vendor: Asks, job: Job, following: object) -> None:
    """Without a further page the vendor has no task for the job."""
    assert vendor({FIRST: page(following, "x")}).find(job, lambda _: None) is None


def test_pages_without_end(vendor: Asks, job: Job) -> None:
    """A list that goes on and on says nothing of what is not in it."""
    pages = {FIRST: page("?a=1"), f"{FIRST}?a=1": page("?a=1")}
    with pytest.raises(ProviderError, match=f"more than {MOST_PAGES} pages"):
        vendor(pages).find(job, lambda _: None)
