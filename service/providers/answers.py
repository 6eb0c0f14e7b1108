"""
What an answer of a vendor means for our task: made or refused, what became of it, or nothing.

A task that was asked for by its id is ours in an answer that names no task; an answer that
names another one is about somebody else's.
"""

from __future__ import annotations

from dataclasses import replace

from service.errors import ProviderError, Refused, Unanswered, WrongTask
from service.model import Outcome, TaskState
from service.model.error_codes import code_of
from service.outbound.client import Response
from service.providers.base import refusal_code, wished_wait
from service.providers.bodies import decode, ids_in_text, plain_words, read_body
from service.providers.envelope import MAX_CANDIDATES, Envelope, Vocabulary

#: Statuses with which a vendor, or HTTP itself, surely refuses a create. Others of the 4xx
#: (408, 409, 425, 499 …) can follow a request that was taken.
REFUSALS = frozenset(
    {400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 426, 429, 431}
)

#: More of a `Location` is not shown.
MAX_LOCATION = 200
#: Redirects that ask for the same request at another address: whoever has done the work
#: already would have it done twice by every client that follows (RFC 9110, 15.4.8 and 15.4.9).
#: 301, 302 and 303 also follow work that is done.
MOVED = frozenset({307, 308})


def read_answer(
    answer: Response, vocabulary: Vocabulary, task_id: str | None = None, origin: str = ""
) -> Envelope:
    """The answer to a create (without `task_id`) or to a question about this task."""
    content_type = answer.headers.get("Content-Type", "")
    tree = read_body(answer.body, content_type)
    words = "" if isinstance(tree, dict | list) else plain_words(answer.body, content_type)
    return Envelope(tree, vocabulary, task_id, origin, words)


def read_created_task(answer: Response, vocabulary: Vocabulary) -> str:
    """
    The id of the task that a create call has made.

    Raises:
        Refused, Unanswered: there is certainly none, or there may be one.
    """
    envelope = read_answer(answer, vocabulary)
    if envelope.task_id and envelope.accepts(answer.status):
        return envelope.task_id
    raise creation_error(answer, envelope)


def creation_error(answer: Response, envelope: Envelope) -> ProviderError:
    """
    Refused only where a status says surely so; else there may be a task.

    We follow no redirect of a create. A 5xx is no refusal, whoever wrote its body: the vendor
    may have taken the task before it failed, and its callback then finds the job.
    """
    status = envelope.refusal or answer.status
    message = envelope.complaint or f"HTTP {answer.status}"
    if envelope.vocabulary.codes and envelope.own_id:
        contradiction = f"not accepted ({message}), but the answer names task {envelope.own_id}"
        return Unanswered("SUBMIT_TIMEOUT_UNKNOWN", contradiction)
    own_code, wait = envelope.request_code, wished_wait(answer)
    known = envelope.vocabulary.refusals.get(own_code)
    # A gateway may say yes where the vendor itself says no.
    if known and (own_code in envelope.vocabulary.sure or answer.status < 300):
        return Refused(known, message, provider_code=own_code, retry_after=wait)
    if answer.status in MOVED and not envelope.task_id:
        where = answer.headers.get("Location", "")[:MAX_LOCATION] or "an address it does not name"
        return Refused("MOVED", f"{status}: moved to {where}", provider_code=str(status))
    if status >= 500:
        return Unanswered("SUBMIT_FAILED_UNKNOWN", f"the provider answered {status}: {message}")
    if status not in REFUSALS:
        return Unanswered("SUBMIT_TIMEOUT_UNKNOWN", f"no usable answer: {message}")
    code = known or code_of(envelope.fail_code or "")
    if code == "PROVIDER_ERROR":
        code = refusal_code(status, envelope.complaint)
    return Refused(code, message, provider_code=str(status), retry_after=wait)


def read_outcome(
    answer: Response,
    vocabulary: Vocabulary,
    task_id: str,
    origin: str,
    assumed: TaskState | None = None,
) -> Outcome:
    """
    What an answer says of the task that was asked for.

    Args:
        assumed: the state of an answer that names none.

    Raises:
        WrongTask: it names another task.
        Refused: the vendor did not answer the question; NOT_FOUND_TASK for a missing task.
        Unanswered: it cannot be read, or says nothing of a task.
    """
    envelope = read_answer(answer, vocabulary, task_id, origin)
    ours = envelope.own_id == task_id
    ended = ours and envelope.meaning in (TaskState.SUCCEEDED, TaskState.FAILED)
    failed = envelope.meaning is TaskState.FAILED and answer.status == vocabulary.failed_status
    message = envelope.complaint or f"HTTP {answer.status}"
    if not (envelope.accepts(answer.status) or ended or failed):
        status = envelope.refusal or answer.status
        # A bare 404 is a vendor's word only where it has no codes of its own; else a proxy's.
        if not envelope.is_readable and (vocabulary.codes or status != 404):
            words = f": {envelope.complaint}" if envelope.complaint else ""
            raise Unanswered("PROVIDER_UNAVAILABLE", f"HTTP {status} without JSON{words}")
        code = "NOT_FOUND_TASK" if status == 404 else refusal_code(status, message)
        wait = wished_wait(answer)
        raise Refused(code, message, provider_code=str(status), retry_after=wait)
    if not (envelope.is_about_a_task or (assumed and envelope.is_readable)):
        raise Unanswered("PROVIDER_UNAVAILABLE", f"the answer names no task: {message}")
    if envelope.task_id not in (None, task_id):
        message = f"the provider answered about task {envelope.task_id} instead of {task_id}"
        raise WrongTask("PROVIDER_ERROR", message)
    return envelope.outcome(assumed)


def read_callback(body: bytes, vocabulary: Vocabulary, origin: str) -> Outcome:
    """
    What a callback says, with every id in it that may be its task's.

    Raises:
        ProviderError: it says nothing of a task.
    """
    tree = read_body(body)
    envelope = Envelope(tree, vocabulary, origin=origin)
    found = envelope.candidates() if envelope.is_readable else ids_in_text(decode(body))
    candidates = tuple(dict.fromkeys(found))[:MAX_CANDIDATES]
    if not (envelope.is_about_a_task or candidates):
        raise ProviderError("PROVIDER_ERROR", "the callback names no task")
    return replace(envelope.outcome(), candidates=candidates)
