"""
A Django project in one file, whose events django-outbound-webhooks sends.

``python -m bench.peers.django_outbound DATABASE_URL`` with ``setup HOOK``, ``produce RATE
FIRST COUNT`` or ``send``, in the peers' environment. Its relay needs PostgreSQL.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django_domain_events import event, fire
from django_outbound_webhooks import register_endpoint

from bench.peers.pacing import produce

NAME = "bench.Finished"
SECRET = "whsec_c2VjcmV0IG9mIHRoZSBiZW5jaCBvZiBvdXJz"


@event(name=NAME)
@dataclass(frozen=True)
class Finished:
    """The news that the hook hears."""

    number: int


def configure(url: str) -> None:
    """Django's defaults over that database; the hook is on this machine."""
    place = urlsplit(url)
    server = {"HOST": place.hostname, "PORT": place.port or 5432, "NAME": place.path[1:]}
    account = {"USER": place.username, "PASSWORD": place.password or ""}
    settings.configure(
        SECRET_KEY="x",
        USE_TZ=True,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.postgresql", **server, **account},
        },
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django_domain_events",
            "django_outbound_webhooks",
        ],
        DJANGO_OUTBOUND_WEBHOOKS={"ALLOW_PRIVATE_ADDRESSES": True},
    )
    django.setup()


def commit(number: int) -> None:
    """One event, with the delivery that it owes."""
    with transaction.atomic():
        fire(Finished(number))


def main(url: str, verb: str, *given: str) -> None:
    """One of the three."""
    configure(url)
    if verb == "setup":
        call_command("migrate", verbosity=0)
        register_endpoint(name="sink", url=given[0], secret=SECRET, event_names=[NAME])
    elif verb == "produce":
        produce(commit, float(given[0]), int(given[1]), int(given[2]))
    else:
        call_command("deliver_events")


if __name__ == "__main__":
    main(*sys.argv[1:])
