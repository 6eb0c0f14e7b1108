"""nginx and Caddy with the files in deploy/, before a service, with a certificate of the test's."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from support.servers import Reply, eventually, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
#: Where callers come from; the proxy itself comes from 127.0.0.1.
CALLER = "127.0.0.2"
NGINX_MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/clipbell.conf;
}}
"""


def program(name: str) -> str:
    """Where a program of that kind is: `caddy`, `caddy 2.6` (Debian's) or `nginx`; blank: none."""
    path = os.environ["PATH"] + ":/usr/sbin"
    if name == "caddy":
        return shutil.which(name, path=f"{Path(sys.executable).parent}:{path}") or ""
    if name == "caddy 2.6":
        return shutil.which("/usr/bin/caddy") or ""
    return shutil.which(name, path=path) or ""


class Proxy:
    """
    One of them, at `https://127.0.0.1:PORT` from `with` to its end.

    Args:
        name: as in `program`.
        folder: for its files, logs among them.
        upstream: the port of the service.
        port: its own.
    """

    def __init__(self, name: str, folder: Path, upstream: int, port: int) -> None:
        self.name = name
        self.port = port
        self.plain_port = free_port()
        self._program = program(name)
        self._folder = folder
        folder.mkdir(parents=True)
        authority = trustme.CA()
        self._tls = ssl.create_default_context()
        authority.configure_trust(self._tls)
        certificate = authority.issue_cert("127.0.0.1", "clips.example.com")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(folder / "chain.pem", append=True)
        self._upstream = f"127.0.0.1:{upstream}"
        self.config = folder / ("clipbell.conf" if name == "nginx" else "Caddyfile")
        self.config.write_text(self._nginx() if name == "nginx" else self._caddy())

    def _nginx(self) -> str:
        """The file as it stands, with this test's ports and places."""
        user = "user root;" if os.getuid() == 0 else ""
        main = NGINX_MAIN.format(user=user, folder=self._folder)
        (self._folder / "nginx.conf").write_text(main)
        text = (DEPLOY / "nginx.conf").read_text()
        text = re.sub(r"    listen \[::\].*\n", "", text)
        text = text.replace("listen 443", f"listen 127.0.0.1:{self.port}")
        text = text.replace("listen 80", f"listen 127.0.0.1:{self.plain_port}")
        lineage = "/etc/letsencrypt/live/clips.example.com"
        text = text.replace(f"{lineage}/fullchain.pem", f"{self._folder}/chain.pem")
        text = text.replace(f"{lineage}/privkey.pem", f"{self._folder}/key.pem")
        text = text.replace("127.0.0.1:8000", self._upstream)
        return text.replace("/var/log/nginx", str(self._folder))

    def _caddy(self) -> str:
        text = (DEPLOY / "Caddyfile").read_text()
        ports = f"\thttp_port {self.plain_port}\n\thttps_port {self.port}\n\tadmin off\n"
        text = text.replace("\n{\n", "\n{\n" + ports, 1)
        text = re.sub(r"# tls .*", f"tls {self._folder}/chain.pem {self._folder}/key.pem", text)
        text = text.replace("/var/log/caddy", str(self._folder))
        if self.name == "caddy 2.6":
            text = re.sub(r"\t\trequest_buffers .*\n", "", text)
        return text

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Its program, to its end."""
        return subprocess.run(
            [self._program, *arguments],
            capture_output=True,
            text=True,
            env=self._environ,
            check=False,
        )

    def validate(self) -> subprocess.CompletedProcess[str]:
        """What the program itself says of the file."""
        if self.name == "nginx":
            return self.run(*self._nginx_arguments, "-t")
        return self.run("validate", "--adapter", "caddyfile", "--config", str(self.config))

    @property
    def _nginx_arguments(self) -> list[str]:
        log = str(self._folder / "error.log")
        return ["-e", log, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]

    @property
    def _environ(self) -> dict[str, str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
        site = f"https://127.0.0.1:{self.port}"
        return own | {"CLIPBELL_HOST": site, "CLIPBELL_UPSTREAM": self._upstream}

    def __enter__(self) -> Self:
        run = ["run", "--adapter", "caddyfile", "--config", str(self.config)]
        arguments = self._nginx_arguments if self.name == "nginx" else run
        with (self._folder / "stderr.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, *arguments], env=self._environ, stdout=log, stderr=log
            )
        try:
            eventually(self._listens, seconds=10)
        except AssertionError as error:
            self._process.kill()
            self._process.wait()
            error.add_note(self.logs())
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _listens(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def connection(self, source: str = CALLER, seconds: float = 30) -> http.client.HTTPSConnection:
        """A connection of a caller at that address, to be closed by the test."""
        return http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=seconds,
            context=self._tls,
            source_address=(source, 0),
        )

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        source: str = CALLER,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self.connection(source)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        reply = Reply(answer.status, dict(answer.headers), answer.read())
        connection.close()
        return reply

    def logs(self) -> str:
        """All that it has written down anywhere, stderr included."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))
