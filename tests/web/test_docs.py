"""The page /docs, without a browser: all of the document, all recipes, nothing from elsewhere."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.servers import Clipbell

from service.bootstrap import Wiring
from service.web.app import create_app
from service.web.documentation import ERRORS, FOLDER, RECIPES, SHAPES


@pytest.fixture(scope="module")
def client(worker: Wiring) -> FlaskClient:
    """Somebody without a key, at a server that lasts: it makes its document and pages once."""
    return create_app(worker).test_client()


def test_whole(client: FlaskClient) -> None:
    """Each operation is there with its address, and each schema that is named can be read."""
    page = client.get("/docs").text
    document = client.get("/openapi.json").get_json()
    for path, methods in document["paths"].items():
        for method, report in methods.items():
            assert f'id="{report["operationId"]}"' in page
            assert f"{method.upper()}</b> {path}</code>" in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert set(re.findall(r'data-copy="([^"]+)"', page)) <= set(ids)
    assert page.count("<pre") == page.count("data-copy=")


def text_of(page: str) -> str:
    """A page without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_guides(client: FlaskClient) -> None:
    """Each recipe has a page where it stands as its file does, and none is forgotten."""
    index = client.get("/docs").text

    assert {recipe.file for recipe in RECIPES} == {path.name for path in FOLDER.iterdir()}
    for recipe in RECIPES:
        assert f'href="/docs/guides/{recipe.name}"' in index
        page = client.get(f"/docs/guides/{recipe.name}").text
        assert (FOLDER / recipe.file).read_text().rstrip() in text_of(page)
        assert page.count("<span class=") > 5
    assert 404 == client.get("/docs/guides/nothing").status_code


FOX: dict[str, Any] = {"prompt": "A fox", "duration": 4}
#: A request that gets the error that is shown for its API.
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "OpenAI": ("/v1/videos", {"model": "kling-2", "prompt": "A fox", "seconds": "4"}),
    "Segmind": ("/v2/kling-2", FOX),
    "APIXO": (
        "/api/v1/generateTask/kling-2-5-turbo-pro",
        {"request_type": "async", "input": FOX},
    ),
    "MCP": ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "nothing"}),
}


@pytest.mark.parametrize(("name", "example"), [(name, text) for name, _, text in SHAPES])
def test_shapes(client: FlaskClient, clipbell: Clipbell, name: str, example: str) -> None:
    """The error that is shown for a compatible API is what it answers."""
    path, body = WRONG[name]
    answer = client.post(path, json=body, headers={"x-api-key": clipbell.key})

    assert json.loads(example) == answer.get_json()
    assert example in text_of(client.get("/docs/errors").text)


def test_an_error_leads_to_its_paragraph(client: FlaskClient, clipbell: Clipbell) -> None:
    """`type` of each kind of error is the address of a paragraph, also below a path."""
    key = {"x-api-key": clipbell.key}
    refused = [
        client.get("/v1/jobs"),
        client.get("/v1/jobs/x", headers=key),
        client.get("/v1/jobs?limit=x", headers=key),
        client.put("/v1/jobs", headers=key),
        client.post("/v1/jobs", headers=key, data="{"),
        client.post("/v1/jobs", headers=key | {"Content-Type": "application/json"}, data="{"),
    ]
    types = [answer.get_json()["type"] for answer in refused]
    page = client.get("/docs/errors").text

    assert [401, 404, 422, 405, 415, 400] == [answer.status_code for answer in refused]
    assert types == [f"/docs/errors#{answer.status_code}" for answer in refused]
    assert all(f'id="{one.partition("#")[2]}"' in page for one in types)


def test_every_status_is_explained(client: FlaskClient) -> None:
    """No operation answers with an error that has no paragraph."""
    document = client.get("/openapi.json").get_json()
    reply = {
        int(status)
        for methods in document["paths"].values()
        for one in methods.values()
        for status in one["responses"]
        if status >= "4"
    }

    # A vendor's compatible API has 402 and 406 of its own.
    assert reply - {402, 406} <= set(ERRORS)


@pytest.mark.parametrize("path", ["/docs", "/docs/errors", "/docs/guides/flask"])
def test_own_files_only(client: FlaskClient, path: str) -> None:
    """Neither inline styles and scripts nor anything from another server; kept by its ETag."""
    answer = client.get(path)
    loaded = re.findall(r'<(?:link|script|img|iframe)[^>]*(?:href|src)="([^"]+)"', answer.text)

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*src=)|\son\w+=", answer.text)
    assert loaded and all(address.startswith("/static/") for address in loaded)
    again = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (200, 304) == (answer.status_code, again.status_code)


def test_commands(client: FlaskClient) -> None:
    """The commands hold the key's variable, the ids as variables, and the example's body."""
    page = client.get("/docs").text
    resolve = page.partition('id="jobs_resolve"')[2].partition("</pre>")[0]
    resolve = text_of(resolve)

    assert "curl -X POST" not in resolve
    assert 'curl "$CLIPBELL_URL/v1/jobs/$JOB_ID/resolve" \\\n' in resolve
    assert '-H "x-api-key: $CLIPBELL_KEY"' in resolve
    assert '"task_id": "a1b2c3"' in resolve
