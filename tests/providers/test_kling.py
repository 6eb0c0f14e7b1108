"""Kling repeats our own id for a task: what was made for another job is never taken for ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.harness import NOON
from support.raw_servers import LOCAL, Server, always
from support.reach import access

from service.errors import WrongTask
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.model import Job, TaskState
from service.outbound.client import Outbound
from service.providers.kling import Kling
from service.settings import load_settings

LINK = "http://127.0.0.1:9/a.mp4"
KEYS = {"newer": "key", "older": "access:secret"}


@pytest.fixture
def job() -> Job:
    """One of ours, with a task."""
    body = {"model": "kling-2.5-turbo", "input": {"prompt": "A fox", "duration": 5}}
    asked = check_request(body, {}, Market({"kling"}, {}, NOON.date()))
    planned = planned_job(load_settings({}, secret_keys="k" * 40), "acc", asked, NOON)
    return replace(planned, task_id="ab12")


def answer(routes: str, tasks: list[tuple[str, str]]) -> bytes:
    """Finished tasks with their ids and our names for them, as these routes show them."""
    data: Any = [
        {"id": task_id, "external_id": named, "status": "succeeded", "outputs": [{"url": LINK}]}
        for task_id, named in tasks
    ]
    if routes == "older":
        task_id, named = tasks[0]
        data = {"task_id": task_id, "task_status": "succeed"}
        data |= {"task_info": {"external_task_id": named}}
        data |= {"task_result": {"videos": [{"url": LINK}]}}
    body = json.dumps({"code": 0, "data": data}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


Asks = Callable[[str, list[tuple[str, str]]], Kling]


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Asks:
    """A vendor that answers every question with these tasks."""

    def make(routes: str, tasks: list[tuple[str, str]]) -> Kling:
        server, outbound = Server(always(answer(routes, tasks))), Outbound(LOCAL)
        request.addfinalizer(server.close)
        request.addfinalizer(outbound.close)
        return Kling(access(outbound, server.url(""), KEYS[routes]))

    return make


@pytest.mark.parametrize("routes", KEYS)
@pytest.mark.parametrize("named", ["", "a name that a person gave it", None])
def test_own_task(vendor: Asks, job: Job, routes: str, named: str | None) -> None:
    """A task with our id, without one, or with a person's is the one that was asked about."""
    found = vendor(routes, [("ab12", job.id if named is None else named)]).fetch(job)

    assert (TaskState.SUCCEEDED, LINK) == (found.state, found.result_url)


@pytest.mark.parametrize("routes", KEYS)
def test_task_of_another_job(vendor: Asks, job: Job, routes: str) -> None:
    """A callback of ours that names another job's task brings nobody else's video."""
    with pytest.raises(WrongTask, match="ab12 was made for job_of_another"):
        vendor(routes, [("ab12", "job_of_another")]).fetch(job)


@pytest.mark.parametrize("routes", KEYS)
def test_lookup_of_another_job(vendor: Asks, job: Job, routes: str) -> None:
    """A lookup whose answer ignores the question adopts nothing."""
    with pytest.raises(WrongTask, match=f"about job_of_another instead of {job.id}"):
        vendor(routes, [("t1", "job_of_another")]).find(job, lambda _: None)


def test_lookup_among_others(vendor: Asks, job: Job) -> None:
    """Of several tasks the one of our job counts, wherever it stands."""
    tasks = [("t1", "job_of_another"), ("t2", job.id), ("t3", "")]

    assert "t2" == vendor("newer", tasks).find(job, lambda _: None)
