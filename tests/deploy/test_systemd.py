"""The units of deploy/systemd: without a fault, hardened, and run by a real systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.booted import missing, run_under_systemd
from support.requirements import need

REPOSITORY = Path(__file__).parents[2]
UNITS = REPOSITORY / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
#: systemd's own scale ends at 10; below this it speaks of "OK".
EXPOSURE = 3.0
COMMAND = "/srv/clipbell/.venv/bin/clipbell"


def analyze(*arguments: str) -> str:
    """All that `systemd-analyze` prints."""
    program = shutil.which("systemd-analyze")
    need("" if program else "no systemd-analyze (apt-get install systemd)")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def copied_to(folder: Path) -> list[str]:
    """The units with a program that every machine has in the place of ours."""
    copies = [folder / path.name for path in UNITS.iterdir()]
    for copy in copies:
        copy.write_text((UNITS / copy.name).read_text().replace(COMMAND, "/bin/true"))
    return [str(copy) for copy in copies]


def test_units_have_no_fault(tmp_path: Path) -> None:
    """systemd knows every word in them."""
    assert "" == analyze("verify", *copied_to(tmp_path))


def test_a_fault_is_found(tmp_path: Path) -> None:
    """A misspelt word would be seen: systemd prints it and ends with 0 all the same."""
    paths = copied_to(tmp_path)
    web = next(Path(path) for path in paths if path.endswith("web.service"))
    web.write_text(web.read_text().replace("ProtectSystem", "ProtectSystm"))

    assert "ProtectSystm" in analyze("verify", *paths)


@pytest.mark.parametrize("name", SERVICES)
def test_hardened(name: str, tmp_path: Path) -> None:
    """What a process could do that was taken over is little, by systemd's own measure."""
    copied_to(tmp_path)
    said = analyze("security", "--offline=true", str(tmp_path / name))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)

    assert found, said
    assert float(found[1]) < EXPOSURE


#: As deploy/README.md has it, with the sandbox in the vendors' place.
SCRIPT = """
useradd --system --user-group --home-dir /srv/clipbell clipbell
install -d -o clipbell -g clipbell -m 750 /var/lib/clipbell
cat >/etc/clipbell.env <<END
CLIPBELL_DATA_DIR=/var/lib/clipbell
CLIPBELL_APIXO_BASE_URL=http://127.0.0.1:8100
CLIPBELL_APIXO_API_KEY=any
CLIPBELL_ALLOWED_NETWORKS=127.0.0.0/8
END
clipbell() {
    runuser -u clipbell -- sh -c 'set -a; . /etc/clipbell.env; exec "$0" "$@"' \
        /srv/clipbell/.venv/bin/clipbell "$@"
}
clipbell init >&2
systemctl enable --now clipbell-web.socket clipbell-web clipbell-worker clipbell-backup.timer
/srv/clipbell/.venv/bin/clipbell sandbox >&2 &
for n in $(seq 60); do
    curl -sf -o /dev/null -m 5 http://127.0.0.1:8000/readyz && break
    sleep 0.5
done
echo ready $(curl -s -m 9 -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/readyz)
systemctl start clipbell-backup.service
echo backups $(ls /var/lib/clipbell-backups | wc -l)
clipbell submit kling-2-5-turbo-pro --prompt "A fox" --wait --json >/job.json
echo job $(clipbell jobs --json | grep -c '"state": "succeeded"')
clipbell jobs --json >&2
systemctl restart clipbell-web & restarting=$!
for n in $(seq 10); do
    echo answer $(curl -s -m 60 -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/healthz)
    sleep 0.2
done
wait $restarting
systemctl stop clipbell-web.socket clipbell-web clipbell-worker
systemctl show -p Result clipbell-web clipbell-worker clipbell-backup
journalctl --no-pager >&2
"""


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_under_systemd(tmp_path: Path) -> None:
    """The hardened units start, make a video, take a backup, and restart without a refusal."""
    need(missing())
    said, log = run_under_systemd(SCRIPT, tmp_path)
    lines = [line for line in said.splitlines() if line]

    assert ["ready 200", "backups 1", "job 1"] == lines[:3], log
    assert {"answer 200"} == set(lines[3:13]), log
    assert ["Result=success"] * 3 == lines[13:], log
