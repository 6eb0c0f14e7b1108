"""
What can go wrong with a task, in one vocabulary.

Vendors say the same thing in several ways (UPPER_SNAKE and PascalCase codes,
HTTP statuses that mean two things); here each becomes one code of ours with a
hint for a person. An unknown word is kept and counts as PROVIDER_ERROR.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from service.model import JobError


@dataclass(frozen=True)
class Failure:
    """A code's meaning: may a person usefully send the job again, and what to do."""

    retryable: bool
    hint: str


FAILURES: dict[str, Failure] = {
    "BAD_REQUEST": Failure(False, "Correct the named field and send a new job."),
    "PROMPT_TOO_LONG": Failure(False, "Shorten the prompt to 2500 characters."),
    "AUTH_INVALID": Failure(False, "Check the provider's API key in the settings."),
    "FORBIDDEN": Failure(False, "Ask the provider to allow this model for your key."),
    "CONTENT_VIOLATION": Failure(False, "Change the prompt or image; the provider forbids it."),
    "NOT_FOUND_MODEL": Failure(False, "The provider no longer offers this model; choose another."),
    "NOT_FOUND_TASK": Failure(True, "The provider has no record of the task; look at its history."),
    "RESULT_LOST": Failure(True, "The provider's record is gone; look in its history by hand."),
    "MOVED": Failure(True, "Set the provider's base URL to its new address, then resume it."),
    "METHOD_BUG": Failure(False, "The provider refused the method; check the base URL setting."),
    "CONTENT_TYPE_BUG": Failure(False, "The provider refused our content type; report this."),
    "INSUFFICIENT_CREDITS": Failure(True, "Top up the provider's account, then resume it."),
    "SPEND_LIMIT": Failure(True, "Raise the spend limit, then resume the provider."),
    "ACCOUNT_EXCEPTION": Failure(False, "Ask the provider what is wrong with the account."),
    "RATE_LIMITED": Failure(True, "Clipbell sends it again when the provider allows it."),
    "CONCURRENCY_LIMIT": Failure(True, "Clipbell sends it again when one of your tasks is done."),
    "INVALID_IMAGE_URL": Failure(False, "Give an image URL that anyone on the internet can open."),
    "IMAGE_DOWNLOAD_FAILED": Failure(True, "Host the image elsewhere and send a new job."),
    "IMAGE_TOO_LARGE": Failure(False, "Make the image smaller than 10 MB."),
    "UNSUPPORTED_FORMAT": Failure(False, "Give the image as JPG, PNG or WebP."),
    "PROVIDER_ERROR": Failure(True, "Send a new job, perhaps with other parameters."),
    "PROVIDER_UNAVAILABLE": Failure(True, "Clipbell sends it again when the provider answers."),
    "SUBMIT_TIMEOUT_UNKNOWN": Failure(
        False, "Look for it at the provider, then resolve the job: task id, resend or fail."
    ),
    "SUBMIT_FAILED_UNKNOWN": Failure(
        False, "Wait: the provider may have made it. Without a callback it fails at its deadline."
    ),
    "PROCESSING_TIMEOUT": Failure(True, "The provider took too long; send a new job."),
    "JOB_DEADLINE": Failure(False, "Clipbell keeps polling; a late success still counts."),
    "EMPTY_RESULT": Failure(True, "The provider reported success without a video; ask it why."),
    "RESULT_EXPIRED": Failure(True, "The provider's link expired before the video was copied."),
    "RESULT_CORRUPT": Failure(True, "The provider sent a file that is not a video; ask it why."),
    "PRICE_UNKNOWN": Failure(True, "Set its price in CLIPBELL_PRICES; then Clipbell sends it."),
    "JOB_BUDGET": Failure(True, "Raise CLIPBELL_JOB_BUDGET, or ask for a cheaper video."),
    "BUDGET": Failure(True, "Clipbell sends it tomorrow (UTC), or once CLIPBELL_BUDGET is raised."),
    "RESTORED": Failure(
        False, "Look for it at the provider, then resolve the job: task id, resend or fail."
    ),
    "OPERATOR": Failure(False, "A person marked it failed."),
}

