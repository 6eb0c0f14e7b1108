"""What schemathesis cannot make up from a format's name: loaded by its command line."""

from __future__ import annotations

import base64
import io
import os
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image

HOOK = os.environ["CLIPBELL_FUZZ_HOOK"]
#: The id of the API key that every request brings.
OWN_KEY = os.environ["CLIPBELL_FUZZ_KEY"]
#: Characters of a query, each of which may become twelve when it is quoted.
LONGEST = 300
#: Stands for a cursor; each list takes only its own.
NO_CURSOR = "am9iXzAx"
#: What the ids of the rows of each list begin with.
LISTS = {
    "/v1/jobs": "job",
    "/v1/deliveries": "dlv",
    "/v1/callbacks": "cbk",
    "/v1/callbacks/rejected": "rej",
    "/v1/subscriptions/{subscription_id}/recover": "evt",
}
#: The target in the document's examples.
NOBODY = "https://example.com/clips"


def _image() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 320), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


IMAGE = _image()
_numbers = st.integers(0, 3)
_urls = _numbers.map(lambda n: f"{HOOK}/{n}")

schemathesis.openapi.format("http-url", _urls)
schemathesis.openapi.format("channel-target", _urls.map(lambda url: f"webhook:{url}"))
schemathesis.openapi.format("apprise-url", _numbers.map(lambda n: f"json://127.0.0.1:1/{n}"))
schemathesis.openapi.format("image", st.sampled_from([IMAGE, f"data:image/png;base64,{IMAGE}"]))
schemathesis.openapi.format(
    "webhook-secret", st.just("whsec_" + base64.b64encode(bytes(32)).decode())
)
schemathesis.openapi.format("name", st.sampled_from(["Orders", "Bestellungen ü"]))
schemathesis.openapi.format("header-name", st.sampled_from(["X-Api-Key", "Authorization"]))
schemathesis.openapi.format("header-value", st.sampled_from(["Bearer abc", "ü"]))
schemathesis.openapi.format("cursor", st.just(NO_CURSOR))
schemathesis.openapi.format("idempotency-key", st.builds(lambda: str(uuid.uuid4())))


@schemathesis.hook
def before_call(context: object, case: Any, **kwargs: object) -> None:
    """
    What no schema can say.

    A key stands for one body for a day: each good request brings its own. The
    examples' target is no server's, and waiting for its name is no test. The API key
    that signs in is not revoked.
    """
    if (case.path_parameters or {}).get("key_id") == OWN_KEY:
        case.path_parameters["key_id"] = "key_gone"
    negative = case.meta is not None and case.meta.generation.mode.is_negative
    if "Idempotency-Key" in (case.headers or {}) and not negative:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    query = case.query or {}
    if query.get("cursor") == NO_CURSOR and not negative:
        rejected = str(query.get("rejected")).lower() in ("true", "1")
        kind = "rej" if rejected else LISTS[case.operation.path]
        query["cursor"] = base64.urlsafe_b64encode(f"{kind}_{'0' * 32}".encode()).decode()
    if isinstance(case.body, dict) and case.body.get("target") == NOBODY:
        case.body["target"] = HOOK


@schemathesis.hook
def filter_query(context: object, query: dict[str, Any] | None) -> bool:
    """gunicorn itself refuses a request line of more than 4094 bytes."""
    return len(str(query)) < LONGEST
