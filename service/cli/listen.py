"""`listen`: a local endpoint that verifies what it gets and prints it."""

from __future__ import annotations

import http.server
import json
import signal
import socket
from contextlib import suppress

import typer

from service import store
from service.cli.here import Here, acting_account, open_here
from service.cli.output import JsonOption, console, print_json
from service.deliveries.secrets import secrets_of
from service.errors import OutboundError
from service.formatting import format_address
from service.model import utc_now
from service.ops.processes import free_port
from service.outbound.client import Outbound
from service.settings import remote_service
from service.signing import webhook_fault

LARGEST = 1024 * 1024
FORWARD_SECONDS = 15.0
#: The headers that a receiver needs; the others belong to the connection.
_FORWARDED = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature")


def listen(
    port: int = typer.Option(8200, "--port", min=0, max=65535, help="Port; 0 takes a free one."),
    host: str = typer.Option("127.0.0.1", metavar="ADDRESS", help="Address to listen on."),
    secret: list[str] = typer.Option(
        [], "--secret", help="whsec_…; default: those of the service. Repeatable."
    ),
    forward_to: str = typer.Option(
        None, "--forward-to", metavar="URL", help="Pass valid ones on to your own endpoint."
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Receive webhooks here, verify and print them.

    A valid signature is answered with 200, or with the answer of --forward-to;
    a wrong one with 401.

    Examples:
      clipbell listen
      clipbell listen --forward-to http://localhost:3000/hook
      clipbell listen --secret whsec_… --port 0
    """
    if remote_service() is not None and not secret:
        message = "is needed with CLIPBELL_URL: a service shows no secret that it has stored"
        raise typer.BadParameter(message, param_hint="--secret")
    here = None if secret else open_here()
    if port:
        free_port(port, host)
    server = Sink((host, port), here, list(secret), json_, forward_to)
    # SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    url = f"http://{format_address(host, server.server_port)}/"
    if json_:
        print_json({"url": url})
    else:
        console().print(f"listening at {url}; stop it with Ctrl-C", soft_wrap=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()


class Sink(http.server.ThreadingHTTPServer):
    """The endpoint; without secrets of its own it reads those of the database."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        here: Here | None,
        secrets: list[str],
        json_: bool,
        forward_to: str | None = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self._here, self._secrets, self._json = here, secrets, json_
        self._forward_to = forward_to
        # The developer's own machine is where this leads.
        self._outbound = Outbound(("0.0.0.0/0", "::/0"))

    def forward(self, headers: dict[str, str], body: bytes) -> int | None:
        """Pass a POST on; its answer's status, 502 for none, None where nobody is to get it."""
        if self._forward_to is None:
            return None
        kept = {name: value for name, value in headers.items() if name in _FORWARDED}
        try:
            answer = self._outbound.call(
                "POST", self._forward_to, headers=kept, body=body, seconds=FORWARD_SECONDS
            )
            status, said = answer.status, f"answered {answer.status}"
        except (OutboundError, ValueError) as error:
            status, said = 502, str(error)
        if self._json:
            print_json({"forwarded": self._forward_to, "status": status})
        else:
            console().print(f"-> {self._forward_to} {said}", soft_wrap=True)
        return status

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """Verify one POST and print it; returns whether its signature is valid."""
        fault = webhook_fault(self._known(), headers, body, utc_now())
        try:
            content = json.loads(body)
        except ValueError:
            content = body.decode("utf-8", "replace")
        id_ = headers.get("webhook-id")
        if self._json:
            verdict = {"id": id_, "verified": fault is None, "problem": fault}
            print_json({**verdict, "body": content})
        else:
            mark = "verified" if fault is None else f"NOT VERIFIED: {fault}"
            console().print(f"{id_ or 'no id'}  {mark}", soft_wrap=True)
            console().print(json.dumps(content, indent=2, ensure_ascii=False), soft_wrap=True)
        return fault is None

    def _known(self) -> list[str]:
        """The secrets, read for each POST: a subscription may be younger than this process."""
        if self._here is None:
            return self._secrets
        encryptor, now = self._here.encryptor, utc_now()
        with self._here.db.read() as tx:
            account = acting_account(tx)
            subscriptions = store.subscriptions.all_of(tx, account.id)
        own = [secret for s in subscriptions for secret in secrets_of(encryptor, s, now)]
        return [encryptor.decrypt(account.webhook_secret), *own]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        """One webhook."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        verified = self.server.take(headers, body)
        # What is not ours is not passed on.
        forwarded = self.server.forward(headers, body) if verified else None
        self._answer(forwarded or (200 if verified else 401))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print no access log: `take` prints what arrives."""
