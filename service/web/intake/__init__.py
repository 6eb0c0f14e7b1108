"""
The intake of requests: complete, in time, and to threads of their own kind.

gunicorn's thread worker gives a thread to each connection and lets it wait there for
the request. Here one loop reads all connections at once, and a thread sees only a
complete request (or one that its head refuses), so slow clients occupy
no thread. gunicorn still parses every byte: this code only decides when.
"""

from __future__ import annotations
