"""Signing in and out, and forms that only our own pages may send."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from support.harness import NOON, Harness
from support.servers import eventually

from service import store
from service.accounts import create_key
from service.signing import KeyRing
from service.web.app import create_app
from service.web.session import login_url

KEYS = ["k" * 40]
HERE = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """A browser without a cookie."""
    return create_app(harness.wiring).test_client()


def key_id(harness: Harness) -> str:
    """The id of alice's first key."""
    with harness.db.read() as tx:
        return store.accounts.keys(tx, harness.account.id)[0].id


def follow(client: FlaskClient, harness: Harness, key: str) -> Any:
    """Open a fresh sign-in link."""
    return client.get(login_url("", KEYS, key, harness.clock()))


def form_token(html: str) -> str:
    """The token of the first form on a page."""
    return html.partition('name="form_token" value="')[2].partition('"')[0]


def paste(client: FlaskClient, key: str, headers: dict[str, str] = HERE, **more: str) -> Any:
    """Sign in with the form."""
    token = form_token(client.get("/login").text)
    form = {"form_token": token, "key": key} | more
    return client.post("/login", data=form, headers=headers)


def test_visitor_is_shown_the_way_in(client: FlaskClient) -> None:
    """Without a session every page leads to the sign-in, which leads back."""
    sent = client.get("/jobs/job_1")
    shown = client.get(sent.location)

    assert (303, "/login?next=/jobs/job_1") == (sent.status_code, sent.location)
    assert 200 == shown.status_code
    assert 'name="next" value="/jobs/job_1"' in shown.text


def test_cookie(client: FlaskClient, harness: Harness) -> None:
    """The cookie is out of reach of scripts and other sites, and holds no key."""
    answer = paste(client, harness.key)
    cookie = answer.headers["Set-Cookie"]

    assert (303, "/") == (answer.status_code, answer.location)
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert "Secure" not in cookie
    assert harness.key not in cookie


class TestUnderHttps:
    """The service has an https address."""

    @pytest.fixture
    def settings_given(self) -> dict[str, Any]:
        """PUBLIC_URL under https."""
        return {"public_url": "https://clips.example.com"}

    def test_cookie(self, client: FlaskClient, harness: Harness) -> None:
        """The cookie never travels in clear; the public origin counts as ours."""
        answer = paste(client, harness.key, {"Origin": "https://clips.example.com"})

        assert 303 == answer.status_code
        assert "Secure" in answer.headers["Set-Cookie"]

    @pytest.mark.parametrize("path", ["/login", "/healthz", "/nothing", "/v1/jobs"])
    def test_hsts(self, client: FlaskClient, path: str) -> None:
        """Browsers are to use https alone from now on, whatever they asked for."""
        assert "max-age=31536000" == client.get(path).headers["Strict-Transport-Security"]


def test_no_hsts_without_tls(client: FlaskClient) -> None:
    """Where the service has no https address, nobody is kept from it."""
    assert "Strict-Transport-Security" not in client.get("/login").headers


def test_wrong_key(client: FlaskClient) -> None:
    """A wrong key says so, is not shown again, and opens nothing."""
    answer = paste(client, "clb_guess")

    assert 401 == answer.status_code
    assert "not valid" in answer.text
    assert "clb_guess" not in answer.text
    assert 303 == client.get("/").status_code


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", ""]
)
def test_never_leads_elsewhere(client: FlaskClient, harness: Harness, wanted: str) -> None:
    """After the sign-in nobody lands on another site."""
    assert "/" == paste(client, harness.key, next=wanted).location


def test_leads_back(client: FlaskClient, harness: Harness) -> None:
    """After the sign-in one is where one wanted to go."""
    assert "/jobs/job_1?live" == paste(client, harness.key, next="/jobs/job_1?live").location


def test_link_signs_in(client: FlaskClient, harness: Harness) -> None:
    """A sign-in link opens the dashboard."""
    assert "/" == follow(client, harness, key_id(harness)).location
    assert 200 == client.get("/").status_code


