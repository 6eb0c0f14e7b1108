"""The form for a new job, without a browser."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from support.dashboards import browser_of, press, texts
from support.harness import Harness
from support.sandboxes import png

from service import store
from service.catalogue.models import MODELS
from service.model import Job
from service.web.context import JOB_BYTES
from service.web.dashboard.fields import with_channel
from web.test_session import HERE


def test_new_job(client: FlaskClient, harness: Harness) -> None:
    """The form makes the job that the API would make; sent twice, it is one."""
    shown = client.get("/new").text
    once = re.findall(r'name="once" value="([^"]+)"', shown)[0]
    given = {
        "once": once,
        "model": "kling-2.5-turbo",
        "prompt": "A fox\r\nin the snow",
        "kling-2.5-turbo.duration": "5",
        "kling-2.5-turbo.cfg_scale": "0.5",
        "kling-2.duration": "10",
    }
    answers = [press(client, "/new", "/new", **given) for _ in range(2)]
    with harness.db.read() as tx:
        made = store.job_lists.page(tx, harness.account.id, 10)

    assert [(303, f"/jobs/{made[0].id}")] * 2 == [(a.status_code, a.location) for a in answers]
    assert 1 == len(made)
    assert ("A fox\nin the snow", 5, 0.5) == tuple(
        made[0].input[name] for name in ("prompt", "duration", "cfg_scale")
    )


def test_new_job_names_every_fault(client: FlaskClient, harness: Harness) -> None:
    """What is wrong stands at its field, and nothing that was typed is lost."""
    given = {
        "model": "kling-text2video",
        "prompt": "",
        "kling-text2video.cfg_scale": "much",
        "kling-text2video.negative_prompt": "no rain",
        "notify": "pigeon:home",
    }
    answer = press(client, "/new", "/new", **given)
    invalid = re.findall(r'name="([^"]+)"[^>]* aria-invalid="true"', answer.text)

    assert 422 == answer.status_code
    assert {"prompt", "kling-text2video.cfg_scale", "notify"} == set(invalid)
    assert 'value="kling-text2video" checked' in answer.text
    assert 'value="no rain"' in answer.text and 'value="much"' in answer.text
    with harness.db.read() as tx:
        assert [] == store.job_lists.page(tx, harness.account.id, 10)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("you@example.com", ["email:you@example.com"]),
        (
            "https://hooks.slack.com/services/T/B/x *",
            ["slack:https://hooks.slack.com/services/T/B/x", "*"],
        ),
        ("https://example.com/hook", ["webhook:https://example.com/hook"]),
        ("https://me@example.com:8443/hook", ["webhook:https://me@example.com:8443/hook"]),
        ("slack:https://chat.example/hook", ["slack:https://chat.example/hook"]),
        ("email:you@example.com", ["email:you@example.com"]),
        ("pigeon", ["pigeon"]),
    ],
)
def test_notify_without_a_syntax(typed: str, said: list[str]) -> None:
    """A target is enough where it shows by which channel it is reached."""
    assert said == [with_channel(word) for word in typed.split()]


def test_form_has_every_parameter(client: FlaskClient) -> None:
    """The form is the catalogue: each parameter of each model has its labelled field."""
    shown = client.get("/new").text
    fields = {f"{m.slug}.{p.name}" for m in MODELS.values() for p in m.parameters}
    wanted = {name for name in fields if not name.endswith(".prompt")}

    assert wanted <= set(re.findall(r' name="([^"]+)"', shown))
    assert wanted <= set(re.findall(r'<label for="([^"]+)"', shown))
    for price in ("5 s std $0.28", "10 s pro $1.96", "5 s $0.44", "10 s $0.88", "3 s $0.252–0.504"):
        assert f'"length">{price}<' in shown


def test_first_choice_has_a_price(client: FlaskClient) -> None:
    """A model whose price nobody states is not the one that the form begins with."""
    shown = client.get("/new").text
    [chosen] = re.findall(r'name="model" value="([^"]+)" checked', shown)
    unstated = press(client, "/new", "/new/quote", model="kling-2-5-turbo-pro").text

    assert MODELS[chosen].price_min is not None
    assert "price not stated" not in press(client, "/new", "/new/quote", model=chosen).text
    assert "price not stated" in unstated
    assert "set a price</a>" in unstated and 'id="money"' in client.get("/settings").text


def test_orders_of_the_sandbox(client: FlaskClient) -> None:
    """Where the sandbox makes the videos, the form says how to have it misbehave."""
    assert "<code>[slow 20]</code>" in client.get("/new").text


def test_quote(client: FlaskClient, harness: Harness) -> None:
    """Price and time follow what is chosen, with or without a prompt; nothing is stored."""
    chosen = {"model": "kling-2.5-turbo", "kling-2.5-turbo.duration": "5"}
    short = press(client, "/new", "/new/quote", **chosen).text
    long = press(client, "/new", "/new/quote", model="kling-2.5-turbo").text
    unstated = press(client, "/new", "/new/quote", model="kling-2-5-turbo-pro").text

    assert "$0.44" in short and "ready in about 2 min 14 s" in short
    assert "$0.88" in long and "price not stated" in unstated
    assert "left today" not in short
    assert [] == jobs_of(harness)


@pytest.mark.parametrize("settings_given", [{"kling_api_key": "k"}], ids=["kling"])
@pytest.mark.parametrize(
    ("more", "price"),
    [
        ({}, "$0.35"),
        ({"route": "kling", "resolution": "720p"}, "$0.21"),
        ({"route": "segmind"}, "$0.44"),
    ],
)
def test_quote_of_a_vendor(client: FlaskClient, more: dict[str, str], price: str) -> None:
    """The price is that of the vendor that gets the job: the cheapest, or the chosen one."""
    given = {f"kling-2.5-turbo.{name}": value for name, value in ({"duration": "5"} | more).items()}
    shown = press(client, "/new", "/new/quote", model="kling-2.5-turbo", **given).text

    assert [price] == texts(shown, r'class="price"[^>]*>(.*?)<')


def jobs_of(harness: Harness) -> list[Job]:
    """alice's jobs, newest first."""
    with harness.db.read() as tx:
        return store.job_lists.page(tx, harness.account.id, 10)


