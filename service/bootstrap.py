"""The composition root: it builds all collaborators from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from urllib.parse import urlsplit

from service import store
from service.callbacks.ingest import Ingest
from service.callbacks.process import process_callback
from service.channels.base import Channel
from service.channels.registry import open_channels
from service.deliveries.attempts import attempt_delivery
from service.deliveries.notification import NotificationContext
from service.errors import SettingsError
from service.events.record import number_events
from service.jobs.choice import Market
from service.jobs.high_water import HighWater
from service.jobs.journal import Journal
from service.jobs.polling import handle_expired, poll_jobs
from service.jobs.submission import SubmissionContext, submit_job
from service.model import Clock, utc_now
from service.outbound.client import Outbound
from service.providers import Provider, open_providers
from service.settings import Settings
from service.signing import Encryptor, KeyRing, UrlSigner
from service.slots import Slots
from service.storage import Storage, open_storage
from service.storage.disk import disks_of
from service.storage.uploads import UploadStore
from service.store.clock import SharedClock
from service.store.database import PATIENCE_SECONDS, Database
from service.videos.archive import archive_video
from service.videos.retention import remove_video

#: The kinds of work that an account can slow down: by its images, its vendor, its endpoints.
SHARED_KINDS = ("submit", "generate", "deliver", "deliver_slow")
UNBOUNDED = dict.fromkeys(SHARED_KINDS, Slots())


@dataclass(frozen=True)
class Wiring:
    """Everything that web, worker and command line need; built once per process, after any fork."""

    settings: Settings
    keys: KeyRing
    clock: SharedClock
    db: Database
    encryptor: Encryptor
    signer: UrlSigner
    links: UrlSigner
    ingest: Ingest
    outbound: Outbound
    storage: Storage
    uploads: UploadStore
    unsubscribe: UrlSigner
    providers: Mapping[str, Provider]
    channels: Mapping[str, Channel]
    notifications: NotificationContext
    journal: Journal
    high_water: HighWater

    def market(self) -> Market:
        """The current facts for the choice of a vendor."""
        held: frozenset[str] = frozenset()
        if len(self.providers) > 1:
            with self.db.read() as tx:
                held = store.providers.all_held(tx)
        today, has_budget = self.clock().date(), self.settings.has_budget
        return Market(self.providers, self.settings.prices, today, held, has_budget)

    def units(self, slots: Mapping[str, Slots] = UNBOUNDED) -> dict[str, Callable[[], bool]]:
        """
        One function per kind of work (see `store.work.WORK`); it returns False if nothing is due.

        Args:
            slots: the slots of the `SHARED_KINDS`, by kind, if accounts are limited.
        """
        db, settings, clock, providers = self.db, self.settings, self.clock, self.providers
        shared = {
            "submit": partial(submit_job, db, self.submission_context(holding=False), clock),
            "generate": partial(submit_job, db, self.submission_context(holding=True), clock),
            "deliver": partial(attempt_delivery, db, self.notifications, clock),
            "deliver_slow": partial(attempt_delivery, db, self.notifications, clock, slow=True),
        }
        return {
            **{kind: partial(slots[kind].run, unit) for kind, unit in shared.items()},
            "process": partial(process_callback, db, providers, settings, clock),
            "poll": partial(poll_jobs, db, providers, settings, clock),
            "reconcile": partial(handle_expired, db, providers, settings, self.signer, clock),
            "archive": partial(
                archive_video, db, providers, self.outbound, self.storage, settings, clock
            ),
            "remove": partial(remove_video, db, self.storage, settings, clock),
            "number": partial(number_events, db),
        }

    def submission_context(self, *, holding: bool) -> SubmissionContext:
        """The context of providers whose calls last as long as the generation, or of the others."""
        disks = disks_of(self.db, self.storage)
        chosen = {n: p for n, p in self.providers.items() if p.holds_connection is holding}
        return SubmissionContext(
            providers=chosen,
            signer=self.signer,
            outbound=self.outbound,
            uploads=self.uploads,
            disks=disks,
            settings=self.settings,
            journal=self.journal,
            high_water=self.high_water,
        )

    def due(self) -> set[str]:
        """The kinds of work with a due row."""
        with self.db.read() as tx:
            return store.work.kinds_due(tx, self.clock())

    def close(self) -> None:
        """Write queued rows, and close connections and sockets."""
        self.ingest.close()
        for channel in self.channels.values():
            channel.close()
        self.outbound.close()
        self.db.close()


def build(
    settings: Settings,
    clock: Clock = utc_now,
    patience: float = PATIENCE_SECONDS,
    *,
    follow_database: bool = True,
) -> Wiring:
    """
    Build all collaborators of a process.

    Args:
        patience: the seconds that the database may take for one statement.
        follow_database: whether a worker's clock follows PostgreSQL's.

    Raises:
        SettingsError: a setting is not valid; the message has the fix.
    """
    _refuse_useless(settings)
    keys, base = KeyRing(settings.keys), settings.public_url
    db, shared = Database(settings.database_url, patience), SharedClock(clock, follow_database)
    outbound = Outbound(settings.allowed_networks)
    storage = open_storage(settings.storage_url, settings.data_dir / "uploads")
    uploads = UploadStore(storage, UrlSigner(keys, "image", f"{base}/i"))
    links = UrlSigner(keys, "video", f"{base}/v")
    unsubscribe = UrlSigner(keys, "unsubscribe", f"{base}/u")
    channels, encryptor = open_channels(settings, outbound), Encryptor(keys)
    notifications = NotificationContext(channels, encryptor, links, unsubscribe, storage, settings)
    return Wiring(
        settings=settings,
        keys=keys,
        clock=shared,
        db=db,
        ingest=Ingest(db),
        outbound=outbound,
        encryptor=encryptor,
        signer=UrlSigner(keys, "callback", f"{base}/callbacks"),
        links=links,
        unsubscribe=unsubscribe,
        storage=storage,
        uploads=uploads,
        providers=open_providers(settings, outbound, uploads, shared),
        channels=channels,
        notifications=notifications,
        journal=Journal(settings.submissions),
        high_water=HighWater(settings.high_water),
    )


def _refuse_useless(settings: Settings) -> None:
    """Raise SettingsError for a setting that would have no effect."""
    broker = bool(settings.broker_url.get_secret_value())
    if settings.engine == "celery" and not broker:
        raise SettingsError(
            "CLIPBELL_ENGINE=celery needs CLIPBELL_BROKER_URL=amqp://… or redis://…"
        )
    if settings.engine == "celery" and not (find_spec("celery") and find_spec("redis")):
        raise SettingsError("CLIPBELL_ENGINE=celery needs: pip install 'clipbell[celery]'")
    if broker and settings.engine != "celery":
        raise SettingsError("CLIPBELL_BROKER_URL does nothing without CLIPBELL_ENGINE=celery")
    if not settings.confirm_callbacks and not settings.result_hosts:
        needed = "needs CLIPBELL_RESULT_HOSTS, or no result would be accepted"
        raise SettingsError(f"CLIPBELL_CONFIRM_CALLBACKS=false {needed}")
    scheme = {"x-accel": "file", "presigned": "s3"}.get(settings.accel)
    if scheme and urlsplit(settings.storage_url).scheme != scheme:
        wrong = f"CLIPBELL_STORAGE_URL={scheme}://…"
        raise SettingsError(f"CLIPBELL_ACCEL={settings.accel} needs {wrong}")
    if settings.mail_from and not settings.smtp_url.get_secret_value():
        raise SettingsError("CLIPBELL_MAIL_FROM does nothing without CLIPBELL_SMTP_URL")
