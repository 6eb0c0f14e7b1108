"""A PUBLIC_URL with a path: no link misses it, whatever the proxy in front does with it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.channel_targets import jpeg
from support.dashboards import called_back, fail, lost, subscribed, succeed
from support.databases import Template
from support.harness import Harness
from support.sandboxes import SandboxClient
from support.servers import Clipbell, Hook, eventually, http_call
from support.serving import QuietHandler, Served
from werkzeug.test import TestResponse

from service import store
from service.catalogue.models import MODELS
from service.settings import OWN_PATHS
from service.web.app import create_app
from service.web.session import login_url
from web.test_session import KEYS, form_token

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ORIGIN = "http://localhost"
PREFIX = "/clips"
FETCHED = ("href", "src", "poster", "hx-get")
SENT = ("action", "formaction", "hx-post")
HERE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


class Links(HTMLParser):
    """Every address on a page: (attribute, address)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep its addresses, but for places on the same page."""
        self.found += [
            (name, value)
            for name, value in attrs
            if name in (*FETCHED, *SENT) and value and not value.startswith("#")
        ]


@pytest.fixture
def database_url(database_template: Template, tmp_path: Path) -> str:
    """Pages do not care for the database's kind; SQLite is enough."""
    return database_template.sqlite(tmp_path)


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """PUBLIC_URL with a path."""
    return {"public_url": f"{ORIGIN}{PREFIX}"}


@pytest.fixture(params=["strips", "passes"])
def app(harness: Harness, request: pytest.FixtureRequest) -> Flask:
    """The app behind a proxy that strips the prefix, or passes it on."""
    app = create_app(harness.wiring)
    inner, strips = app.wsgi_app, request.param == "strips"

    def proxy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not f"{path}/".startswith(f"{PREFIX}/"):
            start_response("421 Not Clipbell's", [])
            return [f"{path} is another program's".encode()]
        environ["PATH_INFO"] = path.removeprefix(PREFIX) if strips else path
        return inner(environ, start_response)

    app.wsgi_app = proxy  # type: ignore[method-assign]
    return app


@pytest.fixture
def client(app: Flask, harness: Harness) -> FlaskClient:
    """alice's browser, signed in by a link."""
    client = app.test_client()
    with harness.db.read() as tx:
        key = store.accounts.keys(tx, harness.account.id)[0]
    url = login_url(harness.wiring.settings.public_url, KEYS, key.id, harness.clock())
    client.get(url.removeprefix(ORIGIN))
    return client


def api(app: Flask, harness: Harness) -> FlaskClient:
    """The API as alice's program."""
    client = app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def of_every_kind(harness: Harness) -> None:
    """Rows that fill each page of the dashboard."""
    subscribed(harness, "http://127.0.0.1:9/")
    job = harness.new_job("A fox")
    for number in range(26):
        called_back(harness, job, b"%d" % number)
        harness.wiring.ingest.reject("bad_signature", "127.0.0.1", harness.clock())
    image = base64.b64encode(jpeg()).decode()
    model, plain = MODELS["kling-2-5-turbo-pro"], {"prompt": "A bear", "image_urls": [image]}
    put = harness.wiring.uploads.save(model, plain, harness.clock())
    succeed(harness, harness.new_job(input=put))
    fail(harness, harness.new_job("A wolf"), "no")
    lost(harness)


def crawl(client: FlaskClient, start: str) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """All links of all pages that can be reached, and what each GET of one was answered."""
    seen: list[tuple[str, str]] = []
    answers: dict[str, int] = {}
    waiting = [start]
    while waiting:
        address = waiting.pop().partition("#")[0]
        if address in answers or not address.startswith("/"):
            continue
        answer = client.get(address, buffered=True)
        answers[address] = answer.status_code
        if answer.mimetype == "text/html":
            found = Links(answer.text).found
            seen += [(f"{address}: {name}", link) for name, link in found]
            waiting += [link for name, link in found if name in FETCHED]
    return seen, answers


def test_every_link(client: FlaskClient, app: Flask, harness: Harness) -> None:
    """From the front page all pages are reached, and no address on them misses the prefix."""
    of_every_kind(harness)
    links, answers = crawl(client, f"{PREFIX}/")
    sent = {link for where, link in links if where.rpartition(" ")[2] in SENT}
    visited = {endpoint(app, "GET", address) for address in answers}
    posted = {endpoint(app, "POST", address) or endpoint(app, "GET", address) for address in sent}

    ours = [link for link in links if link[1].startswith(("/", ORIGIN))]
    assert [] == [link for link in ours if not link[1].startswith((f"{PREFIX}/", ORIGIN + PREFIX))]
    assert {} == {address: status for address, status in answers.items() if status != 200}
    assert set() == pages(app, "GET") - visited
    assert None not in posted