class TestBudget:
    """The form under a budget."""

    @pytest.fixture
    def settings_given(self) -> dict[str, Any]:
        """Two dollars a day."""
        return {"budget": 2}

    def test_quote_knows_the_budget(self, client: FlaskClient) -> None:
        """What is left is reported, and what is dearer would wait, with the reason."""
        dear = {"model": "kling-2", "kling-2.duration": "10"}
        unstated = {"model": "kling-2-5-turbo-pro"}
        quotes = [press(client, "/new", "/new/quote", **given).text for given in (unstated, dear)]

        assert all("$2.00 left today" in text for text in quotes)
        assert "It would wait: the price of" in quotes[0]
        assert "It would wait: it may cost $3.50, $2.00 are left" in quotes[1]


def test_field_is_checked_alone(client: FlaskClient) -> None:
    """A field that was filled in hears of its own faults, not of what is still to come."""
    name = "kling-2.cfg_scale"
    given = {"model": "kling-2", "prompt": "", name: "7"}
    wrong = press(client, "/new", f"/new/field?name={name}", **given).text
    right = press(client, "/new", f"/new/field?name={name}", **given | {name: "0.7"}).text

    assert "Must be from 0 to 1; got 7." in wrong and 'aria-invalid="true"' in wrong
    assert "input delay" in wrong and "required" not in wrong
    assert 'value="0.7"' in right and "aria-invalid" not in right
    assert "" == press(client, "/new", "/new/field?name=kling-2.nonsense", **given).text.strip()


IMAGE = "kling-2.5-turbo.image_url"


def test_chosen_file(client: FlaskClient, harness: Harness) -> None:
    """A file becomes a URL of ours, shown from here, and one job is made with it."""
    picture = png("teal")
    given = {"model": "kling-2.5-turbo", "prompt": "A fox", f"{IMAGE}.file": file_of(picture)}
    field = press(client, "/new", f"/new/field?name={IMAGE}", **given).text
    (url,), (preview,) = re.findall(r'value="([^"]+/i/[^"]+)"', field), sources(field)
    press(client, "/new", "/new", **given | {IMAGE: url, f"{IMAGE}.file": file_of(b"", "")})
    for other in (picture, picture, png("red")):
        press(client, "/new", "/new", **given | {f"{IMAGE}.file": file_of(other), "once": "2"})
    made = [job.input["image_url"] for job in jobs_of(harness)]

    assert picture == content(client, preview)
    assert url in made and 3 == len(made)
    kept = sorted(content(client, urlsplit(one).path) for one in made)
    assert sorted([picture, picture, png("red")]) == kept


