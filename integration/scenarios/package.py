"""The Debian package on a machine of its own (a container that boots systemd): installed, configured as docs/operations.md
says, started, watched, a fault made, found on the status page and mended, reloaded, hung and restarted by the watchdog,
upgraded, removed, purged. Needs root, systemd-nspawn and debootstrap; MORAINE_DEB names the package (default: the newest of
build/)."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import hudi_timeline
import rig
from broker import Broker
from rig import CACHE, Failure, Scenario, expect, say

COLUMNS = "[{name: id, type: long, nullable: false}, {name: v, type: string}]"


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def find_package():
    packages = sorted((rig.HERE.parent / "build").glob("moraine_*.deb"), key=os.path.getmtime)
    return pathlib.Path(os.environ.get("MORAINE_DEB") or (packages[-1] if packages else "/nonexistent"))


class Machine:
    """A Debian with systemd as its first process, on this machine's network."""

    def __init__(self, scenario, package):
        base = CACHE / "bookworm-root"
        if not base.exists():
            say("  debootstrap")
            made = base.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            subprocess.run(["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,ca-certificates,procps,curl",
                            "bookworm", made], check=True, capture_output=True)
            made.rename(base)
        self.root = scenario.folder / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", base, self.root], check=True)
        shutil.copy(package, self.root / "moraine.deb")
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        self.nspawn = scenario.process("machine", ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--resolv-conf=off",
                                                   "-D", self.root, "--boot"])
        self.leader = rig.wait_until(self.find_leader, 30, "the container's first process")
        scenario.stack.callback(self.end)
        rig.wait_until(lambda: self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"), 60,
                       "systemd to be up")

    def find_leader(self):
        children = pathlib.Path(f"/proc/{self.nspawn.child.pid}/task/{self.nspawn.child.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def end(self):
        # the container's own way down: a signal to the outer process would leave systemd's children
        subprocess.run(["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "systemctl", "poweroff", "--force", "--force"],
                       capture_output=True)
        try:
            self.nspawn.child.wait(20)
        except subprocess.TimeoutExpired:
            pass

    def run(self, *args, check=True):
        done = subprocess.run(["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "--", *map(str, args)], capture_output=True,
                              text=True, timeout=300, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(map(str, args))}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout + done.stderr

    def write(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def unit(self, name):
        return self.run("systemctl", "show", "moraine", "-p", name, "--value").strip()


if os.geteuid() != 0 or not shutil.which("systemd-nspawn") or not shutil.which("debootstrap"):
    skip("this needs root, systemd-nspawn and debootstrap")
if not find_package().exists():
    skip("there is no package (make package)")

with Scenario("package") as scenario:
    broker = Broker(scenario)
    broker.create_topic("orders", 2)
    broker.create_topic("more", 1)
    lines = scenario.folder / "lines"
    lines.write_text("\n".join(json.dumps({"id": i, "v": "x"}) for i in range(2000)) + "\n")
    broker.produce_lines("orders", lines, 2)
    (port,) = rig.free_ports(1)
    url = f"http://127.0.0.1:{port}"
    machine = Machine(scenario, find_package())
    lake = machine.root / "var/lib/lake"

    def face(path):
        try:
            with urllib.request.urlopen(url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def landed(topic, count):
        return lambda: (lake / topic / ".hoodie").exists() and sum(hudi_timeline.offsets(lake / topic).values()) == count

    def topic_file(name):
        return (f"topic: {name}\nvalue: {{format: json}}\nschema: {{fields: {COLUMNS}}}\n"
                f"table: {{location: \"file:///var/lib/lake/{name}\"}}\ncommit: {{interval: 1s}}\n")

    say("installed")
    machine.run("apt-get", "update", "-q")
    machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "/moraine.deb")
    expect("moraine" in machine.run("id", "moraine"), "no account")
    expect(machine.run("systemctl", "is-enabled", "moraine", check=False).strip() == "disabled", "enabled before it is configured")
    owner = machine.run("stat", "-c", "%a %U", "/etc/moraine/secrets").strip()
    expect(owner == "700 root", f"/etc/moraine/secrets is {owner}")
    for name in ("copyright", "changelog.Debian.gz", "operations.md", "alerts.yaml", "grafana-dashboard.json"):
        expect((machine.root / "usr/share/doc/moraine" / name).exists(), f"no {name}")
    expect("Maintainer: moraine <root@localhost>" not in machine.run("dpkg", "-s", "moraine"), "nobody answers for the package")

    say("a configuration that is not complete: refused with its place, and not tried again")
    machine.run("systemctl", "start", "moraine", check=False)
    rig.wait_until(lambda: machine.unit("ActiveState") == "failed", 20, "the service to be refused")
    expect("no file matches" in machine.run("journalctl", "-u", "moraine", "--no-pager"), "the journal does not say why")
    time.sleep(3)
    expect(machine.unit("NRestarts") == "0", "started again and again with a broken configuration")

    say("configured as the manual says")
    machine.write("/etc/moraine/moraine.yaml", f"""state_dir: /var/lib/moraine
memory: 128MiB
http: {{listen: "127.0.0.1:{port}", token: "${{file:/run/credentials/moraine.service/secret_token}}"}}
kafka: {{bootstrap.servers: "{broker.address}"}}
topics: topics/*.yaml
""")
    machine.write("/etc/moraine/topics/orders.yaml", topic_file("orders"))
    machine.write("/etc/moraine/secrets/token", "walk-through\n")
    machine.write("/etc/systemd/system/moraine.service.d/local.conf", "[Service]\nReadWritePaths=/var/lib/lake\nWatchdogSec=8s\n")
    machine.run("install", "-d", "-o", "moraine", "-g", "moraine", "/var/lib/lake")
    machine.run("chmod", "600", "/etc/moraine/secrets/token")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", "moraine")
    expect(machine.unit("ActiveState") == "active", machine.run("journalctl", "-u", "moraine", "--no-pager"))
    rig.wait_until(landed("orders", 2000), 40, "the first rows")
    rig.wait_until(lambda: face("/readyz")[0] == 200, 20, "the service to be ready")
    expect(machine.unit("StatusText") != "", "systemctl status has nothing to say")
    expect("READY" not in machine.run("moraine", "status", "--url", url).splitlines()[0].replace("ready", ""), "not ready")

    say("a fault: the lake belongs to somebody else; found on the page, mended")
    machine.run("chown", "-R", "root:root", "/var/lib/lake")
    broker.produce_lines("orders", lines, 2)
    found = rig.wait_until(lambda: next((row for row in json.loads(face("/readyz")[1] or "{}").get("not_ready", [])), None), 20, "the fault")
    say(f"  {found['words'][:200]}")
    expect("Permission denied" in found["last_error"], found)
    expect(found["step"] in ("upload", "commit"), found)
    machine.run("chown", "-R", "moraine:moraine", "/var/lib/lake")
    reloads = []

    def goes_on():
        rows = json.loads(face("/readyz")[1] or "{}").get("not_ready", [])
        if not reloads and any(row["state"] == "failed" for row in rows):
            reloads.append(machine.run("systemctl", "reload", "moraine"))
        return landed("orders", 4000)()

    rig.wait_until(goes_on, 40, "the rows after the fault")

    say("a topic more, by reload")
    broker.produce_lines("more", lines, 1)
    machine.write("/etc/moraine/topics/more.yaml", topic_file("more"))
    machine.run("systemctl", "reload", "moraine")
    rig.wait_until(landed("more", 2000), 40, "the rows of the new topic")

    say("a process that hangs is ended by the watchdog and started again")
    machine.run("systemctl", "kill", "--kill-whom=main", "-s", "STOP", "moraine")
    rig.wait_until(lambda: machine.unit("NRestarts") != "0" and machine.unit("ActiveState") == "active", 60, "the restart")
    broker.produce_lines("orders", lines, 2)
    rig.wait_until(landed("orders", 6000), 60, "the rows after the restart")

    say("upgraded")
    machine.run("dpkg-deb", "-R", "/moraine.deb", "/newer")
    control = machine.root / "newer/DEBIAN/control"
    control.write_text(control.read_text().replace("Version: 0.", "Version: 9."))
    sample = machine.root / "newer/etc/moraine/moraine.yaml"
    sample.write_text(sample.read_text() + "# a newer sample\n")
    machine.run("sh", "-c", "cd /newer && find . -type f ! -path './DEBIAN/*' -printf '%P\\n' | xargs md5sum > DEBIAN/md5sums")
    machine.run("dpkg-deb", "-b", "/newer", "/newer.deb")
    before = machine.unit("MainPID")
    machine.run("dpkg", "--force-confold", "-i", "/newer.deb")
    expect(broker.address in (machine.root / "etc/moraine/moraine.yaml").read_text(), "the operator's configuration was replaced")
    rig.wait_until(lambda: machine.unit("ActiveState") == "active" and machine.unit("MainPID") != before, 40, "the newer service")
    broker.produce_lines("orders", lines, 2)
    rig.wait_until(landed("orders", 8000), 40, "the rows after the upgrade")

    say("removed, purged")
    machine.run("dpkg", "-r", "moraine")
    expect(machine.run("systemctl", "is-active", "moraine", check=False).strip() != "active", "runs although it was removed")
    expect((machine.root / "etc/moraine/moraine.yaml").exists(), "the configuration went with a mere removal")
    machine.run("dpkg", "-P", "moraine")
    left = sorted(str(p.relative_to(machine.root)) for p in machine.root.rglob("*moraine*")
                  if not str(p.relative_to(machine.root)).startswith(("var/lib/", "newer", "moraine.deb", "run", "proc", "sys", "var/log", "etc/systemd")))
    operators = {"etc/moraine"}  # topic files and secrets are the operator's
    expect(set(left) <= operators, f"left behind: {left}")
    expect((lake / "orders").exists() and (machine.root / "var/lib/moraine").exists(), "tables and state must stay")
