"""The sandbox as the one who calls back: what it says, and when it retries."""

from __future__ import annotations

import pytest
from support.sandboxes import APIXO, APIXO_STATUS, Receiver, SandboxClient

GOOD = {"prompt": "A fox", "mode": "text-to-video", "duration": 5}


@pytest.mark.parametrize("prompt", ["A fox", "A fox [fail GENERATION_FAILED]"])
def test_callback_is_the_status_answer(sandbox: SandboxClient, prompt: str) -> None:
    """A finished task calls back once, as JSON, with what the status call says."""
    with Receiver() as receiver:
        task_id = sandbox.apixo_task(prompt, receiver.url)
        [called] = receiver.wait_for(1)
        sandbox.when(task_id, lambda task: len(task.attempts) == 1)

    assert sandbox.call("GET", APIXO_STATUS + task_id).json() == called
    assert ["application/json"] == receiver.content_types


@pytest.mark.parametrize("answer", [201, 204, 302, 307, 400, 500])
def test_callback_again_until_200(sandbox: SandboxClient, answer: int) -> None:
    """Nothing but a plain 200 counts as received; redirects are not followed."""
    with Receiver(answer) as receiver:
        task_id = sandbox.apixo_task("A fox", receiver.url)
        first, second = receiver.wait_for(2)
        task = sandbox.when(task_id, lambda task: len(task.attempts) == 2)

    assert first == second
    assert [answer, 200] == [attempt.status for attempt in task.attempts]


def test_callback_gives_up(sandbox: SandboxClient) -> None:
    """After the last delay nobody retries."""
    with Receiver(500, 500, 500, 500) as receiver:
        task_id = sandbox.apixo_task("A fox", receiver.url)
        task = sandbox.when(task_id, lambda task: len(task.attempts) == 4)
        sandbox.apixo_task("A fox", receiver.url)
        receiver.wait_for(5)

    assert [500] * 4 == [attempt.status for attempt in task.attempts]
    assert 5 == len(receiver.bodies)


def test_callback_without_a_listener(sandbox: SandboxClient) -> None:
    """A refused connection is a try without a status, and is in the books."""
    with Receiver() as receiver:
        url = receiver.url
    task_id = sandbox.apixo_task("A fox", url)
    task = sandbox.when(task_id, lambda task: len(task.attempts) == 4)

    assert {None} == {attempt.status for attempt in task.attempts}
    assert all(attempt.error for attempt in task.attempts)


def test_async_tasks_do_not_call_back(sandbox: SandboxClient) -> None:
    """A callback URL alone is not enough; the request type decides."""
    with Receiver() as receiver:
        body = {"input": GOOD, "request_type": "async", "callback_url": receiver.url}
        silent = sandbox.ended(sandbox.call("POST", APIXO, body).json()["data"]["taskId"])
        sandbox.apixo_task("A fox", receiver.url)
        receiver.wait_for(1)

    assert None is silent.callback_url
    assert 1 == len(receiver.bodies)
