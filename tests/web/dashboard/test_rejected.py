"""The page of rejected callbacks, without a browser."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from support.dashboards import browser_of
from support.harness import Harness

from service.web.app import create_app
from service.web.dashboard.rejected import REASONS


def refuse(harness: Harness, *reasons: str) -> None:
    """Callbacks that were turned away, a second apart."""
    for reason in reasons:
        harness.clock.advance(1)
        harness.wiring.ingest.reject(reason, "203.0.113.7", harness.clock())
    harness.wiring.ingest.close()


def listed(text: str) -> list[str]:
    """The reasons in the table, from its top."""
    return re.findall(r"</td><td>([^<]+)</td>", text)


def counters(text: str) -> dict[str, str]:
    """How many, by the reason's title."""
    return dict(re.findall(r"<h2><a [^>]+>([^<]+)</a> <b>([^<]+)</b>", text))


def test_forged(client: FlaskClient, harness: Harness) -> None:
    """A forged URL that somebody really called is counted, listed and explained."""
    answer = create_app(harness.wiring).test_client().post("/callbacks/forged", data=b"{}")
    harness.wiring.ingest.close()
    shown = client.get("/callbacks/rejected").text

    assert 401 == answer.status_code
    assert ["Bad signature"] == listed(shown)
    assert {
        "Bad signature": "1",
        "Not signed by the vendor": "0",
        "Expired": "0",
        "Unknown job": "0",
        "Too large": "0",
        "Too many": "0",
    } == counters(shown)
    assert "127.0.0.1" in shown and "CLIPBELL_SECRET_KEYS" in shown and "forged" not in shown


def test_none(client: FlaskClient) -> None:
    """Before anything was rejected, the reasons there are stand with zero."""
    shown = client.get("/callbacks/rejected").text

    assert "No rejected callbacks." in shown
    assert {"0"} == set(counters(shown).values())
    assert len(REASONS) == len(counters(shown))


def test_one_reason(client: FlaskClient, harness: Harness) -> None:
    """The newest stand first; one reason can be seen alone, while all are counted."""
    refuse(harness, "expired", "bad_signature", "bad_signature", "too_large")
    one = client.get("/callbacks/rejected?reason=bad_signature").text

    assert ["Too large", "Bad signature", "Bad signature", "Expired"] == listed(
        client.get("/callbacks/rejected").text
    )
    assert ["Bad signature"] * 2 == listed(one)
    assert "1" == counters(one)["Expired"]
    assert [] == listed(client.get("/callbacks/rejected?reason=<b>&before=x").text)


def test_last_thousand(client: FlaskClient, harness: Harness) -> None:
    """A thousand can be paged through, each once; the others still count."""
    for _ in range(5):
        refuse(harness, *["bad_signature"] * 201)
    path: str | None = "/callbacks/rejected?reason=bad_signature"
    seen = 0
    while path:
        shown = client.get(path).text
        seen += len(listed(shown))
        found = re.search(r'rel="next" href="([^"]+)"', shown)
        path = found[1].replace("&amp;", "&") if found else None

    assert "1,005" == counters(shown)["Bad signature"]
    assert 1000 == seen


def test_unknown_reason(client: FlaskClient, harness: Harness) -> None:
    """A reason that this version does not know is counted all the same."""
    refuse(harness, "too_rude")

    assert ["Too rude"] == listed(client.get("/callbacks/rejected").text)


def test_operators_only(harness: Harness) -> None:
    """Whoever is no operator sees nothing of them, and why."""
    refuse(harness, "bad_signature")
    shown = browser_of(harness, harness.account.id, "read", "submit").get("/callbacks/rejected")

    assert 403 == shown.status_code
    assert "Only an operator can see these" in shown.text
    assert "This one has read, submit." in shown.text
    assert "203.0.113.7" not in shown.text and {} == counters(shown.text)
