"""gunicorn's thread worker, whose threads get only complete requests."""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import struct
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.message import Request
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from service.settings import Settings
from service.web.intake.framing import Incoming
from service.web.intake.gate import Gate, Route
from service.web.intake.lanes import Lane, Lanes
from service.web.repeats import RefusedTries

RECEIVE_BYTES = 64 * 1024
#: The seconds that a request may take to arrive, and the bytes that give one second more.
REQUEST_SECONDS = 10.0
BYTES_PER_SECOND = 16 * 1024
#: The seconds without progress after which a send is given up.
SEND_SECONDS = 15
#: The seconds that a client may take to close a connection after the last answer.
CLOSE_SECONDS = 2.0
#: The most connections without a running request: of one address, and in total. The slowest
#: one is closed for a new one, so a client that sends its request at once is never refused.
ADDRESS_LIMIT = 250
TOTAL_LIMIT = 600
#: File descriptors for these, for the files of large bodies, and for the database.
OPEN_FILES = 4096
LOOK_SECONDS = 0.5
#: The delay before an idle process accepts a connection, for each that it has. Without
#: it, one process often gets all of them, and a single processor does all the work.
YIELD_SECONDS = 0.0001


class Connection(TConn):  # type: ignore[misc]
    """
    A connection, and the request that arrives on it.

    Times are seconds of the monotonic clock. `gone` means that the last answer was sent.
    """

    def __init__(
        self, cfg: Any, sock: socket.socket, client: Any, server: Any, folder: Path
    ) -> None:
        super().__init__(cfg, sock, client, server)
        self.incoming = Incoming(folder)
        self.route = Route(Lane.REQUESTS)
        self.address = client[0] if isinstance(client, tuple) else ""
        self.since = self.ends = 0.0
        self.gone = False

    @property
    def deadline(self) -> float:
        """The time at which it is closed unless the request is complete."""
        return self.ends + self.incoming.received / BYTES_PER_SECOND

    def say(self, words: bytes) -> None:
        """Send a short answer of our own, without waiting."""
        with suppress(OSError):
            self.sock.send(words)


def refusal(status: str, *headers: str) -> bytes:
    """A minimal answer, which needs no thread."""
    lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MALFORMED = refusal("400 Bad Request")
TOO_SLOW = refusal("408 Request Timeout")
TOO_LONG = refusal("431 Request Header Fields Too Large")
NO_ROOM = refusal("503 Service Unavailable", "Retry-After: 5")
NO_THREAD = refusal("503 Service Unavailable", "Retry-After: 1")