def content(client: FlaskClient, path: str) -> bytes:
    """A picture, read to its end and closed."""
    with client.get(path) as answer:
        assert "image/png" == answer.mimetype
        return answer.get_data()


def file_of(content: bytes, name: str = "cat.png") -> Any:
    """A file as a form sends it."""
    return (io.BytesIO(content), name)


def sources(shown: str) -> list[str]:
    """The pictures of a page besides its own."""
    return [path for path in re.findall(r'<img src="([^"]+)"', shown) if "/static/" not in path]


def test_an_empty_file(client: FlaskClient, harness: Harness) -> None:
    """A chosen file without content is no image: no video is made without it."""
    given = {"model": "kling-2.5-turbo", "prompt": "A fox", f"{IMAGE}.file": file_of(b"", "a.png")}

    assert 422 == press(client, "/new", "/new", **given).status_code
    assert [] == jobs_of(harness)


def test_no_image(client: FlaskClient, harness: Harness) -> None:
    """What is no image is shown at its field; an image typed as a data URI is kept like a file."""
    given = {"model": "kling-2.5-turbo", "prompt": "A fox"}
    bad = press(client, "/new", "/new", **given, **{f"{IMAGE}.file": file_of(b"no", "my cat.png")})
    without = press(client, "/new", "/new", **fields(bad.text))
    data = "data:image/png;base64," + base64.b64encode(png("teal")).decode()
    typed = press(client, "/new", f"/new/field?name={IMAGE}", **given, **{IMAGE: data}).text
    foreign = press(
        client, "/new", f"/new/field?name={IMAGE}", **given, **{IMAGE: "http://a.example/b.png"}
    ).text

    assert [422, 422] == [bad.status_code, without.status_code]
    assert ["The image must be a JPG, PNG or WebP."] == texts(
        bad.text, r'class="error"[^>]*>(.*?)<'
    )
    assert 'value="my_cat.png"' in bad.text
    assert [] == jobs_of(harness)
    assert 1 == len(sources(typed)) and data not in typed
    assert [] == sources(foreign) and "http://a.example/b.png" in foreign


def test_two_images(client: FlaskClient, harness: Harness) -> None:
    """Files stand beside URLs where a model takes two images."""
    name = "kling-2-5-turbo-pro.image_urls"
    given: dict[str, Any] = {"model": "kling-2-5-turbo-pro", "prompt": "A fox"}
    given |= {name: "http://127.0.0.1:9/a.png", f"{name}.file": file_of(png("teal"))}
    press(client, "/new", "/new", **given)
    found = jobs_of(harness)[0].input["image_urls"]

    assert "http://127.0.0.1:9/a.png" == found[0]
    assert harness.wiring.uploads.holds(found[1])


def test_larger_than_a_job(client: FlaskClient) -> None:
    """A form that brings more than a job may is refused."""
    given = {"CONTENT_LENGTH": str(JOB_BYTES + 1)}
    given |= {"CONTENT_TYPE": "multipart/form-data; boundary=x"}
    for page in ("/new", "/new/request", "/new/quote", f"/new/field?name={IMAGE}"):
        refused = client.post(page, headers=HERE, environ_overrides=given)
        assert 413 == refused.status_code and "An image may have 10 MB" in refused.text
    part = client.post(page, headers=HERE | {"HX-Request": "true"}, environ_overrides=given)
    assert ("beforeend", True) == (part.headers["HX-Reswap"], "may have 10 MB" in part.text)