_VENDOR_WORDS = {
    "nsfw": "CONTENT_VIOLATION",
    "nsfwdetected": "CONTENT_VIOLATION",
    "contentviolation": "CONTENT_VIOLATION",
    "contentpolicyviolation": "CONTENT_VIOLATION",
    "moderationblocked": "CONTENT_VIOLATION",
    "sensitivecontent": "CONTENT_VIOLATION",
    "sensitivecontentdetected": "CONTENT_VIOLATION",
    "inputimagesensitivecontentdetected": "CONTENT_VIOLATION",
    "inputoutputsensitivecontentdetected": "CONTENT_VIOLATION",
    "prohibitedcontentdetected": "CONTENT_VIOLATION",
    "prompttoolong": "PROMPT_TOO_LONG",
    "promptlengthexceeded": "PROMPT_TOO_LONG",
    "invalidprompt": "BAD_REQUEST",
    "invalidimageurl": "INVALID_IMAGE_URL",
    "imagetoolarge": "IMAGE_TOO_LARGE",
    "filetoolarge": "IMAGE_TOO_LARGE",
    "unsupportedformat": "UNSUPPORTED_FORMAT",
    "unsupportedimageformat": "UNSUPPORTED_FORMAT",
    "imagedownloadfailed": "IMAGE_DOWNLOAD_FAILED",
    "filedownloaderror": "IMAGE_DOWNLOAD_FAILED",
    "processingtimeout": "PROCESSING_TIMEOUT",
    "generationtimeout": "PROCESSING_TIMEOUT",
    "modelunavailable": "PROVIDER_UNAVAILABLE",
    "generationfailed": "PROVIDER_ERROR",
    "insufficientcredits": "INSUFFICIENT_CREDITS",
    "insufficientquota": "INSUFFICIENT_CREDITS",
}
#: Codes after which nothing goes out to the provider until somebody has acted.
HOLD_CODES = frozenset(
    {"INSUFFICIENT_CREDITS", "SPEND_LIMIT", "AUTH_INVALID", "ACCOUNT_EXCEPTION", "MOVED"}
)
#: Refusals that pass by themselves: the job waits and is sent again.
RETRY_CODES = frozenset({"RATE_LIMITED", "CONCURRENCY_LIMIT", "PROVIDER_UNAVAILABLE"})

#: An account without money, under whatever status.
MONEY_WORDS = re.compile(
    r"\b(insufficient|exhausted|not enough|out of)\W+(\w+\W+)?(credit|balance|fund|quota)"
    r"|\b(credit|balance|fund)s?\W+(\w+\W+)?(insufficient|exhausted|too low|not enough)",
    re.I,
)
#: Only of a vendor's rules for contents, in whatever the vendor says of a task.
REFUSED_CONTENT = re.compile(
    r"nsfw|content\W+(policy|moderation|violat)|violates?\b.*\b(polic|guideline)|risk control", re.I
)
#: The same of a request that is forbidden, which says less besides.
POLICY_WORDS = re.compile(r"content|polic|nsfw|sensitive|violat|moderat|prohibit|safety", re.I)


def code_of(vendor_word: str) -> str:
    """Our code for a vendor's fail code, in either of its spellings."""
    return _VENDOR_WORDS.get(re.sub(r"[^a-z]", "", vendor_word.lower()), "PROVIDER_ERROR")


#: Control characters but tab and line end; other separators of lines; embeddings, overrides and
#: isolates of direction; halves of surrogate pairs.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def strip_unstorable(text: str) -> str:
    """
    A vendor's words without what no database takes (NUL, halves of surrogate pairs), and
    without what commands a terminal or turns the text around it.
    """
    return _COMMANDS.sub("�", text.replace("\r\n", "\n"))


def with_code(code: str, message: str) -> str:
    """An error for a timeline or a log; without its code where the message says the same."""
    said = re.sub(r"[^A-Z]+", "_", message.upper()).strip("_")
    return message if said == code else f"{code}: {message}"


def as_stored(error: JobError) -> dict[str, Any]:
    """The error as it is stored in the job's row."""
    fields = asdict(error)
    return {k: strip_unstorable(v) if isinstance(v, str) else v for k, v in fields.items()}


def job_error(code: str, message: str, provider_code: str | None = None) -> JobError:
    """The error of a job: our code with its advice, the provider's words kept."""
    failure = FAILURES[code]
    return JobError(code, message, failure.retryable, failure.hint, provider_code)