class Worker(ThreadWorker):  # type: ignore[misc]
    """
    One loop reads all connections; made by `worker_of`.

    Each connection belongs to the loop (`_waiting`) or to a thread, never to both.
    """

    folder: Path
    request_seconds = REQUEST_SECONDS
    address_limit = ADDRESS_LIMIT

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Connection, None] = {}
        self._looked = 0.0
        self._gate: Gate
        self._refused: RefusedTries

    def init_process(self) -> None:
        """Start the process as gunicorn does, with more file descriptors."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, most))
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the app, and the parts of it that the loop needs."""
        super().load_wsgi()
        self._gate = self.wsgi.extensions["gate"]
        self._refused = self.wsgi.extensions["refused_tries"]

    def get_thread_pool(self) -> Lanes:
        """Our lanes instead of gunicorn's thread pool."""
        return Lanes(self.cfg.threads)

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; it belongs to the loop until a request is complete."""
        if self.cfg.workers > 1 and len(self._waiting) == self.nr_conns:
            # No request runs here: leave the connection to a process with fewer connections.
            time.sleep(min(self.nr_conns, 10) * YIELD_SECONDS)
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room(0, 0)
            return
        # A blocking send without progress for this long fails.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_SECONDS, 0))
        self.nr_conns += 1
        server = listener.getsockname()
        connection = Connection(self.cfg, sock, client, server, self.folder)
        self._watch(connection, self.request_seconds)
        self._make_room(self.address_limit, TOTAL_LIMIT)

    def _watch(self, connection: Connection, seconds: float) -> None:
        connection.sock.setblocking(False)
        connection.since = time.monotonic()
        connection.ends = connection.since + seconds
        self._waiting[connection] = None
        ready = partial(self._receive, connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, ready)

    def _unwatch(self, connection: Connection) -> None:
        del self._waiting[connection]
        self.poller.unregister(connection.sock)

    def _receive(self, connection: Connection, _: socket.socket) -> None:
        if connection not in self._waiting:
            # It was closed a moment ago, to make room for another one.
            return
        try:
            data = connection.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._cut(connection)
        elif not connection.gone:
            try:
                self._take(connection, data)
            except OSError:
                # The disk cannot store more of its body.
                connection.say(NO_ROOM)
                self._unwatch(connection)
                self._await_close(connection)

    def _take(self, connection: Connection, data: bytes) -> None:
        """Add the next bytes of a request; once it is complete, dispatch it to a thread."""
        incoming = connection.incoming
        if not incoming.has_head:
            if connection.initialized and not incoming.has_begun:
                # Until now it was an idle keep-alive connection, so its time starts now.
                connection.since = time.monotonic()
                connection.ends = connection.since + self.request_seconds
            behind = incoming.feed_head(data)
            if behind is None:
                if incoming.is_too_long:
                    self._cut(connection, TOO_LONG)
                return
            self._judge(connection, behind)
        else:
            incoming.feed_body(data)
            if incoming.ready:
                self._dispatch(connection)

    def _judge(self, connection: Connection, behind: bytes) -> None:
        """Decide, once the head is complete, how much of the body is awaited."""
        incoming = connection.incoming
        route = connection.route = self._gate.route(incoming.head)
        if route.known_limit and incoming.may_exceed(route.body_limit):
            self._unwatch(connection)
            asked = self.tpool.submit(Lane.REQUESTS, self._gate.is_known, incoming.head)
            asked.add_done_callback(
                lambda done: self.method_queue.defer(self._known, connection, behind, done)
            )
        else:
            self._expect(connection, route.body_limit, behind)

    def _known(self, connection: Connection, behind: bytes, asked: Future[bool]) -> None:
        """Continue once it is known whether the caller may send a large body."""
        self.tpool.release(Lane.REQUESTS)
        self._watch(connection, self.request_seconds)
        known = not asked.exception() and asked.result()
        limit = connection.route.known_limit if known else connection.route.body_limit
        self._expect(connection, limit, behind)

    def _expect(self, connection: Connection, limit: int, behind: bytes) -> None:
        incoming = connection.incoming
        incoming.expect_body(limit)
        incoming.feed_body(behind)
        if incoming.ready:
            self._dispatch(connection)
        elif incoming.head.waits_for_100:
            connection.say(CONTINUE)

    def _dispatch(self, connection: Connection) -> None:
        """Give the request a thread; answer 503 if its lane is full."""
        incoming, route = connection.incoming, connection.route
        if route.lane is Lane.REQUESTS and incoming.received > route.body_limit:
            connection.route = route = Route(Lane.UPLOADS)
        if incoming.is_malformed:
            self._cut(connection, MALFORMED)
            return
        if self.tpool.is_full(route.lane):
            incoming.open()
            path = self._gate.path(incoming.head.target)
            self._refused.note_unserved(incoming.head, path, incoming.close())
            self._cut(connection, NO_THREAD)
            return
        self._unwatch(connection)
        incoming.open()
        connection.parser = get_parser(self.cfg, incoming, connection.client)
        connection.data_ready = True
        self.enqueue_req(connection)

    def enqueue_req(self, connection: Connection) -> None:
        """Handle the request in a thread of its lane."""
        handled = self.tpool.submit(connection.route.lane, self.handle, connection)
        handled.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, connection, done)
        )

    def handle_request(self, request: Request, connection: Connection) -> Any:
        """In a thread: answer the request; after an incomplete one, the connection ends."""
        if not connection.incoming.is_whole:
            request.force_close()
        return super().handle_request(request, connection)

    def finish_request(self, connection: Connection, handled: Future[Any]) -> None:
        """After the answer: wait for another request, or for the client to close."""
        self.tpool.release(connection.route.lane)
        unread = connection.incoming.close()
        kept = not handled.cancelled() and not handled.exception() and handled.result()
        if kept:
            seen = connection.parser.unreader.take_buffered() + unread
            connection.parser = None
            seconds = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
            connection.incoming = Incoming(self.folder)
            self._watch(connection, seconds)
            if seen:
                self._take(connection, seen)
        else:
            self._await_close(connection)

    def _await_close(self, connection: Connection) -> None:
        """Wait until the client closes: an immediate close could destroy our answer."""
        connection.gone = True
        try:
            connection.sock.shutdown(socket.SHUT_WR)
            self._watch(connection, CLOSE_SECONDS)
        except (OSError, ValueError):
            self._close(connection)

    def _cut(self, connection: Connection, words: bytes = b"") -> None:
        self._unwatch(connection)
        if words:
            connection.say(words)
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        connection.incoming.close()
        self.nr_conns -= 1
        connection.close()

    def _make_room(self, of_address: int, in_all: int) -> None:
        """Close the slowest connection if an address, or all together, have too many."""
        if len(self._waiting) <= min(of_address, in_all):
            return
        newest = next(reversed(self._waiting)).address
        same = [one for one in self._waiting if one.address == newest]
        crowd = same if len(same) > of_address else list(self._waiting)
        if len(crowd) > (of_address if crowd is same else in_all):
            self._cut(min(crowd, key=lambda one: one.since), TOO_SLOW)

    def murder_pending(self) -> None:
        """Close connections after their deadline; gunicorn's loop calls this each time."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        for connection in [one for one in self._waiting if one.deadline < now]:
            begun = connection.incoming.has_begun and not connection.gone
            self._cut(connection, TOO_SLOW if begun else b"")

    def murder_keepalived(self, force: bool = False) -> None:
        """Close all connections in the last call of gunicorn's loop."""
        for connection in list(self._waiting) if force else []:
            self._cut(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """When the worker stops, idle connections end by `deadline`."""
        for connection in self._waiting:
            if not connection.incoming.has_begun:
                connection.ends = min(connection.ends, deadline)


def worker_of(settings: Settings) -> type[Worker]:
    """The worker class of a service with these settings."""
    limit = TOTAL_LIMIT if settings.trusted_proxies else ADDRESS_LIMIT
    return type("Worker", (Worker,), {"folder": settings.data_dir, "address_limit": limit})
