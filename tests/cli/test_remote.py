"""The verbs from another machine: only an address and a key, no database and no settings."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import Process, lines_of, run_verb
from support.servers import Clipbell, Hook, eventually

MODEL = "kling-2-5-turbo-pro"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service with its worker and its web process, and a vendor that is away."""
    with Clipbell(tmp_path_factory.mktemp("remote"), "http://127.0.0.1:9") as made:
        yield made.start()


def away(clipbell: Clipbell, *arguments: str, code: int = 0, **environ: str) -> str:
    """What a verb prints on a machine that has nothing but the address and a key."""
    given = {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key} | environ
    kept = {k: v for k, v in clipbell.environ.items() if not k.startswith("CLIPBELL_")}
    done = run_verb(arguments, kept | given)
    assert code == done.returncode, done.stderr
    return done.stdout if code == 0 else done.stderr


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """The same for programs."""
    return json.loads(away(clipbell, *arguments, "--json"))


def test_jobs(clipbell: Clipbell) -> None:
    """A job is sent, listed, muted and taken back from afar; what is wrong names the option."""
    made = shown(clipbell, "submit", MODEL, "--prompt", "A fox", "-i", "duration=10")
    held = clipbell.run("hold", "apixo")
    wrong = away(clipbell, "submit", MODEL, "--prompt", "A fox", "-i", "duration=7", code=1)
    dry = shown(clipbell, "submit", MODEL, "--prompt", "A fox", "--dry-run")
    listed = shown(clipbell, "jobs", "--since", "1h")
    text = away(clipbell, "jobs")
    muted = shown(clipbell, "mute", made["id"])

    assert held and 10 == made["input"]["duration"] and dry["dry_run"]
    assert made["id"] in [job["id"] for job in listed] and "A fox" in text
    assert made["id"] == muted["id"] == shown(clipbell, "show", made["id"])["id"]
    assert "-i duration: must be one of 5, 10" in wrong


def test_ledger(clipbell: Clipbell) -> None:
    """The ledger, and what vendors list that no job has, are the same from near and from afar."""
    near = json.loads(clipbell.run("ledger", "--json").stdout)
    none = clipbell.run("ledger", "--unmatched")

    assert near == shown(clipbell, "ledger", "--since", "30d")
    assert [] == shown(clipbell, "ledger", "--unmatched")
    assert "Every task that the vendors list has its job here." in none.stdout


def test_subscriptions_and_deliveries(clipbell: Clipbell) -> None:
    """A subscription is made, changed and tried; its deliveries are listed and sent again."""
    with Hook() as hook:
        add = ("subscriptions", "add", f"webhook:{hook.url}", "--name", "Orders")
        made = shown(clipbell, *add, "--header", "X-Key: k", "--test")
        edit = ("subscriptions", "edit", made["id"], "--event", "job.held")
        changed = shown(clipbell, *edit)
        clipbell.run("trigger", "job.held")
        given = ("deliveries", "--subscription", made["id"], "--state", "delivered")
        (delivery,) = eventually(lambda: shown(clipbell, *given))
        shown(clipbell, "resend", delivery["id"])
        eventually(lambda: len(hook.hits) == 3)
        whole = shown(clipbell, "deliveries", "show", delivery["id"])
        counted = shown(clipbell, "recover", made["id"], "--since", "1h", "--dry-run")
        away(clipbell, "subscriptions", "remove", made["id"])

    assert made["secret"].startswith("whsec_")
    assert ("Orders", ["job.held"]) == (changed["name"], changed["events"])
    assert "Orders" not in away(clipbell, "subscriptions", "list")
    assert hook.hits[1].body.decode() == whole["attempts"][0]["request"]["body"]
    assert (0, True) == (counted["recovered"], counted["dry_run"])


