"""The page of settings, without a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url
from support.dashboards import browser_of, press
from support.harness import Harness

from service import store
from service.settings import Settings, load_settings
from service.store.database import Database
from service.web.app import create_app
from service.web.dashboard.effective_settings import GROUPS, effective_settings
from web.test_session import HERE

SECRET = "do-not-show-me-anywhere"


def alive(harness: Harness) -> None:
    """A worker that was just seen."""
    with harness.db.write() as tx:
        store.work.beat(tx, "wrk_1", harness.clock())


def rows(text: str) -> dict[str, str]:
    """Findings of the health and the doctor: what is said of each name, the later ones win."""
    found = re.findall(
        r'<dt><span class="state \w+"><i [^>]+></i>([^<:]+)(?:: to fix)?</span></dt>\s*<dd>', text
    )
    said = re.findall(r"</span></dt>\s*<dd>([^<]+)</dd>", text)
    return dict(zip(found, said, strict=True))


def test_operator(client: FlaskClient, harness: Harness) -> None:
    """An operator sees the account, the health, the doctor's findings, settings and versions."""
    alive(harness)
    shown = client.get("/settings").text
    found = rows(shown)

    assert "alice" in shown and harness.account.id in shown and "there is no budget" in shown
    assert "</i>ready</span>" in shown
    assert "Is alive." == found["worker"]
    assert "free at" in found["disk"]
    assert found["providers"].startswith(
        "Keys for apixo, segmind; not yet run against the live API"
    )
    assert "public url" not in found
    assert "SQLite" in shown and "Python" in shown
    assert {"storage", "channels", "rows", "callbacks"} <= set(found)
    assert harness.key not in shown and "to fix" not in shown


def test_trouble(client: FlaskClient, harness: Harness) -> None:
    """What is wrong stands there with its fix."""
    with harness.db.write() as tx:
        store.providers.hold(tx, "apixo", "no credits")
    shown = client.get("/settings").text

    assert "</i>not ready</span>" in shown
    assert "No worker is alive: start `clipbell worker`." == rows(shown)["worker"]
    assert "No credits. Jobs wait until you resume." in shown


def test_others(harness: Harness) -> None:
    """Without the scope operator one sees one's own, and nothing about the service."""
    shown = browser_of(harness, harness.account.id, "read").get("/settings")

    assert 200 == shown.status_code
    assert "alice" in shown.text and ">read</dd>" in shown.text
    assert "needs a key with the scope <code>operator</code>" in shown.text
    assert "CLIPBELL_" not in shown.text and "Health" not in shown.text
    assert "Hold" not in shown.text


def test_hold_and_resume(client: FlaskClient, harness: Harness) -> None:
    """A provider is held and goes on by a button; the page says which of the two it is."""
    held = press(client, "/settings", "/settings/providers/apixo/hold")
    page = client.get("/settings").text
    with harness.db.read() as tx:
        reason = store.providers.held(tx, "apixo")
    resumed = press(client, "/settings", "/settings/providers/apixo/resume")

    assert (303, "/settings#provider-apixo") == (held.status_code, held.location)
    assert "held by an operator" == reason and "Resume apixo" in page and "Hold segmind" in page
    assert 303 == resumed.status_code
    assert "Hold apixo" in client.get("/settings").text
    assert 404 == press(client, "/settings", "/settings/providers/nobody/hold").status_code


def test_operators_only(harness: Harness) -> None:
    """Nobody else can stop a provider or make the service ask others, nor without the form."""
    admin = browser_of(harness, harness.account.id, "read", "submit", "admin")
    actions = ["check", "providers/apixo/hold", "providers/apixo/resume"]
    refused = [press(admin, "/settings", f"/settings/{one}") for one in actions]
    refused += [admin.post(f"/settings/{one}", headers=HERE) for one in actions]
    with harness.db.read() as tx:
        assert store.providers.held(tx, "apixo") is None

    assert [403] * 6 == [answer.status_code for answer in refused]