def endpoint(app: Flask, method: str, address: str) -> str | None:
    """Which view answers there."""
    path = address.removeprefix(PREFIX).partition("?")[0].partition("#")[0]
    try:
        return str(app.url_map.bind("localhost").match(path, method)[0])
    except Exception:
        return None


def pages(app: Flask, method: str) -> set[str]:
    """The views of the dashboard, and those that its pages show something of."""
    shown = {"static", "documentation.read", "documentation.show", "videos.watch"}
    rules = [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ())]
    shown |= {"videos.poster", "videos.image"}
    return shown | {rule.endpoint for rule in rules if rule.endpoint.startswith("dashboard.")}


def test_signing_in(app: Flask, harness: Harness) -> None:
    """A visitor is led to the sign-in and back, with a cookie for our path alone; out again too."""
    client = app.test_client()
    sent = client.get(f"{PREFIX}/jobs/job_1")
    page = client.get(sent.location).text
    form = {"form_token": form_token(page), "key": harness.key, "next": "/jobs/job_1"}
    came = client.post(action_of(page), data=form, headers=HERE)
    token = form_token(client.get(f"{PREFIX}/").text)
    left = client.post(f"{PREFIX}/logout", data={"form_token": token}, headers=HERE)

    assert f"{PREFIX}/login?next=/jobs/job_1" == sent.location
    assert (303, f"{PREFIX}/jobs/job_1") == (came.status_code, came.location)
    assert f"Path={PREFIX};" in came.headers["Set-Cookie"] + ";"
    assert (303, f"{PREFIX}/login") == (left.status_code, left.location)
    assert 303 == client.get(f"{PREFIX}/").status_code


def action_of(page: str) -> str:
    """Where the page's form goes."""
    found = re.search(r'<form method="post" action="([^"]+)"', page)
    assert found
    return found[1]


def test_form_that_leads_on(client: FlaskClient, harness: Harness) -> None:
    """After a form the browser is led on below the prefix."""
    page = client.get(f"{PREFIX}/new").text
    form = {"form_token": form_token(page), "model": "kling-2", "prompt": "A fox"}
    made = client.post(f"{PREFIX}/new", data=form, headers=HERE)

    assert 303 == made.status_code, made.text
    assert made.location.startswith(f"{PREFIX}/jobs/job_")
    assert "A fox" in client.get(made.location).text


def test_live_part(client: FlaskClient, harness: Harness) -> None:
    """A page that refreshes itself asks below the prefix."""
    job = harness.new_job("A fox")
    page = client.get(f"{PREFIX}/jobs/{job.id}").text
    asked = [link for name, link in Links(page).found if name == "hx-get"]

    assert [f"{PREFIX}/jobs/{job.id}?live=1"] == asked
    assert "A fox" in client.get(asked[0]).text


def test_front_page_without_a_slash(client: FlaskClient) -> None:
    """`/clips` is the front page too."""
    assert 200 == client.get(PREFIX).status_code


def test_error_page(client: FlaskClient) -> None:
    """An error leads back to the dashboard below the prefix."""
    shown = client.get(f"{PREFIX}/nothing", headers={"Accept": "text/html"})

    assert 404 == shown.status_code
    assert f'href="{PREFIX}/">Open the dashboard' in shown.text


def test_api_links(app: Flask, harness: Harness) -> None:
    """Location and Link headers, the document's server: each leads where it says."""
    client = api(app, harness)
    given = {"model": "kling-2", "input": {"prompt": "A fox"}}
    hook = {"target_url": "http://127.0.0.1:9/", "event": "job.succeeded"}
    subscription = {"channel": "webhook", "target": "http://127.0.0.1:9/"}
    made = [
        client.post(f"{PREFIX}/v1/jobs", json=given),
        client.post(f"{PREFIX}/v1/jobs", json=given),
        client.post(f"{PREFIX}/v1/hooks", json=hook),
        client.post(f"{PREFIX}/v1/subscriptions", json=subscription),
    ]
    document = client.get(f"{PREFIX}/openapi.json").get_json()
    first = client.get(f"{PREFIX}/v1/jobs?limit=1")

    assert [200] * 4 == [client.get(one.location).status_code for one in made]
    assert [{"url": f"{ORIGIN}{PREFIX}"}] == document["servers"]
    assert 1 == len(client.get(next_of(first)).get_json()["data"])