def test_keys_models_and_providers(clipbell: Clipbell) -> None:
    """Keys are made and revoked; models and vendors are listed, held and resumed."""
    made = shown(clipbell, "keys", "create", "ci", "--scope", "read")
    narrow = {"CLIPBELL_KEY": made["api_key"]}
    refused = away(clipbell, "keys", "list", code=1, **narrow)
    away(clipbell, "keys", "revoke", made["id"])

    assert MODEL in away(clipbell, "models")
    assert shown(clipbell, "hold", "apixo")["held"]
    assert shown(clipbell, "resume", "apixo")["held"] is None
    assert "needs the scope admin" in refused
    assert "CLIPBELL_KEY" in away(clipbell, "jobs", code=1, **narrow)


def test_beginnings_of_ids(clipbell: Clipbell) -> None:
    """An id's beginning is enough, as an argument and as a filter; one that fits two is refused."""
    made = shown(clipbell, "submit", MODEL, "--prompt", "A fox")
    shown(clipbell, "submit", MODEL, "--prompt", "A hen")
    start = made["id"][:-8]

    assert made["id"] == shown(clipbell, "show", start)["id"]
    assert [] == shown(clipbell, "callbacks", "--job", start)
    assert "type more of it" in away(clipbell, "show", made["id"][:8], code=1)
    assert "no job" in away(clipbell, "show", "job_ffff", code=1)


def test_sample_event(clipbell: Clipbell) -> None:
    """A sample is triggered from afar, and delivered; the list says which event went where."""
    with Hook() as hook:
        add = ("subscriptions", "add", f"webhook:{hook.url}", "--name", "Samples")
        made = shown(clipbell, *add, "--event", "job.overdue")
        sample = shown(clipbell, "trigger", "job.overdue")
        eventually(lambda: hook.hits)
        listed = away(clipbell, "deliveries", "--subscription", made["id"])
        away(clipbell, "subscriptions", "remove", made["id"][:-6])

    assert ("job.overdue", 1) == (sample["type"], len(sample["deliveries"]))
    assert "job.overdue" in listed and "Samples" in listed
    assert "no subscription wants" in away(clipbell, "trigger", "job.overdue")


def test_watching(clipbell: Clipbell, tmp_path: Path) -> None:
    """`watch` prints each change; `show` has the same timeline as on the service's machine."""
    clipbell.run("hold", "apixo")
    made = shown(clipbell, "submit", MODEL, "--prompt", "A fox")
    given = {"CLIPBELL_URL": clipbell.url, "CLIPBELL_KEY": clipbell.key}
    words, out = ["watch", "--json", "--every", "0.2"], tmp_path / "out"
    child = Process("service", words, clipbell.environ | given, out, tmp_path / "err")
    eventually(lambda: [line for line in lines_of(out) if made["id"] in line])
    away(clipbell, "cancel", made["id"])
    eventually(lambda: "canceled" in lines_of(out)[-1])
    child.send_signal(signal.SIGINT)
    child.wait(20)
    clipbell.run("resume", "apixo")
    here = json.loads(clipbell.run("show", made["id"], "--json").stdout)

    assert here["timeline"] == shown(clipbell, "show", made["id"])["timeline"]
    assert clipbell.run("export", made["id"]).stdout == away(clipbell, "export", made["id"][:-4])


def test_dry_run(clipbell: Clipbell) -> None:
    """An estimate from afar reads as one on the service's machine."""
    words = ("submit", MODEL, "--prompt", "A fox", "--dry-run")

    assert clipbell.run(*words).stdout == away(clipbell, *words)


def test_what_cannot_be_done_from_afar(clipbell: Clipbell) -> None:
    """A verb that needs the machine itself says so; a missing key or service does, too."""
    nowhere = {"CLIPBELL_URL": "http://127.0.0.1:9"}

    assert "works only where the service runs" in away(clipbell, "videos", "list", code=2)
    assert "CLIPBELL_KEY" in away(clipbell, "jobs", code=1, CLIPBELL_KEY="")
    assert "CLIPBELL_URL" in away(clipbell, "jobs", code=1, **nowhere)
    assert "--account" in away(clipbell, "jobs", "--account", "default", code=2)
    assert "works only where" in away(clipbell, "listen", code=2)
