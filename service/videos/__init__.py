"""
Our copies of the results: how they arrive, and how long they stay.

Enters: the URL of a result. Leaves: a file in the storage, its figures and its
link. May import: media, outbound, storage, deliveries' events, store and below.
"""

from __future__ import annotations
