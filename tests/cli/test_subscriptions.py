"""The verbs around subscriptions, as a person runs them: real processes and a real endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import Process, lines_of
from support.servers import Clipbell, Hook, eventually, free_port, http_call

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service with its worker and its web process."""
    with Clipbell(tmp_path_factory.mktemp("cli"), NOWHERE) as made:
        yield made.start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A subscriber."""
    with Hook() as made:
        yield made


def shown(clipbell: Clipbell, *arguments: str, code: int = 0) -> Any:
    """What a verb prints for programs."""
    return json.loads(clipbell.run(*arguments, "--json", code=code).stdout)


def test_added_and_tested(clipbell: Clipbell, hook: Hook) -> None:
    """A subscription is added with its filters, listed, and tested."""
    narrow = ["--event", "job.failed", "--model", "kling-2", "--metadata", "paid=true"]
    made = shown(clipbell, "subscriptions", "add", "webhook", hook.url, *narrow)
    mine = made["id"]
    assert (["job.failed"], ["kling-2"], {"paid": True}) == (
        made["events"],
        made["models"],
        made["metadata"],
    )
    assert made["secret"].startswith("whsec_")
    assert mine in [one["id"] for one in shown(clipbell, "subscriptions", "list")]
    assert shown(clipbell, "subscriptions", "test", mine)["delivered"]
    clipbell.run("subscriptions", "remove", mine)

    assert [True] == [hit.json()["sample"] for hit in hook.hits]


def test_edited(clipbell: Clipbell, hook: Hook) -> None:
    """What is named changes, the rest stays; headers are kept without being shown."""
    given = ("--name", "Orders", "--header", "X-Key: sesame", "--header", "X-Other: b")
    mine = shown(clipbell, "subscriptions", "add", "webhook", NOWHERE, *given)["id"]
    change = ("--target", hook.url, "--event", "job.failed", "--header", "X-Other: c")
    changed = shown(clipbell, "subscriptions", "edit", mine, *change)
    shown(clipbell, "subscriptions", "test", mine)
    text = clipbell.run("subscriptions", "show", mine).stdout
    cleared = shown(clipbell, "subscriptions", "edit", mine, "--clear", "headers", "--name", "B")
    rotated = shown(clipbell, "subscriptions", "rotate-secret", mine, "--revoke")
    nothing = clipbell.run("subscriptions", "edit", mine, code=2).stderr
    bad = clipbell.run("subscriptions", "edit", mine, "--header", "X-Key", code=2).stderr
    twice = ("--header", "X: 1", "--header", "X: 2")
    bad += clipbell.run("subscriptions", "edit", mine, *twice, code=2).stderr
    clipbell.run("subscriptions", "remove", mine)

    assert ("Orders", hook.url) == (changed["name"], changed["target"])
    assert (["job.failed"], ["X-Key", "X-Other"]) == (changed["events"], list(changed["headers"]))
    assert [("sesame", "c")] == [(h.headers["X-Key"], h.headers["X-Other"]) for h in hook.hits]
    assert "Orders" in text and "X-Key=***" in text and "sesame" not in text
    assert ({}, "B") == (cleared["headers"], cleared["name"])
    assert rotated["secret"].startswith("whsec_") and rotated["old_secret_until"] is None
    assert "say what to change" in nothing and "Name: value" in bad
    assert "--header X: is given twice" in bad


def test_beginning_of_an_id(clipbell: Clipbell) -> None:
    """Verbs take the beginning of an id where it is one alone, and say which are meant if not."""
    made = [shown(clipbell, "subscriptions", "add", "webhook", NOWHERE)["id"] for _ in range(2)]
    found = shown(clipbell, "subscriptions", "show", made[0][:20])
    several = clipbell.run("subscriptions", "show", made[0][:6], code=1).stderr
    nothing = clipbell.run("subscriptions", "show", "sub_ffffffff", code=1).stderr
    for subscription in made:
        clipbell.run("subscriptions", "remove", subscription[:20])

    assert made[0] == found["id"]
    assert "several ids begin with" in several and made[1] in several
    assert "there is no subscription sub_ffffffff" in nothing


def test_errors_name_what_was_typed(clipbell: Clipbell) -> None:
    """Nobody has to translate a JSON pointer into an option."""
    add = ("subscriptions", "add", "webhook", "ftp://x", "--event", "job.exploded")
    said = clipbell.run(*add, "--header", "Host: x", code=1).stderr
    job = clipbell.run(
        "submit", "kling-2-5-turbo-pro", "--prompt", "A fox", "-i", "duration=7", code=1
    ).stderr

    for words in ("--event: must be", "TARGET: ", "--header Host: is set by Clipbell"):
        assert words in said
    assert "-i duration: must be one of 5, 10" in job


def test_forwarded(clipbell: Clipbell, hook: Hook) -> None:
    """What listen verifies is passed on with its signature, and the answer goes back."""
    hook.answers = [503, 200]
    port, log = free_port(), clipbell.folder / "forward.log"
    words = ["listen", "--port", str(port), "--forward-to", hook.url, "--json"]
    child = Process("service", words, clipbell.environ, log, clipbell.folder / "forward.err")
    eventually(lambda: lines_of(log))
    made = shown(clipbell, "subscriptions", "add", "webhook", f"http://127.0.0.1:{port}/")
    results = [shown(clipbell, "subscriptions", "test", made["id"], code=c) for c in (1, 0)]
    stranger = http_call("POST", f"http://127.0.0.1:{port}/", b"{}", {})
    child.terminate()
    child.wait(20)
    clipbell.run("subscriptions", "remove", made["id"])

    assert [503, 200] == [result["status"] for result in results]
    assert 2 == len(hook.hits) and "webhook-signature" in hook.hits[0].headers
    assert 401 == stranger.status


def test_switched_and_removed(clipbell: Clipbell) -> None:
    """A subscription is switched off and on, and is then gone."""
    mine = shown(clipbell, "subscriptions", "add", "webhook", NOWHERE)["id"]
    assert "off" == shown(clipbell, "subscriptions", "disable", mine)["state"]
    assert "on" == shown(clipbell, "subscriptions", "enable", mine)["state"]
    assert "removed" == shown(clipbell, "subscriptions", "remove", mine)["state"]

    assert mine not in clipbell.run("subscriptions", "list").stdout
    assert "subscriptions list" in clipbell.run("subscriptions", "test", mine, code=1).stderr


def test_add_with_a_test(clipbell: Clipbell, hook: Hook) -> None:
    """What does not work is not saved; in one word is as good as in two."""
    hook.answers = [500, 200]
    before = shown(clipbell, "subscriptions", "list")
    refused = clipbell.run("subscriptions", "add", f"webhook:{hook.url}", "--test", code=1)
    assert "500" in refused.stderr
    assert before == shown(clipbell, "subscriptions", "list")
    made = shown(clipbell, "subscriptions", "add", f"webhook:{hook.url}", "--test")
    clipbell.run("subscriptions", "remove", made["id"])

    assert 2 == len(hook.hits)


def test_failed_test(clipbell: Clipbell) -> None:
    """A test that fails says so with its exit code."""
    made = shown(clipbell, "subscriptions", "add", "webhook", NOWHERE)
    report = shown(clipbell, "subscriptions", "test", made["id"], code=1)
    clipbell.run("subscriptions", "remove", made["id"])

    assert (False, None) == (report["delivered"], report["status"])


def test_trigger_deliver_resend(clipbell: Clipbell, hook: Hook) -> None:
    """A triggered sample goes the real way, is listed with its attempt, and goes out again."""
    made = shown(clipbell, "subscriptions", "add", "webhook", hook.url)
    report = shown(clipbell, "trigger", "job.failed")
    eventually(lambda: hook.hits)
    arguments = ("deliveries", "--subscription", made["id"], "--state", "delivered")
    eventually(lambda: shown(clipbell, *arguments))
    (delivery,) = shown(clipbell, *arguments)
    clipbell.run("resend", delivery["id"])
    eventually(lambda: len(hook.hits) == 2)
    (attempt, *_) = shown(clipbell, "deliveries", "show", delivery["id"])["attempts"]
    text = clipbell.run("deliveries", "show", delivery["id"]).stdout
    curl = clipbell.run("deliveries", "show", delivery["id"], "--curl").stdout
    clipbell.run("subscriptions", "remove", made["id"])

    assert hook.hits[0].body.decode() == attempt["request"]["body"]
    assert f"> POST {hook.url}" in text and "< 200" in text and "> webhook-id: evt_" in text
    assert curl.startswith(f"curl -i -X POST {hook.url}")
    assert delivery["id"] in report["deliveries"]
    assert (None, report["id"]) == (delivery["job_id"], delivery["event_id"])
    assert {report["id"]} == {hit.headers["webhook-id"] for hit in hook.hits}
    assert [] == shown(clipbell, "jobs")


def test_trigger_of_nothing(clipbell: Clipbell) -> None:
    """An event that does not exist is wrong usage; one that nobody wants is reported."""
    clipbell.run("trigger", "job.exploded", code=2)
    report = clipbell.run("trigger", "job.overdue").stdout

    assert "no subscription wants job.overdue" in report


@pytest.mark.parametrize("since", ["1h", "2026-01-01T00:00:00Z", "2026-01-01"])
def test_recover(clipbell: Clipbell, since: str) -> None:
    """Nothing was missed: nothing is pending."""
    made = shown(clipbell, "subscriptions", "add", "webhook", NOWHERE)
    report = shown(clipbell, "recover", made["id"], "--since", since)
    clipbell.run("subscriptions", "remove", made["id"])

    assert {"id": made["id"], "recovered": 0, "dry_run": False} == report


def test_recover_counts_first(clipbell: Clipbell) -> None:
    """A new subscription gets nothing old unless that is asked for; how much is said before."""
    clipbell.run("trigger", "job.failed")
    made = shown(clipbell, "subscriptions", "add", "webhook", NOWHERE)
    given = ("recover", made["id"], "--since", "1h", "--dry-run")
    failed, missing = (clipbell.run(*given, *more).stdout for more in ((), ("--missing",)))
    clipbell.run("subscriptions", "remove", made["id"])

    # Samples are no events of jobs: nobody gets them later.
    assert "0 deliveries would be sent" in failed and "0 deliveries would be sent" in missing


def test_bad_since(clipbell: Clipbell) -> None:
    """What is no time is wrong usage."""
    clipbell.run("recover", "sub_x", "--since", "soon", code=2)


def test_feed_is_numbered_in_time(clipbell: Clipbell) -> None:
    """The worker's sequencer has an event in the feed soon after it was recorded."""
    report = shown(clipbell, "trigger", "job.overdue")

    eventually(
        lambda: report["id"] in [e["id"] for e in clipbell.call("GET", "/v1/events").json()["data"]]
    )


