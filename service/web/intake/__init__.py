"""
How a request comes in: whole, in time, and to threads of its own kind.

gunicorn's thread worker gives a thread to each connection and lets it wait there for
the request. Here one loop reads all connections at once, and a thread sees only a
request that is whole (or one that is refused by its head), so slow clients hold
no thread. gunicorn still parses every byte: what is found here decides only when.
"""

from __future__ import annotations
