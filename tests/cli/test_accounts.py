"""Accounts, keys and secrets by hand, as real processes beside a real web process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.servers import Clipbell, Hook, eventually, http_call

from service.model import utc_now
from service.settings import load_settings
from service.signing import UrlSigner

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service with its web process."""
    with Clipbell(tmp_path_factory.mktemp("accounts"), NOWHERE) as made:
        made.environ["CLIPBELL_BUGDET"] = "5"
        serve(made)
        yield made


def serve(clipbell: Clipbell) -> None:
    """The web process, answering."""
    clipbell.start_web()
    eventually(lambda: _alive(clipbell))


def _alive(clipbell: Clipbell) -> bool:
    try:
        return http_call("GET", f"{clipbell.url}/healthz").status == 200
    except OSError:
        return False


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """What a verb prints for programs."""
    return json.loads(clipbell.run(*arguments, "--json").stdout)


def test_misspelt_setting(clipbell: Clipbell) -> None:
    """The start warns of a variable that is no setting, with the one that may be meant."""
    assert "did you mean CLIPBELL_BUDGET?" in clipbell.log("serve")


def test_another_account(clipbell: Clipbell) -> None:
    """An account is made with a name of its own; by it, verbs act for it and see nothing else."""
    made = shown(clipbell, "accounts", "create", "bob", "--owner-email", "bob@example.com")
    again = clipbell.run("accounts", "create", "bob", code=1).stderr
    job = shown(clipbell, "submit", "kling-2", "--prompt", "A hen", "--account", "bob")
    everyone = shown(clipbell, "accounts", "list")

    me = clipbell.call("GET", "/v1/me", headers={"x-api-key": made["api_key"]}).json()
    assert ("bob", ["read", "submit", "admin"]) == (me["name"], me["scopes"])
    assert made["webhook_secret"].startswith("whsec_")
    assert "another name" in again
    assert [("default", 1), ("bob", 1)] == [(one["name"], one["keys"]) for one in everyone]
    assert made["id"] in clipbell.run("accounts", "list").stdout
    assert job["id"] not in [one["id"] for one in shown(clipbell, "jobs")]
    assert [job] == shown(clipbell, "jobs", "--account", made["id"])
    foreign = clipbell.run("show", job["id"], code=1).stderr
    assert f"--account {made['id']}" in foreign
    assert "accounts list" in clipbell.run("jobs", "--account", "carol", code=1).stderr


def test_a_key(clipbell: Clipbell) -> None:
    """A key works with its scopes from the moment it is printed until it is revoked."""
    made = shown(clipbell, "keys", "create", "ci", "--scope", "read")
    headers = {"x-api-key": made["api_key"]}
    me = clipbell.call("GET", "/v1/me", headers=headers)
    refused = clipbell.call("POST", "/v1/jobs", {}, headers)
    listed = shown(clipbell, "keys", "list")
    report = clipbell.run("keys", "list").stdout
    revoked = shown(clipbell, "keys", "revoke", made["id"])
    after = clipbell.call("GET", "/v1/me", headers=headers)

    assert (200, ["read"], 403, 401) == (
        me.status,
        me.json()["scopes"],
        refused.status,
        after.status,
    )
    assert [made["id"]] == [key["id"] for key in listed if key["name"] == "ci"]
    assert made["api_key"] not in json.dumps(listed) + report
    assert made["id"] in report
    assert revoked["revoked_at"] is not None
    # When it was used is written a moment later.
    again = shown(clipbell, "keys", "revoke", made["id"]) | {"last_used": revoked["last_used"]}
    assert revoked == again
    assert 200 == clipbell.call("GET", "/v1/me").status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["keys", "create", "--scope", "everything"], "read, submit, admin, operator"),
        (["keys", "revoke", "key_x"], "no key key_x"),
        (["accounts", "create", " "], "1 to 80 characters"),
        (["accounts", "create", "acc_1"], "must not begin with acc_"),
        (["accounts", "create", "carol", "--owner-email", "carol"], "--owner-email"),
        (["accounts", "create", "carol", "--owner-email", "jürgen@example.com"], "'ü'"),
    ],
)
def test_trouble(clipbell: Clipbell, arguments: list[str], words: str) -> None:
    """What cannot be is one line that says why."""
    done = clipbell.run(*arguments, code=1)

    *warnings, line = done.stderr.splitlines()
    assert "" == done.stdout and words in line
    assert all("is no setting" in warning for warning in warnings)


def test_rotated_secrets(clipbell: Clipbell) -> None:
    """Before, between and after the restarts all works, and an old signed URL is still ours."""
    with Hook() as hook:
        clipbell.start_worker()
        shown(clipbell, "subscriptions", "add", "webhook", hook.url)
        before = shown(clipbell, "subscriptions", "list")
        job = shown(clipbell, "submit", "kling-2-5-turbo-pro", "--prompt", "A fox")
        keys = load_settings(clipbell.environ).keys()
        signer = UrlSigner(keys, "callback", f"{clipbell.url}/callbacks")
        tomorrow = utc_now() + timedelta(days=1)
        url = signer.url_for(tomorrow, job=job["id"], provider="apixo")
        report = shown(clipbell, "secrets", "rotate")
        clipbell.run("trigger", "job.failed")
        eventually(lambda: len(hook.hits) == 1)
        clipbell.stop("serve")
        serve(clipbell)
        clipbell.run("trigger", "job.failed")
        eventually(lambda: len(hook.hits) == 2)
        clipbell.stop("worker")
        clipbell.start_worker()
        clipbell.run("trigger", "job.failed")
        eventually(lambda: len(hook.hits) == 3)
        clipbell.stop("worker")
        listed = shown(clipbell, "secrets", "list")

    assert {"keys": 2} == report
    assert [True, False] == [row["ends_at"] is None for row in listed]
    assert "stored secrets are sealed by the newest key" in clipbell.log("worker")
    assert 200 == clipbell.call("POST", url, b"{}").status
    clipbell.run("secrets", "revoke", listed[1]["id"])
    # At once, in the process that runs.
    assert 401 == clipbell.call("POST", url, b"{}").status
    assert before == clipbell.call("GET", "/v1/subscriptions").json()["data"]
    assert "Restart `clipbell serve`" in clipbell.run("secrets", "rotate").stdout
