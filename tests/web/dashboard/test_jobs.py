"""The dashboard's pages of jobs and their words, without a browser."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient
from support.dashboards import (
    EVIL,
    browser_of,
    deliveries,
    fail,
    fetched,
    press,
    sent,
    subscribed,
    succeed,
)
from support.harness import Harness
from support.servers import Hook

from service import store
from service.accounts import create_account, create_key
from service.formatting import mask_target
from service.model import Job, JobState, new_id
from service.web.app import create_app
from web.test_session import HERE, form_token

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_empty(client: FlaskClient) -> None:
    """Whoever has no job yet learns how to make one."""
    shown = client.get("/")

    assert 200 == shown.status_code
    assert "curl http://127.0.0.1:9/v1/jobs" in shown.text


def test_jobs(client: FlaskClient, harness: Harness) -> None:
    """Jobs stand newest first, with state, model, age, and a picture where there is one."""
    succeed(harness, harness.new_job("An old heron"))
    harness.clock.advance(7200)
    fail(harness, harness.new_job("A new fox"), "it did not work")
    shown = client.get("/").text

    assert shown.index("A new fox") < shown.index("An old heron")
    assert "It did not work." in shown
    assert "Kling 2.5 Turbo Pro" in shown and "2 h ago" in shown and "just now" in shown
    posters = re.findall(r'<img src="(/v/[^"]+/poster.jpg)"', shown)
    assert [200] == [fetched(client, poster).status_code for poster in posters]


def test_jobs_without_a_price(client: FlaskClient, harness: Harness) -> None:
    """What was spent today names the jobs whose price nobody states, here and on Usage."""
    sent(harness)
    shown = [html.unescape(client.get(path).text) for path in ("/", "/numbers")]
    harness.clock.advance(86_400)

    assert all("and 1 job without a" in text for text in shown)
    assert "without a" not in client.get("/").text


def test_held_vendor(client: FlaskClient, harness: Harness) -> None:
    """Each page says why nothing goes out, and what to do about it."""
    with harness.db.write() as tx:
        store.providers.ensure(tx, "apixo", harness.clock())
        store.providers.hold(tx, "apixo", "INSUFFICIENT_CREDITS: Error")
    harness.new_job("A heron")
    shown = html.unescape(client.get("/numbers").text)

    assert "INSUFFICIENT_CREDITS: Error. Top up the provider's account, then resume it." in shown


def test_filter(client: FlaskClient, harness: Harness) -> None:
    """States are counted, and each can be seen alone."""
    harness.new_job("A patient heron")
    fail(harness, harness.new_job("A hasty fox"), "no")
    shown = client.get("/?state=failed").text

    assert "A hasty fox" in shown and "A patient heron" not in shown
    assert '/?state=queued">' in shown
    assert 200 == client.get("/?state=nonsense&before=nonsense").status_code


def test_search_model_and_time(client: FlaskClient, harness: Harness) -> None:
    """Filters narrow together, stay in the links and the form, and what is senseless is dropped."""
    old = harness.new_job("A red fox")
    harness.clock.advance(7200)
    harness.new_job("A red heron", model="kling-2", input={"prompt": "A red heron", "duration": 5})
    harness.new_job("A blue fox")
    found = {
        query: re.findall(r'href="/jobs/(?:job_\w+)">([^<]+)<', client.get(f"/?{query}").text)
        for query in (
            "q=fox+RED",
            "model=kling-2",
            "since=1h&q=red",
            f"q={old.id}",
            "q=%25%00",
        )
    }
    page = client.get("/?q=red&since=1h&state=queued").text

    assert ["A red fox"] == found["q=fox+RED"] == found[f"q={old.id}"]
    assert ["A red heron"] == found["model=kling-2"] == found["since=1h&q=red"]
    assert [] == found["q=%25%00"]
    assert 'href="/?since=1h&amp;q=red"' in page and "$0.28–1.96" not in page
    assert 'value="red"' in page and 'value="1h" selected' in page
    assert '<span class="count">1</span>' in page


def test_next_page(client: FlaskClient, harness: Harness) -> None:
    """Older jobs are a link away, none twice and none left out."""
    made = [harness.new_job(f"Fox {number}").id for number in range(27)]
    first = client.get("/").text
    older = re.findall(r'rel="next" href="([^"]+)"', first)[0]
    pages = [re.findall(r"/jobs/(job_\w+)", text) for text in (first, client.get(older).text)]

    assert [25, 2] == [len(found) for found in pages]
    assert sorted(made, reverse=True) == sorted(pages[0] + pages[1], reverse=True)


def test_counts_of_a_search(client: FlaskClient, harness: Harness) -> None:
    """The counts are the same whether all that was found is on the page or not."""
    for number in range(27):
        harness.new_job(f"Fox {number}")
    fail(harness, harness.new_job("A fox that failed"), "no")
    counts = {
        query: re.findall(r'(\w+)</span> <span class="count">(\d+)<', client.get(f"/?{query}").text)
        for query in ("q=fox", "q=failed", "q=whale")
    }

    assert [("queued", "27"), ("failed", "1")] == counts["q=fox"]
    assert [("failed", "1")] == counts["q=failed"]
    assert [] == counts["q=whale"]


def picked(client: FlaskClient, action: str, *jobs: Job, page: str = "/") -> str:
    """The line that an action on these jobs leads to."""
    data = {"form_token": form_token(client.get(page).text), "job": [job.id for job in jobs]}
    answer = client.post(f"/jobs/selected/{action}", data=data, headers=HERE)
    assert 303 == answer.status_code
    shown = client.get(answer.location).text
    assert 'class="flash"' not in client.get(answer.location).text
    return html.unescape(re.findall('role="status" tabindex="-1" autofocus>([^<]+)<', shown)[0])


def test_cancel_the_ticked(client: FlaskClient, harness: Harness) -> None:
    """What waits is taken back; what could not be says why; charlie's ticks change nothing."""
    jobs = [harness.new_job(), harness.new_job(), fail(harness, harness.new_job(), "no")]
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)
    theirs = picked(charlie, "cancel", *jobs, page="/new")
    ours = picked(client, "cancel", *jobs)

    assert "0 canceled. 1 could not be: you have no job" in theirs
    assert "2 canceled. 1 could not be: the job is failed." == ours
    assert [JobState.CANCELED] * 2 == [harness.job(job).state for job in jobs[:2]]
    assert "Nothing was selected: tick a job first." == picked(client, "cancel")
    assert 403 == client.post("/jobs/selected/cancel", headers=HERE).status_code