def test_command_line_and_api_show_the_same(clipbell: Clipbell, hook: Hook) -> None:
    """Programs read a subscription and a delivery by the command line as they do over HTTP."""
    made = shown(clipbell, "subscriptions", "add", "webhook", hook.url)
    report = shown(clipbell, "trigger", "job.failed")
    eventually(lambda: not shown(clipbell, "deliveries", "--state", "pending"))
    subscriptions = clipbell.call("GET", "/v1/subscriptions").json()["data"]
    deliveries = clipbell.call("GET", "/v1/deliveries").json()["data"]

    assert made["id"] in [one["id"] for one in subscriptions]
    assert subscriptions == shown(clipbell, "subscriptions", "list")
    assert report["deliveries"] == [
        one["id"] for one in deliveries if one["event_id"] == report["id"]
    ]
    assert deliveries == shown(clipbell, "deliveries")


def line_of(file: Path, number: int) -> str:
    """One line of what a process writes, as soon as it is there."""
    return eventually(lambda: lines_of(file)[number:])[0]


def test_listen(clipbell: Clipbell, tmp_path: Path) -> None:
    """The local endpoint believes our worker, and nobody else."""
    port = free_port()
    words, out = ("listen", "--port", str(port), "--json"), tmp_path / "out"
    child = Process("service", words, clipbell.environ, out, tmp_path / "err")
    url = json.loads(line_of(out, 0))["url"]
    made = shown(clipbell, "subscriptions", "add", "webhook", url)
    report = shown(clipbell, "trigger", "job.held")
    true = json.loads(line_of(out, 1))
    forged = http_call("POST", url, b"{}", {"webhook-id": "x", "webhook-signature": "v1,x"})
    false = json.loads(line_of(out, 2))
    child.terminate()
    clipbell.run("subscriptions", "remove", made["id"])

    assert (report["id"], True, "job.held") == (true["id"], true["verified"], true["body"]["type"])
    assert (401, False) == (forged.status, false["verified"])
    assert "webhook-timestamp" in false["problem"]
    assert 0 == child.wait(20)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_listen_with_a_secret(tmp_path: Path, host: str) -> None:
    """With a secret of its own it needs no database; people see why something is not believed."""
    words = ["listen", "--port", "0", "--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    words += ["--host", host]
    environ = Clipbell(tmp_path, NOWHERE).environ | {"PYTHONUNBUFFERED": "1"}
    out = tmp_path / "out"
    child = Process("service", words, environ, out, tmp_path / "err")
    url = line_of(out, 0).split()[2].rstrip(";")
    status = http_call("POST", url, b"{}").status
    line = line_of(out, 1)
    child.terminate()
    child.wait(20)

    assert (401, True) == (status, "NOT VERIFIED" in line)
    assert not (tmp_path / "data").exists()
