"""Logging: one line per record, as JSON for machines or as text for people."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime

from service.errors import BrokerUnavailable, DatabaseUnavailable
from service.formatting import harmless

#: A repeated error, such as a full disk, is logged once in this many seconds.
SILENCE_SECONDS = 60.0
_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Tokens and keys in paths and messages, which are as valuable as passwords.
#: Slashes may be escaped, as in JSON and in URLs inside URLs; a run of backslashes
#: is tried once, at its first.
_SLASH = r"(?:(?<!\\)\\*/|%2[Ff])"
#: A token anywhere is known by its signature, 32 bytes in base64. It begins where a word does:
#: tried at each letter of a long word, it would take the square of its length.
_SECRET = re.compile(
    rf"({_SLASH}(?:callbacks|v|u|i|login){_SLASH})[\w.~-]+|(clb_|whsec_)[\w+/=-]+"
    r"|(?<![\w-])[\w-]{8,}\.[\w-]{43}"
)

#: Ids within a message, by the name that each has as a field.
_ID_FIELDS = {"job": "job_id", "cbk": "callback_id", "dlv": "delivery_id", "vid": "video_id"}
_ID = re.compile(r"\b(job|cbk|dlv|vid)_[0-9a-f]{32}\b")


def masked(text: str) -> str:
    """The text with tokens and keys masked."""
    return _SECRET.sub(lambda found: (found.group(1) or found.group(2) or "") + "***", text)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, ids in it, and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        line["message"] = record.getMessage()
        line |= {_ID_FIELDS[found[1]]: found[0] for found in _ID.finditer(line["message"])}
        line |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return masked(json.dumps(line, default=str))


class ConsoleFormatter(logging.Formatter):
    """Time, level, message, then the extra fields as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        extra = [f"{k}={v}" for k, v in vars(record).items() if k not in _PLAIN]
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        line = " ".join([moment, record.levelname[:1], record.getMessage(), *extra])
        # A newline in a message could imitate another line.
        line = line.replace("\n", "\\n")
        error = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return masked(harmless(line + error.replace("\n", "\n  ")))


def formatter_of(format_: str) -> logging.Formatter:
    """The formatter for ``json`` or ``console``; both mask secrets."""
    return JsonFormatter() if format_ == "json" else ConsoleFormatter()


def configure(format_: str) -> None:
    """Log to stderr in ``json`` or ``console`` format, from level INFO."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_of(format_))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class TroubleLog:
    """Logs a repeated error only once a minute."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._logged_at: dict[str, float] = {}

    def tell(self, what: str, error: Exception) -> None:
        """Log an error, unless the same one was logged a moment ago."""
        trouble, now = f"{what}: {type(error).__name__}", time.monotonic()
        if now - self._logged_at.get(trouble, -SILENCE_SECONDS) >= SILENCE_SECONDS:
            self._logged_at[trouble] = now
            # For an outage, the error's message is more useful than a traceback.
            away = isinstance(error, (DatabaseUnavailable, BrokerUnavailable))
            self._log.error("%s: %s", what, error, exc_info=None if away else error)