def test_line_is_for_its_reader(client: FlaskClient, harness: Harness) -> None:
    """What was done is shown to who did it, for a while; no link can make us say anything else."""
    data = {"form_token": form_token(client.get("/new").text)}
    address = client.post("/jobs/selected/cancel", data=data, headers=HERE).location
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)
    shown = [one.get(address).text for one in (client, charlie)]
    harness.clock.advance(121)

    assert [True, False] == ["Nothing was selected" in text for text in shown]
    assert "Nothing was selected" not in client.get(address).text


def test_resend_the_news_of_the_ticked(client: FlaskClient, harness: Harness) -> None:
    """The end of each job is reported once more to each that hears of it."""
    with Hook() as hook:
        subscribed(harness, hook.url)
        jobs = [fail(harness, harness.new_job(), "no"), harness.new_job()]
        harness.drain("deliver")
        line = picked(client, "resend", *jobs)
        harness.drain("deliver")

    assert "1 sent again. 1 could not be: the job is queued." == line
    assert 2 == len(hook.hits)
    assert 1 == len({hit.headers["webhook-id"] for hit in hook.hits})


def test_tick_all(client: FlaskClient, harness: Harness) -> None:
    """All of a page can be ticked without a script, but only by a key that may act."""
    harness.new_job(), harness.new_job()
    with harness.db.write() as tx:
        account = create_account(tx, harness.wiring.encryptor, "reader", None, harness.clock())
        create_key(tx, account.id, "reader", ("read",), harness.clock())
    ticks = [client.get(path).text.count(" checked>") for path in ("/", "/?pick=all")]

    assert [0, 2] == ticks
    assert "Select all" not in browser_of(harness, account.id).get("/").text