def test_expired_link(client: FlaskClient, harness: Harness) -> None:
    """A link older than a day is refused and says what to do."""
    url = login_url("", KEYS, key_id(harness), NOON)
    harness.clock.advance(timedelta(hours=24, seconds=1).total_seconds())
    answer = client.get(url)

    assert 410 == answer.status_code
    assert "This sign-in link has expired." in answer.text
    assert "Ask for a new one, or sign in with an API key here." in answer.text
    assert 'name="key"' in answer.text


def test_link_works_once(client: FlaskClient, harness: Harness) -> None:
    """The second to follow a link gets nowhere; programs that only look do not use it up."""
    url = login_url("", KEYS, key_id(harness), harness.clock())
    looked = [client.head(url), client.get(url, headers={"Sec-Purpose": "prefetch"})]
    first, second = client.get(url), create_app(harness.wiring).test_client().get(url)

    assert [204, 204] == [answer.status_code for answer in looked]
    assert (303, 410) == (first.status_code, second.status_code)
    assert "was used before" in second.text
    assert 303 == follow(client, harness, key_id(harness)).status_code


def test_forged_link(client: FlaskClient, harness: Harness) -> None:
    """A changed link, and a token made for something else, open nothing."""
    url = login_url("", ["x" * 40], key_id(harness), NOON)

    assert 403 == client.get(url).status_code
    assert 403 == client.get(f"/login/{form_token(client.get('/login').text)}").status_code
    assert 303 == client.get("/").status_code


def test_session_ends(client: FlaskClient, harness: Harness) -> None:
    """After twelve hours one signs in again."""
    follow(client, harness, key_id(harness))
    harness.clock.advance(timedelta(hours=12, seconds=1).total_seconds())

    assert 303 == client.get("/").status_code


def test_revoked_key_is_out_at_once(client: FlaskClient, harness: Harness) -> None:
    """Revoking a key ends its sessions and links with the next request."""
    follow(client, harness, key_id(harness))
    with harness.db.write() as tx:
        store.accounts.revoke_key(tx, key_id(harness), harness.clock())

    assert 303 == client.get("/").status_code
    assert 403 == follow(client, harness, key_id(harness)).status_code
    assert 401 == paste(client, harness.key).status_code


def test_sign_out(client: FlaskClient, harness: Harness) -> None:
    """Signing out forgets the cookie."""
    follow(client, harness, key_id(harness))
    token = form_token(client.get("/").text)
    answer = client.post("/logout", data={"form_token": token}, headers=HERE)

    assert (303, "/login") == (answer.status_code, answer.location)
    assert 303 == client.get("/").status_code


def test_sign_out_ends_the_session_on_the_server(client: FlaskClient, harness: Harness) -> None:
    """Whoever has copied the cookie is out too; another session of the same key goes on."""
    other = create_app(harness.wiring).test_client()
    follow(client, harness, key_id(harness))
    follow(other, harness, key_id(harness))
    token = form_token(client.get("/").text)
    cookie = client.get_cookie("clipbell_session")
    client.post("/logout", data={"form_token": token}, headers=HERE)
    assert cookie
    client.set_cookie("clipbell_session", cookie.value)

    assert (303, 200) == (client.get("/").status_code, other.get("/").status_code)


def test_last_used(client: FlaskClient, harness: Harness) -> None:
    """When a key was last used is known to the minute, by request and by session."""

    def used() -> datetime | None:
        with harness.db.read() as tx:
            return store.accounts.keys(tx, harness.account.id)[0].last_used

    before = used()
    client.get("/v1/me", headers={"x-api-key": harness.key})
    eventually(lambda: used() == NOON)
    harness.clock.advance(30)
    client.get("/v1/me", headers={"x-api-key": harness.key})
    later = harness.clock.advance(31)
    follow(client, harness, key_id(harness))
    client.get("/")

    assert before is None
    assert eventually(lambda: used() == later)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_form_from_elsewhere(
    client: FlaskClient, harness: Harness, headers: dict[str, str]
) -> None:
    """A form that another site sent is refused, even with a good token."""
    follow(client, harness, key_id(harness))
    token = form_token(client.get("/").text)
    answer = client.post("/logout", data={"form_token": token}, headers=headers)

    assert 403 == answer.status_code
    assert "another site" in answer.text
    assert 200 == client.get("/").status_code


