"""The page of API keys: made, shown once, revoked; without the right it says what is missing."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from support.dashboards import browser_of, press
from support.harness import Harness

from service import store

PAGE = "/settings/keys"


def test_made_once_and_revoked(client: FlaskClient, harness: Harness) -> None:
    """A key is shown this once and works; revoked it is out; the same form makes no second one."""
    given = {"name": "ci", "scopes": "read", "once": "1"}
    made = press(client, PAGE, PAGE, **given)
    key = re.findall(r'id="new-key" readonly value="([^"]+)"', made.text)[0]
    me = client.get("/v1/me", headers={"x-api-key": key})
    again = press(client, PAGE, PAGE, **given)
    with harness.db.read() as tx:
        keys = {one.name: one for one in store.accounts.keys(tx, harness.account.id)}
    press(client, PAGE, f"{PAGE}/{keys['ci'].id}/revoke")
    own = press(client, PAGE, f"{PAGE}/{keys['alice'].id}/revoke")

    assert (201, 200, 303) == (made.status_code, me.status_code, again.status_code)
    assert key not in client.get(PAGE).text and 2 == len(keys)
    assert 401 == client.get("/v1/me", headers={"x-api-key": key}).status_code
    assert 409 == own.status_code and 200 == client.get(PAGE).status_code


def test_faults(client: FlaskClient) -> None:
    """What is missing is said in the form, which keeps what was typed."""
    answer = press(client, PAGE, PAGE, name="ci", once="1")

    assert 422 == answer.status_code
    assert "No key was made." in answer.text and 'value="ci"' in answer.text


@pytest.mark.parametrize(
    ("name", "scopes", "kept"),
    [("", "read", ["read"]), (" ", "admin", ["admin"]), ("ci", "read", ["read", "submit"])],
)
def test_ticks(client: FlaskClient, name: str, scopes: str, kept: list[str]) -> None:
    """A form without a name keeps the scopes that were ticked; after a key it is a fresh one."""
    answer = press(client, PAGE, PAGE, name=name, scopes=scopes, once="1").text

    assert kept == re.findall(r'name="scopes" value="(\w+)" checked', answer)
    assert [name if name == " " else ""] == re.findall(r'name="name" value="(.*?)"', answer)


def test_without_the_right(harness: Harness) -> None:
    """Who may not see the keys, or add subscriptions, reads which scope that needs."""
    reader = browser_of(harness, harness.account.id, "read", "submit")
    refused = press(reader, "/", PAGE, name="mine", scopes="admin", once="1")

    assert "this needs <code>admin</code>" in reader.get(PAGE).text
    assert "alice" not in reader.get(PAGE).text
    assert "this needs <code>admin</code>" in reader.get("/subscriptions").text
    assert 403 == refused.status_code
