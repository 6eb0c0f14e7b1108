"""All verbs by subject. A verb's module is imported when it runs, so that help comes at once."""

from __future__ import annotations

from typing import Any

from typer._click.shell_completion import CompletionItem
from typer.core import TyperGroup

from service.cli.lazy import Section, load, starting
from service.errors import SettingsError

JOBS: Section = {
    "submit": ("submit:submit", "Submit one job, or a file of jobs."),
    "jobs": ("jobs:list_jobs", "List the newest jobs."),
    "show": ("jobs:show", "Show one job with its timeline."),
    "watch": ("watch:watch", "Show jobs live, until Ctrl-C."),
    "cancel": ("changes:cancel", "Cancel a job before it is sent."),
    "mute": ("changes:mute", "Stop all messages about a job."),
    "resolve": ("changes:resolve", "Resolve an unknown job by hand."),
    "export": ("export:export", "Print everything about one job as JSON."),
    "delete": ("delete:delete", "Delete a job's prompt, input, messages and video."),
}
MESSAGES: Section = {
    "subscriptions": ("subscriptions:group", "Manage who gets which messages, and where."),
    "deliveries": ("deliveries:app", "List the newest deliveries, or show one."),
    "resend": ("deliveries:resend", "Send one delivery again."),
    "recover": ("recover:recover", "Send the failed deliveries to one subscription again."),
    "trigger": ("trigger:trigger", "Send a sample event to the subscriptions."),
    "listen": ("listen:listen", "Receive webhooks here, verify and print them."),
    "callbacks": ("callbacks:list_callbacks", "List the newest callbacks from vendors."),
    "replay": ("replay:replay", "Process a stored callback again."),
}
VENDORS: Section = {
    "models": ("models:list_models", "List the models, with price and time."),
    "providers": ("providers:list_providers", "List the vendors that have a key."),
    "ledger": ("ledger:ledger", "Compare estimates with what vendors charged."),
    "hold": ("providers:hold", "Stop sending jobs to a vendor."),
    "resume": ("providers:resume", "Send jobs to a vendor again."),
}
SERVICE: Section = {
    "demo": ("demo:demo", "Try everything offline: no key, no costs."),
    "init": ("setup:init", "Create the data folder, database and first key."),
    "up": ("up:up", "Run web and worker together."),
    "serve": ("serve:serve", "Run the web process."),
    "worker": ("worker:worker", "Run the worker process."),
    "sandbox": ("sandbox:sandbox", "Run a vendor for tests, with rendered videos."),
    "doctor": ("setup:doctor", "Check the installation and suggest fixes."),
}
ADMINISTRATION: Section = {
    "accounts": ("accounts:app", "Accounts, which own jobs, keys and subscriptions."),
    "keys": ("keys:app", "The API keys of an account."),
    "secrets": ("secrets:app", "The keys that sign URLs and encrypt secrets."),
    "videos": ("videos:group", "Stored videos: list and prune."),
    "migrate": ("setup:migrate", "Run database migrations."),
    "backup": ("setup:backup", "Copy database and secret keys into one file."),
    "recover-from-backup": ("setup:recover_from_backup", "Run once after a restore."),
}
SECTIONS = {
    "Jobs": JOBS,
    "Messages": MESSAGES,
    "Vendors": VENDORS,
    "Service": SERVICE,
    "Administration": ADMINISTRATION,
}
VERBS = {name: target for section in SECTIONS.values() for name, (target, _) in section.items()}
HELP = {name: text for section in SECTIONS.values() for name, (_, text) in section.items()}
#: Verbs that act for one account; a group says so itself.
ACTING = {*JOBS, *MESSAGES, "ledger"}
#: Those whose libraries are an extra of the package.
EXTRAS = {"demo": "demo", "sandbox": "demo"}


class Root(TyperGroup):
    """All verbs; each is imported when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Their names: the framework suggests one for a misspelt verb.
        self.commands = dict.fromkeys(VERBS)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help page."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb, from its module. Raises SettingsError if its libraries are not installed."""
        if cmd_name not in VERBS:
            return None
        try:
            return load(cmd_name, VERBS[cmd_name], acting=cmd_name in ACTING)
        except ModuleNotFoundError as error:
            if cmd_name not in EXTRAS:
                raise
            fix = f"pip install 'clipbell[{EXTRAS[cmd_name]}]'"
            raise SettingsError(f"{error.name} is missing: {fix}") from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs by subject, without loading them."""
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in verbs.items()], 26)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without loading them."""
        return [item for section in SECTIONS.values() for item in starting(section, incomplete)]
