"""
The phases of a job, with their start and end.

Pure functions of rows; `timeline_chart` draws what they return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.catalogue.models import find_offer
from service.formatting import format_clock, format_duration
from service.model import (
    TERMINAL,
    Attempt,
    Delivery,
    DeliveryState,
    Job,
    Step,
    Video,
    VideoState,
)
from service.store.callbacks import Arrival

#: The phase that a step of the timeline starts; other steps start none.
BEGINS = {
    "submitting": "submit",
    "postponed": "line",
    "queued": "line",
    "held": "held",
    "submitted": "making",
    "adopted": "making",
    "unknown": "unknown",
    "restored": "unknown",
    "succeeded": "end",
    "failed": "end",
    "canceled": "end",
}


@dataclass(frozen=True)
class Span:
    """A part of a bar; `end` is None while it continues. `kind` is a CSS class."""

    start: datetime
    end: datetime | None
    kind: str


@dataclass(frozen=True)
class Row:
    """One row of the chart: its name, its duration as text, and its spans in order of time."""

    name: str
    label: str
    spans: tuple[Span, ...]
    #: The span of a thin line between attempts; None for no line.
    line: Span | None = None


def of_job(job: Job, steps: Sequence[Step], arrivals: Sequence[Arrival]) -> list[Row]:
    """The rows of a job, from the request to its result, with its callbacks or its poll."""
    reported = None
    if job.resolved_by == "callback" and job.finished_at:
        came = [c.received_at for c in arrivals if c.received_at <= job.finished_at]
        reported = came[-1] if came else None
    spans = phases_of(job, steps, reported)
    whole = job.resolved_by == "answer" and job.submitted_at == job.finished_at
    names = {
        "line": "Queued",
        "held": "On hold",
        "submit": f"Sent to {job.provider}, answered with the video" if whole else "Submit",
        "unknown": "No response (status unknown)",
        "making": f"Waiting for {job.provider}",
    }
    by_kind = {span.kind: tuple(s for s in spans if s.kind == span.kind) for span in spans}
    rows = [Row(names[kind], _long(own), own) for kind, own in by_kind.items()]
    return rows + rows_of_the_end(job, arrivals, reported)


def phases_of(job: Job, steps: Sequence[Step], reported: datetime | None) -> list[Span]:
    """The phases in order; the last one is open until the job finishes or its result comes."""
    marks = [("line", job.created_at)]
    for step in steps:
        begun = BEGINS.get(step.kind)
        if step.kind == "resolved":
            begun = "making" if job.task_id else "line"
        if begun is not None:
            marks.append((begun, step.created_at))
    last = job.finished_at if job.state in TERMINAL else None
    ends = [at for _, at in marks[1:]] + [last]
    spans = []
    for (kind, at), end in zip(marks, ends, strict=True):
        # The phase "making" ends when the result is reported.
        cut = kind == "making" and reported is not None and end and at <= reported <= end
        spans.append(Span(at, reported if cut else end, kind))
    # If the task became known together with its result, there was no such phase.
    nothing = [s for s in spans if s.kind == "making" and s.end == s.start]
    return [span for span in spans if span.kind != "end" and span not in nothing]


def _long(spans: Sequence[Span]) -> str:
    """The total duration, or the start of an open phase, as text."""
    last = spans[-1]
    if last.end is None:
        return f"since {format_clock(last.start)}"
    # A machine's clock may have gone back in between.
    return format_duration(max(sum((s.end - s.start).total_seconds() for s in spans if s.end), 0.0))


def rows_of_the_end(job: Job, arrivals: Sequence[Arrival], reported: datetime | None) -> list[Row]:
    """The rows of the callbacks, and of the poll that found the result, if any."""
    rows = []
    if arrivals:
        moments = [arrival.received_at for arrival in arrivals]
        # The callback that reported the result lasts until its confirmation.
        spans = tuple(
            Span(at, job.finished_at if at == reported else at, "callback") for at in moments
        )
        last = format_clock(moments[-1])
        words = [f"{len(arrivals)} came"] if len(arrivals) > 1 else []
        if reported:
            words.append(f"checked in {_long([s for s in spans if s.start == reported])}")
        else:
            words.append(f"last at {last}" if words else f"came at {last}")
        rows.append(Row("Callback", ", ".join(words), spans))
    if job.resolved_by == "poll" and job.finished_at:
        found = (Span(job.finished_at, job.finished_at, "callback"),)
        rows.append(Row("Poll", f"found the result at {format_clock(job.finished_at)}", found))
    return rows


def of_video(video: Video | None, steps: Sequence[Step]) -> list[Row]:
    """The row of the video's copy."""
    if video is None:
        return []
    lost = [step.created_at for step in steps if step.kind == "lost"]
    end = video.stored_at or (lost[-1] if lost else video.deleted_at)
    span = Span(video.created_at, end, "lost" if lost and not video.stored_at else "copy")
    words = _long((span,)) if video.state is not VideoState.LOST else "could not be made"
    return [Row("Copy", words, (span,))]


def of_deliveries(tried: Sequence[tuple[Delivery, Sequence[Attempt]]]) -> list[Row]:
    """One row for all deliveries: a bar for each attempt, and a line until the last one ends."""
    if not tried:
        return []
    deliveries = [delivery for delivery, _ in tried]
    spans = [
        Span(
            a.created_at,
            a.created_at + timedelta(milliseconds=a.milliseconds),
            "bad" if a.error else "good",
        )
        for _, attempts in tried
        for a in attempts
    ]
    ends = [one.finished_at for one in deliveries if one.state is not DeliveryState.PENDING]
    start = min(one.created_at for one in deliveries)
    end = max((e for e in ends if e), default=start) if len(ends) == len(tried) else None
    count = Counter("given up" if one.state == "exhausted" else one.state for one in deliveries)
    label = ", ".join(f"{number} {state}" for state, number in count.items())
    if end:
        label += f" in {format_duration((end - start).total_seconds())}"
    bars = tuple(sorted(spans, key=lambda span: span.start))
    return [Row("Notifications", label, bars, Span(start, end, "wait"))]


def in_words(rows: Iterable[Row]) -> str:
    """The chart as one sentence, for screen readers."""
    return "; ".join(f"{row.name}: {row.label}" for row in rows) + "."


def expected_end(job: Job, now: datetime) -> datetime | None:
    """
    The end of the chart of an unfinished job; None for a finished one.

    It stays the same for long, so that the chart need not be redrawn: it moves
    twice as far away each time it is reached.
    """
    if job.state in TERMINAL:
        return None
    model = find_offer(job.model, job.provider)
    length = timedelta(seconds=model.expected(job.input) if model else 60.0)
    start = job.submitted_at or job.created_at
    while start + length <= now:
        length *= 2
    return start + length
