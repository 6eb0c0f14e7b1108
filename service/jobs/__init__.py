"""
The life of a job, from the request to its end.

Enters: a checked request. Leaves: a task at a provider, then an outcome
and its event. May import: catalogue, providers, events, store and below.
"""

from __future__ import annotations
