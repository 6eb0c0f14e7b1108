"""
All SQL but the receiver's: plain functions of a transaction, by subject.

Callers write ``store.jobs.find(tx, …)``. No function begins or ends a transaction,
or calls another subject. Enters: a transaction and values of `model`. Leaves:
rows as values. May import: model, errors.
"""

from __future__ import annotations

from service.store import (
    accounts,
    callbacks,
    channels,
    claims,
    clock_skew,
    counts,
    day_reports,
    deliveries,
    encrypted_columns,
    events,
    high_water,
    idempotency,
    ids,
    job_lists,
    jobs,
    providers,
    quarantine,
    repeats,
    reports,
    retention,
    spent_tokens,
    steps,
    subscriptions,
    thread_references,
    videos,
    work,
)

__all__ = [
    "accounts",
    "callbacks",
    "channels",
    "claims",
    "clock_skew",
    "counts",
    "day_reports",
    "deliveries",
    "encrypted_columns",
    "events",
    "high_water",
    "idempotency",
    "ids",
    "job_lists",
    "jobs",
    "providers",
    "quarantine",
    "repeats",
    "reports",
    "retention",
    "spent_tokens",
    "steps",
    "subscriptions",
    "thread_references",
    "videos",
    "work",
]
