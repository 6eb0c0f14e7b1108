"""The form for a new job, without a browser."""

from __future__ import annotations

import re

from conftest import Bench
from dashboards import press
from flask.testing import FlaskClient

from service import store
from service.catalogue import MODELS


def test_new_job(client: FlaskClient, bench: Bench) -> None:
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
    with bench.db.read() as tx:
        made = store.jobs.page(tx, bench.account.id, 10)

    assert [(303, f"/jobs/{made[0].id}")] * 2 == [(a.status_code, a.location) for a in answers]
    assert 1 == len(made)
    assert ("A fox\nin the snow", 5, 0.5) == tuple(
        made[0].input[name] for name in ("prompt", "duration", "cfg_scale")
    )


def test_new_job_names_every_fault(client: FlaskClient, bench: Bench) -> None:
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
    with bench.db.read() as tx:
        assert [] == store.jobs.page(tx, bench.account.id, 10)


def test_form_has_every_parameter(client: FlaskClient) -> None:
    """The form is the catalogue: each parameter of each model has its labelled field."""
    shown = client.get("/new").text
    fields = {f"{m.slug}.{p.name}" for m in MODELS.values() for p in m.parameters}
    wanted = {name for name in fields if not name.endswith(".prompt")}

    assert wanted <= set(re.findall(r' name="([^"]+)"', shown))
    assert wanted <= set(re.findall(r'<label for="([^"]+)"', shown))
    assert "$0.28–1.96 · about 5 min 20 s" in shown
