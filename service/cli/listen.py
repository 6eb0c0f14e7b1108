"""`listen`: a local endpoint that verifies what it gets and prints it."""

from __future__ import annotations

import http.server
import json
import signal
from contextlib import suppress
from typing import Any

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import acting_account
from service.cli.output import JsonOption, console, open_wiring, print_json
from service.deliveries.subscriptions import secrets_of
from service.model import utc_now
from service.ops.processes import free_port
from service.signing import webhook_fault

LARGEST = 1024 * 1024


def listen(
    port: int = typer.Option(8200, "--port", min=0, max=65535, help="Port; 0 takes a free one."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    secret: list[str] = typer.Option([], "--secret", help="whsec_…; else those stored here."),
    json_: bool = JsonOption,
) -> None:
    """Take webhooks, check each signature, print them. 200 for a true one, 401 otherwise."""
    wiring = None if secret else open_wiring()
    if port:
        free_port(port, host)
    server = Sink((host, port), wiring, list(secret), json_)
    # SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    url = f"http://{host}:{server.server_port}/"
    if json_:
        print_json({"url": url})
    else:
        console().print(f"listening at {url}; stop it with Ctrl-C", soft_wrap=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()


class Sink(http.server.ThreadingHTTPServer):
    """The endpoint; without secrets of its own it believes those of the database."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], wiring: Wiring | None, secrets: list[str], json_: bool
    ) -> None:
        super().__init__(address, _Handler)
        self._wiring, self._secrets, self._json = wiring, secrets, json_

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """Look at one POST and print it; whether its signature is true."""
        fault = webhook_fault(self._known(), headers, body, utc_now())
        try:
            content = json.loads(body)
        except ValueError:
            content = body.decode("utf-8", "replace")
        told = {"id": headers.get("webhook-id"), "verified": fault is None, "problem": fault}
        if self._json:
            print_json({**told, "body": content})
        else:
            _print(told, content)
        return fault is None

    def _known(self) -> list[str]:
        """Asked anew each time: a subscription may be younger than this process."""
        if self._wiring is None:
            return self._secrets
        account, encryptor = acting_account(self._wiring), self._wiring.encryptor
        with self._wiring.db.read() as tx:
            found = store.subscriptions.all_of(tx, account.id)
        own = [secret for s in found for secret in secrets_of(encryptor, s, self._wiring.clock())]
        return [encryptor.decrypt(account.webhook_secret), *own]


def _print(told: dict[str, Any], content: Any) -> None:
    out = console()
    mark = "verified" if told["verified"] else f"NOT VERIFIED: {told['problem']}"
    out.print(f"{told['id'] or 'no id'}  {mark}", soft_wrap=True)
    out.print(json.dumps(content, indent=2, ensure_ascii=False), soft_wrap=True)


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
        self._answer(200 if self.server.take(headers, body) else 401)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """What arrived is printed already."""
