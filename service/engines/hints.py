"""
Hints: the messages of the distributed engine, their queues, and who sends them.

A hint says that a kind of work has a due row. It names no row: the claim
chooses the row by rules that a message cannot know (the account that was served
longest ago, the endpoint with room, the provider that may be called). So a
lost, late or doubled hint changes nothing, and the queues may be
emptied at any time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from celery import Celery
from kombu import Connection, Exchange, Queue

from service import store
from service.bootstrap import Wiring
from service.errors import BrokerUnavailable
from service.ops.broker import is_redis
from service.ops.upkeep import Periodic
from service.settings import Settings

log = logging.getLogger(__name__)

#: The kinds of work, each with a queue of its own.
KINDS = (*store.work.WORK, "deliver_slow", "number")
TASK = "clipbell.work"
#: The seconds after which an unprocessed hint expires: the beat has sent others since.
HINT_SECONDS = 10
#: The most waiting hints of a kind; the oldest are dropped first.
MOST_HINTS = 100
BEAT_SECONDS = 0.2
REST_SECONDS = 0.02
#: The seconds that a broker may take to accept a connection, or to confirm a hint.
BROKER_SECONDS = 4.0
#: A silent connection is given up after about twice this many seconds.
HEARTBEAT_SECONDS = 10


def queue_name(kind: str) -> str:
    """The queue of a kind of work, for `celery worker -Q` and `-X`."""
    return f"clipbell.{kind}"


def queues(settings: Settings) -> list[Queue]:
    """
    The queue of each kind.

    RabbitMQ enforces the limits itself. Redis has none for a list: there `Publisher`
    sets them with each hint.
    """
    limits: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-message-ttl": HINT_SECONDS * 1000,
        "x-max-length": MOST_HINTS,
        "x-overflow": "drop-head",
    }
    arguments = None if is_redis(settings) else limits
    exchange = Exchange("clipbell", "direct")
    return [
        Queue(queue_name(kind), exchange, queue_name(kind), queue_arguments=arguments)
        for kind in KINDS
    ]


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Celery's own settings: no results, late acknowledgements, confirmed publishing."""
    redis = {
        "socket_timeout": 30.0,
        "socket_keepalive": True,
        "health_check_interval": 5,
        # Redis has no acknowledgements. Without an emulation a hint is gone once it is taken,
        # and no worker fails by acknowledging one to a Redis that was restarted since.
        "ack_emulation": False,
    }
    transport = redis if is_redis(settings) else {"confirm_publish": True}
    return {
        "broker_url": settings.broker_url.get_secret_value(),
        "broker_transport_options": transport | {"socket_connect_timeout": BROKER_SECONDS},
        "broker_connection_timeout": BROKER_SECONDS,
        "broker_heartbeat": HEARTBEAT_SECONDS,
        # A broker may be unavailable for any time.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "task_queues": queues(settings),
        "task_create_missing_queues": False,
        "task_default_queue": queue_name(KINDS[0]),
        "task_default_exchange": "clipbell",
        "task_default_delivery_mode": "transient",
        "task_ignore_result": True,
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        # A create in progress survives a lost connection to the broker, and a cold shutdown waits.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": settings.submit_timeout + BROKER_SECONDS,
        "worker_redirect_stdouts": False,
        "worker_consumer": "service.engines.celery:HintConsumer",
    }


class Publisher:
    """
    Sends hints over one connection of its own, from any thread.

    Args:
        app: the Celery app whose task the hints are.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def send(self, kinds: Iterable[str]) -> None:
        """
        Send one hint for each of these kinds, confirmed by the broker.

        Raises:
            BrokerUnavailable: at least one was not accepted; the connection is closed.
        """
        with self._lock:
            try:
                connection = self._open()
                for kind in kinds:
                    self._send(connection, kind)
            except Exception as error:
                self._close()
                raise BrokerUnavailable(f"the broker takes no hints: {error}") from error

    def _open(self) -> Connection:
        if self._connection is None:
            # Without heartbeats, as no thread would send them between two hints.
            options = {"socket_timeout": BROKER_SECONDS} if self._on_redis else {}
            self._connection = self._app.connection_for_write(
                heartbeat=0, transport_options=options
            )
            self._connection.ensure_connection(max_retries=1, interval_start=0)
        return self._connection

    @property
    def _on_redis(self) -> bool:
        return str(self._app.conf.broker_url).startswith("redis")

    def _send(self, connection: Connection, kind: str) -> None:
        queue = self._app.amqp.queues[queue_name(kind)]
        producer = self._app.amqp.Producer(connection.default_channel, auto_declare=False)
        self._app.send_task(
            TASK,
            [kind],
            queue=queue,
            declare=[queue],
            producer=producer,
            retry=False,
            ignore_result=True,
            confirm_timeout=BROKER_SECONDS,
        )
        if self._on_redis:
            pipe = connection.default_channel.client.pipeline()
            # The newest hints come first.
            pipe.ltrim(queue.name, 0, MOST_HINTS - 1)
            pipe.expire(queue.name, HINT_SECONDS)
            pipe.execute()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.collect(socket_timeout=0.1)


class Beat(Periodic):
    """
    Regularly sends a hint for each kind with a due row; several beats are harmless.

    Args:
        seconds: the pause between two checks, unless the bell rings.
    """

    def __init__(self, wiring: Wiring, publisher: Publisher, seconds: float = BEAT_SECONDS) -> None:
        super().__init__("beat", seconds, self.send_due)
        self._wiring = wiring
        self._publisher = publisher

    def listen(self) -> None:
        """Check whenever a row becomes due."""
        self._wiring.db.listen(self._hear)

    def _hear(self, _: str) -> bool:
        self.wake()
        return True

    def send_due(self) -> None:
        """Send hints once. Raises BrokerUnavailable."""
        if due := self._wiring.due():
            self._publisher.send(sorted(due))
            # Many rings cause one check.
            self.stopping.wait(REST_SECONDS)