def next_of(answer: TestResponse) -> str:
    """The path of the next page."""
    found = re.fullmatch(r'<(http://[^/]+)(/[^>]+)>; rel="next"', answer.headers["Link"])
    assert found
    assert ORIGIN == found[1]
    return found[2]


def test_compatible_api(app: Flask, harness: Harness) -> None:
    """A vendor's client that was given our URL as its base finds the addresses in the answers."""
    client = api(app, harness)
    made = client.post(f"{PREFIX}/v2/kling-2", json={"prompt": "A fox"}).get_json()
    urls = [made[name] for name in ("poll_url", "status_url", "response_url")]

    assert [True] * 3 == [url.startswith(f"{ORIGIN}{PREFIX}/") for url in urls]
    assert [200] * 3 == [client.get(url.removeprefix(ORIGIN)).status_code for url in urls]


def test_signed_links(app: Flask, harness: Harness) -> None:
    """The callback, the video with its poster, and the way out of a mail lead to us."""
    job = succeed(harness, harness.new_job("A fox"))
    subscribed(harness, "http://127.0.0.1:9/")
    client, now = api(app, harness), harness.clock()
    with harness.db.read() as tx:
        subscription = store.subscriptions.all_of(tx, harness.account.id)[0]
    video = client.get(f"{PREFIX}/v1/jobs/{job.id}").get_json()["video"]
    later = now.replace(year=2027)
    mail = harness.wiring.unsubscribe.url_for(later, subscription=subscription.id)
    callback = harness.wiring.signer.url_for(later, job=job.id, provider=job.provider)
    shown = [video["url"], video["download_url"], video["poster_url"], mail]

    for url in [*shown, callback]:
        assert url.startswith(f"{ORIGIN}{PREFIX}/"), url
    assert 200 == client.post(callback.removeprefix(ORIGIN), data=b"{}").status_code
    assert [200] * 4 == [
        client.get(u.removeprefix(ORIGIN), buffered=True).status_code for u in shown
    ]


def test_past_the_proxy(harness: Harness) -> None:
    """Whoever asks this process directly needs no prefix: health checks, `curl 127.0.0.1:8000`."""
    client = create_app(harness.wiring).test_client()

    assert [200, 200] == [client.get(f"{p}/healthz").status_code for p in ("", PREFIX)]
    assert 404 == client.get(f"{PREFIX}s/healthz").status_code
    assert 404 == client.get(f"{PREFIX}{PREFIX}/healthz").status_code


class StrippingProxy(Served):
    """A proxy at `url`, whose path it takes away before it asks the service at `behind`."""

    def __init__(self) -> None:
        proxy = self
        self.behind = ""

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if not self.path.startswith(f"{PREFIX}/"):
                    self.send_error(404, "another program's")
                    return
                url = proxy.behind + self.path.removeprefix(PREFIX)
                found = http_call(self.command, url, body or None, dict(self.headers))
                self.send_response(found.status)
                for name in ("Content-Type", "Location", "Content-Length"):
                    if name in found.headers:
                        self.send_header(name, found.headers[name])
                self.end_headers()
                self.wfile.write(found.body)

            do_POST = do_GET

        self.serve(Handler)
        self.url = self.origin + PREFIX


@pytest.mark.timeout(120)
def test_walk_below_a_path(tmp_path: Path, sandbox: SandboxClient) -> None:
    """Under gunicorn a callback comes in, and the link that goes out plays, on both ways."""
    with (
        StrippingProxy() as proxy,
        Clipbell(tmp_path, sandbox.server.url, public_url=proxy.url, poll_after="30") as clipbell,
        Hook() as hook,
    ):
        proxy.behind = clipbell.url
        clipbell.start()
        job = clipbell.submit("A fox", notify=[f"webhook:{hook.url}"])
        link = eventually(lambda: hook.hits)[0].json()["data"]["video"]["url"]
        timeline = clipbell.call("GET", f"/v1/jobs/{job['id']}/timeline").json()["data"]
        stripped = http_call("GET", link)
        passed = http_call("GET", link.replace(proxy.origin, clipbell.url))

    assert link.startswith(f"{proxy.url}/v/")
    assert "callback" in [entry["kind"] for entry in timeline]
    assert [(200, "video/mp4")] * 2 == [
        (answer.status, answer.headers["Content-Type"]) for answer in (stripped, passed)
    ]


def test_own_paths(harness: Harness) -> None:
    """The settings know every beginning of a path of ours."""
    rules = create_app(harness.wiring).url_map.iter_rules()
    begun = {rule.rule.split("/")[1] for rule in rules}

    assert [] == sorted(begun - {"", *OWN_PATHS})
