"""A job as code to copy: each snippet is run as it stands on the page, against a served app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.dashboards import browser_of, press, served, texts
from support.harness import Harness
from support.node import finish, need_node
from support.servers import free_port

from service import store
from service.model import Account, Job
from web.test_session import KEYS

EVIL = """It's "5 o'clock" at $HOME, `id` $(id) \\ \\n {x} %s !!
JSON
EOF ¿ 🦊 \u2028 </script> '''"""
GIVEN = {
    "model": "kling-2-5-turbo-pro",
    "prompt": EVIL,
    "kling-2-5-turbo-pro.negative_prompt": "-i no='rain' & \"fog\"; # end",
    "kling-2-5-turbo-pro.image_urls": "http://127.0.0.1:9/a.png?x='1'&y=$2 http://127.0.0.1:9/b.png",
    "kling-2-5-turbo-pro.cfg_scale": "0.3",
    "kling-2-5-turbo-pro.duration": "10",
    "kling-2-5-turbo-pro.route": "value",
    "notify": "webhook:http://127.0.0.1:9/it's webhook:http://127.0.0.1:9/$2",
}


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """An address that the snippets can call."""
    return {"public_url": f"http://127.0.0.1:{free_port()}"}


def snippets(harness: Harness, account: Account) -> dict[str, str]:
    """The snippets of a filled-in form, as one would copy them."""
    page = press(browser_of(harness, account.id), "/new", "/new/request", **GIVEN).text
    words = texts(page, r'<pre[^>]* id="snippet-(\w+)"')
    return dict(
        zip(words, texts(page, r'<pre[^>]* id="snippet-\w+"[^>]*>(.*?)</pre>'), strict=True)
    )


def environ_of(harness: Harness) -> dict[str, str]:
    """Settings of a process over the same rows."""
    settings = harness.wiring.settings
    given = {name: str(getattr(settings, name)) for name in ("data_dir", "database_url")}
    given |= {"secret_keys": ",".join(KEYS), "public_url": settings.public_url}
    given |= {"apixo_api_key": "test", "allowed_networks": "127.0.0.0/8"}
    return {f"CLIPBELL_{name.upper()}": value for name, value in given.items()}


def meant(job: Job) -> tuple[Any, ...]:
    """What a job was asked for, whoever asked."""
    return job.model, job.route, job.input, job.notify, job.metadata, job.estimated_max


def test_snippets_make_the_same_job(harness: Harness, tmp_path: Path) -> None:
    """curl, Python, JavaScript and the command line each make the very job that the form makes."""
    need_node(18)
    bob, key = harness.new_account("bob")
    with served(harness):
        found = snippets(harness, bob)
        (tmp_path / "job.mjs").write_text(found["javascript"])
        commands = {
            "curl": ["bash", "-c", found["curl"]],
            "python": [sys.executable, "-c", found["python"]],
            "javascript": ["node", "job.mjs"],
            "cli": ["bash", "-c", found["cli"]],
        }
        environ = environ_of(harness) | {"CLIPBELL_KEY": key}
        done = [finish(command, tmp_path, **environ) for command in commands.values()]
        press(browser_of(harness, bob.id), "/new", "/new", **GIVEN)
    with harness.db.read() as tx:
        made = store.job_lists.page(tx, bob.id, 10)

    assert [0] * 4 == [one.returncode for one in done], [one.stderr for one in done]
    assert 5 == len(made)
    assert [meant(made[0])] * 5 == [meant(job) for job in made]
    assert EVIL == made[0].input["prompt"]
    assert [0.3, 10, "value", 2] == [
        *(made[0].input[name] for name in ("cfg_scale", "duration")),
        made[0].route,
        len(made[0].notify or ()),
    ]


def test_no_key_in_snippets(harness: Harness) -> None:
    """The key is named, never shown."""
    found = snippets(harness, harness.account)

    assert {"curl", "python", "javascript", "cli"} == set(found)
    assert [] == [word for word, text in found.items() if harness.key[:12] in text]
    assert "--account" not in found["cli"]
    assert ["curl", "python", "javascript"] == [w for w, t in found.items() if "CLIPBELL_KEY" in t]
