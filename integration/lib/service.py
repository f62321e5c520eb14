"""The program under test as a service: configuration files, start, stop, kill, and what it says."""

import json
import random
import signal
import time
import urllib.error
import urllib.request

import rig
import table_log
from rig import BINARY, Failure, expect, say


class Service:
    """One `moraine run`. Topics are added with topic(); the state folder survives restarts. `prefix` is what the command
    begins with (taskset, perf)."""

    def __init__(self, scenario, broker=None, registry=None, memory="256MiB", kafka=None, name="moraine", prefix=(), **extra):
        self.scenario, self.name, self.prefix = scenario, name, list(prefix)
        self.folder = scenario.folder / name
        (self.folder / "topics").mkdir(parents=True)
        (port,) = rig.free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.settings = {
            "instance": name, "state_dir": str(self.folder / "state"), "memory": memory, "shutdown_timeout": "60s",
            "log": {"level": "info", "format": "logfmt"}, "http": {"listen": f"127.0.0.1:{port}"},
            "kafka": kafka or {"bootstrap.servers": broker.address}, "topics": "topics/*.yaml", **extra}
        if registry:
            self.settings["schema_registry"] = {"url": registry.url}
        self.token = None  # of POST requests: see allow_posts
        self.config = self.folder / "moraine.yaml"
        self.process = None
        self.starts = 0

    def topic(self, name, schema, value, table_version=6, table=None, lake=None, **options):
        """Writes the topic's file (JSON is YAML) and returns the folder of its table. `lake`: the folder it lies in; of a
        table in a catalog, where the catalog will put it."""
        location = (lake or self.scenario.folder / "lake") / name
        table = {"format": "hudi", **(table or {})}
        if table["format"] == "hudi":
            table = {"hudi": {"table_version": table_version}, **table}
        place = {} if "catalog" in table else {"location": f"file://{location}"}
        settings = {"topic": name, "value": value, **({"schema": schema} if schema else {}), "commit": {"interval": "2s"},
                    "table": {**place, **table}, **options}
        rig.write_json(self.folder / "topics" / f"{name}.yaml", settings)
        return location

    def change(self, name, **options):
        """Other options in a topic's file, from the next start or reload on."""
        path = self.folder / "topics" / f"{name}.yaml"
        rig.write_json(path, {**json.loads(path.read_text()), **options})

    def start(self, env=None):
        rig.write_json(self.config, self.settings)
        self.starts += 1
        self.process = self.scenario.process(self.name, [*self.prefix, BINARY, "run", "--config", self.config], env=env)
        return self

    def stop(self, status=0):
        """SIGTERM; the exit status must be this one: 1 when a topic has failed."""
        started = time.monotonic()
        found = self.process.stop(seconds=90)
        expect(found == status, f"moraine ended with status {found}, not {status}, after SIGTERM:\n{rig.tail(self.process.log)}")
        say(f"  stopped in {time.monotonic() - started:.1f} s")

    def kill(self):
        self.process.child.kill()
        self.process.child.wait()

    def kill_at_random(self, shortest, longest, seed):
        """Lets the service run for a random time, then kills it without warning."""
        seconds = random.Random(seed).uniform(shortest, longest)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.process.expect_running()
            time.sleep(0.02)
        self.kill()
        return seconds

    def memory_high_bytes(self):
        """Most memory the process ever had resident (VmHWM)."""
        with open(f"/proc/{self.process.child.pid}/status", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise Failure("no VmHWM")

    def wait_for(self, table, offsets, seconds):
        """Until the table's newest commit states these next offsets."""
        started = time.monotonic()
        shown = started

        def reached():
            nonlocal shown
            self.process.expect_running()
            now = table_log.offsets(table)
            if time.monotonic() - shown > 15:
                shown = time.monotonic()
                say(f"  {table.name}: {sum(now.values())} of {sum(offsets.values())} records in the table")
            return all(now.get(p, 0) >= o for p, o in offsets.items())

        try:
            rig.wait_until(reached, seconds, f"offsets {offsets} in {table.name}", pause=0.5)
        except Failure as error:
            raise Failure(f"{error}; the table has {table_log.offsets(table)}") from None
        found = table_log.offsets(table)
        expect(found == offsets, f"{table.name}: offsets {found}, expected {offsets}")
        say(f"  {table.name}: complete after {time.monotonic() - started:.1f} s")

    def wait_for_merging(self, tables, seconds):
        """Until the service has merged every file group of the tables that is due."""
        def due():
            self.process.expect_running()
            return [t.name for t in tables if not rig.run_moraine("compact", t, "--dry-run")[1].splitlines()[-1].startswith("0 of ")]

        started = time.monotonic()
        rig.wait_until(lambda: not due(), seconds, "merging of what is due", pause=0.5)
        say(f"  nothing is due to be merged after {time.monotonic() - started:.1f} s")

    def get(self, path):
        """(status, text) of an HTTP endpoint."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError as error:
            raise Failure(f"{path}: {error}") from None

    def allow_posts(self):
        """Before the start: post() may be used."""
        self.token = self.settings["http"]["token"] = "only-for-this-test"

    def post(self, path):
        request = urllib.request.Request(self.url + path, method="POST", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.URLError as error:
            raise Failure(f"POST {path}: {error}") from None

    def log_since(self, position):
        with self.process.log.open(errors="replace") as log:
            log.seek(position)
            return log.read()

    def log_size(self):
        return self.process.log.stat().st_size if self.process else 0

    def wait_for_words(self, position, words, seconds):
        """Until the log since `position` has a line with all of `words`; returns that line."""

        def found():
            for line in self.log_since(position).splitlines():
                if all(word.lower() in line.lower() for word in words):
                    return line
            return None

        try:
            return rig.wait_until(found, seconds, f"a log line with {words}")
        except Failure as error:
            raise Failure(f"{error}; the log says:\n" + "\n".join(self.log_since(position).splitlines()[-15:])) from None


def check_ledger(table, records, **outcomes):
    """The outcomes that the commits state: together `records`, and each of `outcomes` exactly. `written` is what was
    inserted or updated: which of the two, only the key index knows."""
    totals = table_log.row_totals(table)
    parts = {k: v for k, v in totals.items() if k not in ("read", "gap")}
    expect(totals.get("read") == records, f"{table.name}: the ledger read {totals.get('read')} records, not {records}: {totals}")
    expect(sum(parts.values()) == records, f"{table.name}: outcomes do not add up to {records}: {totals}")
    for name, count in outcomes.items():
        stated = totals["inserted"] + totals["updated"] if name == "written" else totals.get(name)
        expect(stated == count, f"{table.name}: the ledger has {stated} {name}, expected {count}: {totals}")
    say(f"  ledger of {table.name}: {json.dumps({k: v for k, v in totals.items() if v})}")


SIGNAL_NAMES = {-signal.SIGKILL: "killed", -signal.SIGSEGV: "segmentation fault", -signal.SIGABRT: "aborted"}