def test_charlie_sees_nothing(client: FlaskClient, harness: Harness) -> None:
    """Another account's jobs, deliveries and subscriptions do not exist for charlie."""
    with Hook() as hook:
        subscribed(harness, hook.url)
        job = fail(harness, harness.new_job("A secret fox"), "no")
    delivery = deliveries(harness, job)[0]
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)

    assert 404 == charlie.get(f"/jobs/{job.id}").status_code
    assert 404 == press(charlie, "/", f"/jobs/{job.id}/mute").status_code
    assert 404 == press(charlie, "/", f"/jobs/{job.id}/cancel").status_code
    assert 404 == press(charlie, "/", f"/deliveries/{delivery.id}/resend").status_code
    for page in ("/", "/?state=failed", f"/?before={new_id('job', harness.clock())}"):
        assert "A secret fox" not in charlie.get(page).text
    assert "sub_" not in charlie.get("/subscriptions").text
    assert "A secret fox" in client.get("/").text


def test_nothing_is_taken_for_markup(client: FlaskClient, harness: Harness) -> None:
    """Whatever users and providers write comes out as text."""
    job = fail(harness, harness.new_job(EVIL, metadata={EVIL: EVIL}), EVIL)
    pages = [client.get(f"/jobs/{job.id}").text, client.get("/").text]
    pages.append(press(client, "/new", "/new", prompt=EVIL, model=EVIL, notify=EVIL).text)
    pages.append(client.get("/login", query_string={"next": EVIL}).text)

    for shown in pages:
        assert "&lt;script&gt;" in shown
        assert "<script>alert" not in shown and "<img src=x" not in shown


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://me:pass@hooks.example.com/services/T1/secret", "https://hooks.example.com/…cret"),
        ("tgram://123456:token/chat", "tgram://…"),
        ("alice@example.com", "a…@example.com"),
        ("C0123456789", "C0…"),
    ],
)
def test_masked(target: str, shown: str) -> None:
    """Enough of a target to know it, too little to use it."""
    assert shown == mask_target(target)


def test_expired_link_is_a_page(harness: Harness) -> None:
    """Whoever opens an expired video link reads how to get a new one."""
    url = harness.wiring.links.url_for(harness.clock(), video=new_id("vid", harness.clock()))
    harness.clock.advance(1)
    path = url.removeprefix("http://127.0.0.1:9")
    client = create_app(harness.wiring).test_client()
    page, api = client.get(path, headers=BROWSER), client.get(path)

    assert (410, "text/html") == (page.status_code, page.mimetype)
    assert "This link has expired." in page.text
    assert "Ask the sender for a new link" in page.text
    assert (410, "application/problem+json") == (api.status_code, api.mimetype)


@pytest.mark.parametrize("path", ["/jobs/job_0", "/nowhere", "/v/forged"])
def test_errors_are_pages(client: FlaskClient, path: str) -> None:
    """A browser gets every error as a page with a way back."""
    shown = client.get(path, headers=BROWSER)

    assert shown.status_code in (403, 404)
    assert "text/html" == shown.mimetype
    assert 'href="/">Open the dashboard' in shown.text
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]


def test_static_files(client: FlaskClient) -> None:
    """Static files, once there, are kept for good by their hash; no page names anything else."""
    shown = client.get("/").text
    found = re.findall(r'(?:src|href)="(/static/[^"]+)"', shown)
    answers = [fetched(client, path) for path in found]

    assert {200} == {answer.status_code for answer in answers}
    assert {"public, max-age=31536000, immutable"} == {
        answer.headers["Cache-Control"] for answer in answers
    }
    assert all("?v=" in path for path in found)
    assert "no-store" == client.get("/static/newer.css?v=1").headers["Cache-Control"]
    assert [] == re.findall(r'(?:src|href)="https?://', shown)
