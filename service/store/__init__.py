"""
All SQL but the receiver's: plain functions of a transaction, by subject.

They are read as ``store.jobs.find(tx, …)``. None begins or ends a
transaction, none calls another subject.
"""

from __future__ import annotations

from service.store import (
    accounts,
    aside,
    callbacks,
    census,
    channels,
    claims,
    clocks,
    deliveries,
    events,
    figures,
    idempotency,
    jobs,
    postings,
    providers,
    retention,
    seals,
    subscriptions,
    videos,
    work,
)

__all__ = [
    "accounts",
    "aside",
    "callbacks",
    "census",
    "channels",
    "claims",
    "clocks",
    "deliveries",
    "events",
    "figures",
    "idempotency",
    "jobs",
    "postings",
    "providers",
    "retention",
    "seals",
    "subscriptions",
    "videos",
    "work",
]
