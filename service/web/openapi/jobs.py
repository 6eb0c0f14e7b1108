"""What `/openapi.json` tells of jobs, models and the caller."""

from __future__ import annotations

from service.model import JobState
from service.web.idempotency import HEADER, KEY_LENGTH
from service.web.openapi.builders import (
    NO_NUL,
    Operation,
    Response,
    Schema,
    in_header,
    in_path,
    in_query,
    moment,
    one_of,
    ref,
    text,
    whole,
)
from service.web.openapi.examples import EXAMPLES
from service.web.pagination import LONGEST_PAGE, PAGE_ROWS

NO_JOB = "You have no such job."
ITEMS = whole("How many.", minimum=1, maximum=LONGEST_PAGE, default=PAGE_ROWS)
CURSOR = text("The `next_cursor` of the page before.", format="cursor")
PAGES = (in_query("limit", ITEMS), in_query("cursor", CURSOR))
LINK = ("Link?",)
#: Of the same request, sent again.
KEY_NOTE = "The same key with the same body is one job, for 24 hours."
KEY = in_header(HEADER, text(KEY_NOTE, minLength=1, maxLength=KEY_LENGTH, format="idempotency-key"))
_FORMS = ("true", "false", "1", "0", "True", "False")


def switch(name: str, note: str) -> Schema:
    """A yes or no in the query."""
    return in_query(name, {"description": note, "enum": list(_FORMS), "default": "false"})


def search(name: str, note: str) -> Schema:
    """A filter by any text."""
    return in_query(name, text(note, pattern=NO_NUL))


def id_of(name: str, prefix: str) -> Schema:
    """An id in the path."""
    return in_path(name, text("Its id.", pattern=f"^{prefix}_[0-9a-f]{{32}}$"))


JOB = id_of("job_id", "job")
_PROMPT = {"prompt": "A fox in the snow", "duration": 5}
_EXAMPLE = {"model": "kling-2", "input": _PROMPT, "metadata": {"order": 7}}

OPERATIONS: dict[str, Operation] = {
    "jobs.create_job": Operation(
        "Jobs",
        {
            202: Response(
                "It is kept and will be sent.",
                ref("Job"),
                ("Location", "Idempotency-Replayed?"),
                EXAMPLES["QueuedJob"],
            ),
            200: Response("With `dry_run`: what would be sent.", ref("DryRun")),
        },
        {409: "The first request with this key is still running."},
        (switch("dry_run", "Check it and show the request to the vendor; send nothing."), KEY),
        ref("NewJob"),
        example=_EXAMPLE,
    ),
    "jobs.list_jobs": Operation(
        "Jobs",
        {200: Response("A page of them.", ref("Jobs"), LINK)},
        parameters=(
            in_query("state", one_of("Only those in it.", JobState)),
            search("model", "Only those of this model."),
            in_query("since", moment("Only those asked for since then.")),
            search("q", "The beginning of a job's or task's id."),
            *PAGES,
        ),
    ),
    "jobs.get_job": Operation(
        "Jobs", {200: Response("The job.", ref("Job"))}, {404: NO_JOB}, (JOB,)
    ),
    "jobs.erase": Operation(
        "Jobs",
        {204: Response("It is forgotten; its id, model, state, times and cost stay.")},
        {404: NO_JOB, 409: "It has not ended yet."},
        (JOB,),
    ),
    "jobs.get_timeline": Operation(
        "Jobs", {200: Response("Its timeline.", ref("Timeline"))}, {404: NO_JOB}, (JOB,)
    ),
    "jobs.cancel": Operation(
        "Jobs",
        {200: Response("It is canceled.", ref("Job"))},
        {404: NO_JOB, 409: "It may have been sent: it can only be muted."},
        (JOB,),
    ),
    "jobs.resolve": Operation(
        "Jobs",
        {200: Response("It goes on, or has failed.", ref("Job"))},
        {404: NO_JOB, 409: "It is not unknown, or the task is another job's."},
        (JOB,),
        ref("Resolution"),
        example={"task_id": "a1b2c3"},
    ),
    "jobs.mute": Operation(
        "Jobs", {200: Response("It is muted.", ref("Job"))}, {404: NO_JOB}, (JOB,)
    ),
    "jobs.models": Operation("Models", {200: Response("All of them.", ref("Models"))}),
    "service_info.me": Operation("Account", {200: Response("Whose key this is.", ref("Me"))}),
}

RESOLUTION: Schema = {
    "description": "How an unknown job ends.",
    "anyOf": [
        {
            "type": "object",
            "title": title,
            "properties": {name: schema},
            "required": [name],
            "additionalProperties": False,
        }
        for title, name, schema in (
            ("It is this task", "task_id", text("The vendor's id.", minLength=1, pattern=NO_NUL)),
            ("Send it once more", "resend", {"const": True}),
            ("It has failed", "fail", {"const": True}),
        )
    ],
}