def test_dry_run(client: FlaskClient, harness: Harness) -> None:
    """The request is shown as it would go out, its secrets masked; nothing is made or sent."""
    given = {"model": "kling-2.5-turbo", "prompt": "A fox", "kling-2.5-turbo.duration": "5"}
    given |= {"kling-2.5-turbo.negative_prompt": "no rain"}
    shown = press(client, "/new", "/new/request", **given)
    wire = "".join(texts(shown.text, r'<pre[^>]*class="wire"[^>]*>(.*?)</pre>'))
    body = json.loads(wire[wire.index("{") :])

    assert 200 == shown.status_code and "Nothing was sent" in shown.text
    assert "POST http://127.0.0.1:9/v2/kling-2.5-turbo" in wire and "x-api-key: ***" in wire
    assert ("A fox", 5, "no rain") == tuple(
        body[name] for name in ("prompt", "duration", "negative_prompt")
    )
    assert "$0.44" in shown.text and 'value="no rain"' in shown.text
    assert [] == jobs_of(harness)
    assert 422 == press(client, "/new", "/new/request", model="kling-2").status_code


def test_use_again(client: FlaskClient, harness: Harness) -> None:
    """An earlier job fills in the form; sent as it is, it asks for the same."""
    body = {"model": "kling-2-5-turbo-pro", "provider": "value"}
    asked = {"prompt": "A fox\nin snow", "duration": 10, "cfg_scale": 0.5}
    job = harness.new_job(**body, input=asked | {"image_urls": ["http://127.0.0.1:9/a.png"]})
    harness.clock.advance(1)
    shown = client.get(f"/new?like={job.id}").text
    press(client, "/new", "/new", **fields(shown))
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)
    again = jobs_of(harness)[0]

    assert again.id != job.id
    assert (job.input, job.route) == (again.input, again.route)
    assert f'href="/jobs/{job.id}"' in shown and "no longer stored" not in shown
    assert 404 == charlie.get(f"/new?like={job.id}").status_code


def fields(shown: str) -> dict[str, str]:
    """What a browser would send of the form, as it stands on the page."""
    form = Form()
    form.feed(shown)
    return form.found


VENDOR_KEYS = [f"{name}_api_key" for name in ("kling", "fal", "replicate", "kie", "piapi")]


@pytest.mark.parametrize(
    "settings_given",
    [*({key: "k"} for key in VENDOR_KEYS), dict.fromkeys(VENDOR_KEYS, "k")],
    ids=lambda given: "+".join(given),
)
def test_form_as_it_stands(client: FlaskClient, harness: Harness) -> None:
    """Of every model a prompt is enough, however many vendors sell it."""
    shown = client.get("/new").text
    usable = re.findall(r'name="model" value="([^"]+)"(?! disabled)', shown)
    refused = {}
    for slug in usable:
        given = fields(shown) | {"model": slug, "prompt": "A fox"}
        answers = [press(client, "/new", f"/new/{name}", **given) for name in ("request", "quote")]
        # A price is there before all else is right.
        answers.append(press(client, "/new", "/new/quote", **given | {"prompt": "?" * 9999}))
        if [200] * 3 != [answer.status_code for answer in answers]:
            refused[slug] = texts(answers[0].text, r'class="error"[^>]*>(.*?)<')

    assert {} == refused
    assert len(usable) >= 4


class Form(HTMLParser):
    """Reads the fields of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A field, or a part of one."""
        given = dict(attrs)
        kind, name = given.get("type"), given.get("name") or ""
        if tag in ("textarea", "select"):
            self._open = name
        elif tag == "option" and ("selected" in given or self._open not in self.found):
            self.found[self._open] = given.get("value") or ""
        elif tag == "input" and kind != "file" and (kind != "radio" or "checked" in given):
            self.found[name] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        """The text of a text field, without the first line break, as browsers do."""
        if self._open and self.lasttag == "textarea":
            self.found[self._open] = data
            self._open = ""


def test_use_again_without_its_image(client: FlaskClient, harness: Harness) -> None:
    """An image that is no longer stored has to be chosen again, and the page says so."""
    given = {"model": "kling-2.5-turbo", "prompt": "A fox", f"{IMAGE}.file": file_of(png("teal"))}
    press(client, "/new", "/new", **given)
    job = jobs_of(harness)[0]
    there = client.get(f"/new?like={job.id}").text
    harness.clock.advance(31 * 86_400)
    gone = browser_of(harness, harness.account.id).get(f"/new?like={job.id}").text

    assert 1 == len(sources(there)) and "no longer stored" not in there
    assert [] == sources(gone) and "One of its images is no longer stored" in gone
