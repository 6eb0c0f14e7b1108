"""Several hosts on one machine: network namespaces with addresses of their own, on one bridge."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType


def missing() -> str:
    """Why there can be none here, in one line; blank where there can."""
    if not shutil.which("ip"):
        return "no ip for network namespaces (apt-get install iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    trial = f"clbtry{os.getpid()}"
    try:
        _ip("netns", "add", trial)
        _ip("netns", "delete", trial)
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"
    return ""


def _ip(*arguments: str) -> None:
    command = [shutil.which("ip") or "", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)


class Hosts:
    """
    A network of hosts by their names; this process is on it, too, at `own`.

    Each gets the next address; `cut` unplugs its cable.
    """

    def __init__(self) -> None:
        number = os.getpid() % 250
        self._name, self._net = f"clb{number}", f"10.77.{number}"
        self.own = f"{self._net}.1"
        self._numbers: dict[str, int] = {}

    def __enter__(self) -> Hosts:
        _ip("link", "add", self._name, "type", "bridge")
        _ip("address", "add", f"{self.own}/24", "dev", self._name)
        _ip("link", "set", self._name, "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self._numbers:
            # With it goes its cable.
            _ip("netns", "delete", self._space(name))
        _ip("link", "delete", self._name)

    @property
    def network(self) -> str:
        """All addresses, as CIDR."""
        return f"{self._net}.0/24"

    def add(self, name: str) -> str:
        """A host; its address."""
        self._numbers[name] = len(self._numbers) + 2
        space, cable = self._space(name), self._cable(name)
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._name, "up")
        _ip("-n", space, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")
        return self.address(name)

    def address(self, name: str) -> str:
        """The address of a host."""
        return f"{self._net}.{self._numbers[name]}"

    def on(self, name: str) -> list[str]:
        """What a command begins with that is to run on that host."""
        return [shutil.which("ip") or "", "netns", "exec", self._space(name)]

    def cut(self, name: str) -> None:
        """Nobody reaches that host, nor it anybody."""
        _ip("link", "set", self._cable(name), "down")

    def join(self, name: str) -> None:
        """It is reached again."""
        _ip("link", "set", self._cable(name), "up")

    def _space(self, name: str) -> str:
        return f"{self._name}-{name}"

    def _cable(self, name: str) -> str:
        # A device has fifteen letters at most.
        return f"{self._name}-{self._numbers[name]}"
