"""The page /docs, without a browser: all of the document, all recipes, nothing from elsewhere."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service.web.app import create_app
from service.web.documentation import FOLDER, RECIPES


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """Somebody without a key."""
    return create_app(harness.wiring).test_client()


def test_whole(client: FlaskClient) -> None:
    """Each operation is there with its address, and each schema that is named can be read."""
    page = client.get("/docs").text
    document = client.get("/openapi.json").get_json()
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            assert f'id="{told["operationId"]}"' in page
            assert f"{method.upper()}</b> {path}</code>" in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_recipes(client: FlaskClient) -> None:
    """Each recipe stands there as its file does, and none is forgotten."""
    page = html.unescape(client.get("/docs").text)

    assert {recipe.file for recipe in RECIPES} == {path.name for path in FOLDER.iterdir()}
    for recipe in RECIPES:
        assert (FOLDER / recipe.file).read_text().rstrip() in page


def test_own_files_only(client: FlaskClient) -> None:
    """Neither inline styles and scripts nor anything from another server; kept by its ETag."""
    answer = client.get("/docs")
    loaded = re.findall(r'<(?:link|script|img|iframe)[^>]*(?:href|src)="([^"]+)"', answer.text)

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*src=)|\son\w+=", answer.text)
    assert loaded and all(address.startswith("/static/") for address in loaded)
    again = client.get("/docs", headers={"If-None-Match": answer.headers["ETag"]})
    assert (200, 304) == (answer.status_code, again.status_code)


def test_commands(client: FlaskClient) -> None:
    """The commands hold the key's variable, the ids as variables, and the example's body."""
    page = html.unescape(client.get("/docs").text)
    resolve = page.partition('id="jobs_resolve"')[2].partition("</pre>")[0]

    assert "curl -X POST" not in resolve
    assert 'curl "$CLIPBELL_URL/v1/jobs/$JOB_ID/resolve" \\\n' in resolve
    assert '-H "x-api-key: $CLIPBELL_API_KEY"' in resolve
    assert '"task_id": "a1b2c3"' in resolve