def test_form_without_its_token(client: FlaskClient, harness: Harness) -> None:
    """A form without a token, with another browser's or an earlier session's is refused."""
    before = form_token(client.get("/login").text)
    follow(client, harness, key_id(harness))
    client.get("/")
    others = form_token(client.application.test_client().get("/login").text)

    for token in ("", "x", "None", "ü", before, others):
        given = {"form_token": token} if token else {}
        assert 403 == client.post("/logout", data=given, headers=HERE).status_code
    assert 200 == client.get("/").status_code


@pytest.mark.parametrize("path", ["/login", "/logout", "/subscriptions/new"])
def test_large_form(client: FlaskClient, harness: Harness, path: str) -> None:
    """No form but that for images takes a large file, whoever sends it."""
    follow(client, harness, key_id(harness))
    kind = "multipart/form-data; boundary=x"
    answer = client.post(path, data=bytes(2**21), content_type=kind, headers=HERE)

    assert (413, "text/html") == (answer.status_code, answer.mimetype)
    assert 200 == client.get("/").status_code


def test_no_form_without_a_session(client: FlaskClient, harness: Harness) -> None:
    """Whoever has no cookie can send no form, whatever stands in it."""
    for token in ("", "None", "x"):
        form = {"form_token": token, "key": harness.key}
        assert 403 == client.post("/login", data=form, headers=HERE).status_code


def test_cookie_of_another_server(client: FlaskClient, harness: Harness) -> None:
    """A cookie that another key signed, or that is cut, is no session, and no error."""
    follow(client, harness, key_id(harness))
    cookie = client.get_cookie("clipbell_session")
    assert cookie is not None
    settings = harness.wiring.settings.model_copy(update={"secret_keys": (SecretStr("x" * 40),)})
    other = replace(harness.wiring, settings=settings, keys=KeyRing(settings.keys))
    stranger = create_app(other).test_client()

    for value in (cookie.value, cookie.value[:-3], "x", "é.é"):
        stranger.set_cookie("clipbell_session", value)
        assert 303 == stranger.get("/").status_code
        client.set_cookie("clipbell_session", value)
        assert (200 if value == cookie.value else 303) == client.get("/").status_code


def test_session_outlives_a_new_key(client: FlaskClient, harness: Harness) -> None:
    """After a rotation of the secret keys nobody has to sign in again."""
    follow(client, harness, key_id(harness))
    cookie = client.get_cookie("clipbell_session")
    assert cookie is not None
    settings = harness.wiring.settings.model_copy(
        update={"secret_keys": (SecretStr("n" * 40), *harness.wiring.settings.secret_keys)}
    )
    later = create_app(replace(harness.wiring, settings=settings)).test_client()
    later.set_cookie("clipbell_session", cookie.value)

    assert 200 == later.get("/").status_code


def test_cookie_is_set_once(client: FlaskClient, harness: Harness) -> None:
    """Looking at pages neither changes the cookie nor makes it live longer."""
    follow(client, harness, key_id(harness))
    client.get("/")

    assert "Set-Cookie" not in client.get("/").headers
    assert "Set-Cookie" not in client.get("/?live=1").headers
    assert "Set-Cookie" not in client.get("/v1/models", headers={"x-api-key": harness.key}).headers


def test_scopes(client: FlaskClient, harness: Harness) -> None:
    """A key that may only read sees everything and changes nothing."""
    with harness.db.write() as tx:
        create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
        ids = {key.name: key.id for key in store.accounts.keys(tx, harness.account.id)}
    follow(client, harness, ids["reader"])

    assert 200 == client.get("/").status_code
    assert 403 == client.get("/new").status_code


def test_headers(client: FlaskClient) -> None:
    """Pages take nothing from elsewhere, are never framed and never kept."""
    headers = client.get("/login").headers
    policy = headers["Content-Security-Policy"]

    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "no-store" == headers["Cache-Control"]
    assert "nosniff" == headers["X-Content-Type-Options"]
