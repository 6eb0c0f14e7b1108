"""A check of the distributed engine's broker."""

from __future__ import annotations

from service.settings import Settings

#: Seconds; there are two attempts, so a silent broker is reported after two seconds.
CHECK_SECONDS = 1.0
ADVICE = "start it or correct CLIPBELL_BROKER_URL; until then jobs are taken, and wait"


def is_redis(settings: Settings) -> bool:
    """Whether the broker is Redis; else it is RabbitMQ."""
    return settings.broker_url.get_secret_value().startswith("redis")


def broker_trouble(settings: Settings) -> str:
    """Connect to the broker; returns the reason of a failure, with the fix, or blank."""
    # From the extra `celery`, which need not be installed; this file is imported without it.
    from kombu import Connection

    options = {"socket_timeout": CHECK_SECONDS} if is_redis(settings) else {}
    connection = Connection(
        settings.broker_url.get_secret_value(),
        connect_timeout=CHECK_SECONDS,
        transport_options=options | {"socket_connect_timeout": CHECK_SECONDS},
    )
    try:
        connection.ensure_connection(
            max_retries=1, interval_start=0, reraise_as_library_errors=False
        )
    except Exception as error:
        # Of the driver's own kinds, and of the system's.
        return f"{connection.as_uri()} does not answer ({error}): {ADVICE}"
    finally:
        # Without a closing handshake, which a frozen broker would never answer.
        connection.collect(socket_timeout=0.1)
    return ""