def test_check(client: FlaskClient, harness: Harness) -> None:
    """The button asks the public address, too, and says what to do where nothing answers."""
    shown = press(client, "/settings", "/settings/check")

    assert 200 == shown.status_code
    assert "set CLIPBELL_PUBLIC_URL to where 127.0.0.1 can be reached" in shown.text
    assert "Checked" in shown.text and "free in" in rows(shown.text)["storage"]


def test_few_checks_at_once(harness: Harness) -> None:
    """While as many checks run as a process allows, the next is asked to retry."""
    app = create_app(harness.wiring)
    client = app.test_client()
    client.set_cookie("clipbell_session", _cookie(browser_of(harness, harness.account.id)))
    slots = app.extensions["test_sends"]
    while slots.acquire(blocking=False):
        pass

    assert 503 == press(client, "/settings", "/settings/check").status_code


def _cookie(client: FlaskClient) -> str:
    found = client.get_cookie("clipbell_session")
    assert found is not None
    return str(found.value)


def test_every_setting_is_shown_once() -> None:
    """No setting is forgotten by the page, and none stands there twice."""
    grouped = [name for names in GROUPS.values() for name in names]

    assert sorted(Settings.model_fields) == sorted(grouped)


@pytest.mark.parametrize(
    ("given", "name", "value", "changed"),
    [
        ({}, "CLIPBELL_BUDGET", "no limit", False),
        ({"budget": "12.5"}, "CLIPBELL_BUDGET", "12.5", True),
        ({}, "CLIPBELL_SECRET_KEYS", "those in DATA_DIR/secret_keys", False),
        (
            {"secret_keys": f"{SECRET * 2},{SECRET * 3}"},
            "CLIPBELL_SECRET_KEYS",
            "2 set, hidden",
            True,
        ),
        ({"smtp_url": f"smtp://a:{SECRET}@h"}, "CLIPBELL_SMTP_URL", "set, hidden", True),
        ({"apixo_api_key": SECRET}, "CLIPBELL_APIXO_API_KEY", "set, hidden", True),
        ({"link_ttl": "7776000"}, "CLIPBELL_LINK_TTL", "7776000 s (90 d)", False),
        ({}, "CLIPBELL_ARCHIVE_MAX_BYTES", "1073741824 (1.1 GB)", False),
        ({"confirm_callbacks": "no"}, "CLIPBELL_CONFIRM_CALLBACKS", "false", True),
        ({"prices": {"kling-2": 1.75}}, "CLIPBELL_PRICES", '{"kling-2": 1.75}', True),
        ({}, "CLIPBELL_PROVIDERS", "all that have a key", False),
        ({"data_dir": "elsewhere"}, "CLIPBELL_DATA_DIR", "elsewhere", True),
        ({"data_dir": "elsewhere"}, "CLIPBELL_STORAGE_URL", None, False),
        ({}, "CLIPBELL_DATABASE_URL", "sqlite:///a.db", False),
    ],
)
def test_effective_settings(
    given: dict[str, Any], name: str, value: str | None, changed: bool
) -> None:
    """Each setting stands there in words, with whether it was set, and no secret."""
    settings = load_settings({}, **given)
    groups = effective_settings(settings, make_url("sqlite:///a.db"))
    found = {one.name: one for group in groups.values() for one in group}

    assert changed is found[name].changed
    assert value in (None, found[name].value)
    assert SECRET not in str(groups)


@pytest.mark.parametrize("url", ["me:{}@db/clips", "me:x@db/clips?password={}&sslpassword={}"])
def test_no_password_of_the_database(harness: Harness, url: str) -> None:
    """The database's address is shown without its password, wherever that stands in it."""
    database = Database(f"postgresql://{url}".replace("{}", SECRET))
    shown = effective_settings(harness.wiring.settings, database.engine.url)
    database.close()

    assert "postgresql+psycopg://me:***@db/clips" in str(shown)
    assert SECRET not in str(shown)
