"""ETag on reads: the same bytes are sent once, and secrets are never kept."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def test_reads(client: FlaskClient, harness: Harness) -> None:
    """Every read has a tag; with it 304 without a body, until something has changed."""
    job = harness.new_job()
    reads = [f"/v1/jobs/{job.id}", f"/v1/jobs/{job.id}/timeline", "/v1/jobs", "/v1/jobs?limit=1"]
    reads += [f"/v1/requests/{job.id}"]
    still = ["/v1/models", "/v1/me", "/v1/subscriptions", "/v1/providers", "/v1/deliveries"]
    tags = {path: client.get(path).headers["ETag"] for path in reads + still}
    for path, tag in tags.items():
        for given in (tag, f'"other", W/{tag}', "*"):
            kept = client.get(path, headers={"If-None-Match": given})
            assert (304, b"", tag) == (kept.status_code, kept.data, kept.headers["ETag"]), path
        assert 304 == client.head(path, headers={"If-None-Match": tag}).status_code
        assert 200 == client.get(path, headers={"If-None-Match": '"other"'}).status_code
    client.post(f"/v1/jobs/{job.id}/cancel")
    for path in reads:
        assert 304 != client.get(path, headers={"If-None-Match": tags[path]}).status_code, path


def test_who_may_keep_it(client: FlaskClient, harness: Harness) -> None:
    """A read is its caller's alone and asked about again; errors and secrets are never kept."""
    target = {"channel": "webhook", "target": "http://127.0.0.1:9/"}
    made = client.post("/v1/subscriptions", json=target)
    turned = client.post(f"/v1/subscriptions/{made.get_json()['id']}/rotate-secret")
    hook = client.post("/v1/hooks", json={"url": "http://127.0.0.1:9/", "event": "job.failed"})
    read = client.get(f"/v1/subscriptions/{made.get_json()['id']}")

    for answer in (made, turned, hook):
        assert "secret" in answer.get_json()
        assert ("no-store", None) == (answer.headers["Cache-Control"], answer.headers.get("ETag"))
    assert "secret" not in read.get_json()
    assert "private, no-cache" == read.headers["Cache-Control"]
    assert "Authorization, x-api-key" == read.headers["Vary"]
    for path in ("/v1/jobs/x", "/healthz"):
        assert "no-store" == client.get(path).headers["Cache-Control"]


def test_tags_of_others(client: FlaskClient, harness: Harness) -> None:
    """A tag opens nothing: without the key it is 401, with another's key their own answer."""
    harness.new_job()
    tag = {"If-None-Match": client.get("/v1/jobs").headers["ETag"]}
    bob = {"x-api-key": harness.new_account("bob")[1]}

    assert 401 == client.get("/v1/jobs", headers={"x-api-key": "clb_x", **tag}).status_code
    assert [] == client.get("/v1/jobs", headers=bob | tag).get_json()["data"]
