"""The JSON of requests: strict, finite, not too deep; errors name the place."""

from __future__ import annotations

import json
from typing import Any

from service.model.json_text import read_json
from service.web.errors import Problem

JSON_HINT = (
    "JSON has double quotes around names and texts, no comments, and no comma before } or ]."
    " Nothing was stored."
)


def parse_json(body: bytes) -> Any:
    """Parse a body. Raises a Problem: 400, with the place and the fix."""
    try:
        return read_json(body)
    except UnicodeEncodeError:
        hint = "Send each character whole: in UTF-8, or as both of its \\u escapes."
        raise Problem(400, "the body holds half a surrogate pair", hint=hint) from None
    except UnicodeDecodeError as error:
        hint = "Save and send the text in UTF-8."
        raise Problem(400, f"the body is not UTF-8 at byte {error.start + 1}", hint=hint) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        detail = f"the body is not JSON: {error.msg} at {where}"
        raise Problem(400, detail, hint=JSON_HINT) from None
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}", hint=JSON_HINT) from None
