"""The instances under test, what they commit as seen from outside, and how long they take to come back."""

import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import hudi_timeline
import iceberg_log
import rig
from rig import Failure
from service import Service

MESSAGE = re.compile(r'event=(?P<event>\w+)|iofault: (?P<fault>\w+)')
TOKEN = "crash"
IN_CATALOG = {"name": "lake", "namespace": "crash"}  # tables of a REST catalog
CATALOG_PAUSE = 0.2  # seconds between two questions to a catalog
COUNTED = {"fenced", "topic_failed", "commit_retry", "open_retry"}


def is_stopped(pid):
    """Whether a failpoint has stopped the process (SIGSTOP)."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "T"


def warehouse(lake):
    """Where a catalog of the round keeps its tables."""
    return lake / "warehouse"


class Timeline:
    """The commits of one table, noticed while they appear. Reads the table's own files."""

    def __init__(self, table, on_commit):
        self.table, self.on_commit = pathlib.Path(table), on_commit
        self.seen, self.changed = set(), {}
        self.taken = {}  # partition -> [(start, end)] of all commits
        self.ledgers = []  # of all commits, as they appeared
        self.unreadable = []
        self.doubled = 0  # records in ranges of two commits

    def poll(self):
        root = self.table / ".hoodie"
        for folder in (root, root / "timeline"):
            try:
                changed = folder.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if self.changed.get(folder) == changed:
                continue
            self.changed[folder] = changed
            for path in sorted(folder.glob("*.deltacommit")):
                if path.name not in self.seen:
                    self.seen.add(path.name)
                    try:
                        self.take(hudi_timeline.read_commit(path))
                    except (FileNotFoundError, ValueError) as error:
                        self.unreadable.append(f"{path.name}: {error}")

    def take(self, metadata):
        self.take_ledger(hudi_timeline.ledger(metadata))

    def take_ledger(self, ledger):
        if not ledger or not ledger.get("ranges"):
            return
        self.ledgers.append(ledger)
        for partition, (start, end) in ledger["ranges"].items():
            before = self.taken.setdefault(int(partition), [])
            self.doubled += sum(max(0, min(end, e) - max(start, s)) for s, e in before[-50:])
            before.append((start, end))
        self.on_commit(self, ledger)

    def reached(self):
        """Next offset of every partition that has one."""
        return {partition: max(e for _, e in ranges) for partition, ranges in self.taken.items()}


class Snapshots(Timeline):
    """The same of an Iceberg table: snapshots that are in its metadata at some moment."""

    def poll(self):
        folder = self.table / "metadata"
        try:
            changed = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if self.changed.get(folder) == changed:
            return
        self.changed[folder] = changed
        self.take_document(iceberg_log.metadata(self.table))

    def take_document(self, document):
        for snapshot in iceberg_log.snapshots_of(document):
            if snapshot["snapshot-id"] in self.seen:
                continue
            self.seen.add(snapshot["snapshot-id"])
            text = snapshot["summary"].get("moraine")
            if text:
                self.take_ledger(json.loads(text))


class CatalogSnapshots(Snapshots):
    """The same as a catalog says it: one that is killed leaves metadata files that never became the table's."""

    def __init__(self, table, on_commit, catalog):
        super().__init__(table, on_commit)
        self.catalog, self.due = catalog, 0

    def poll(self):
        if time.monotonic() < self.due:
            return
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # it may be away
            self.take_document(self.catalog.metadata(IN_CATALOG["namespace"], self.table.name, 2) or {})
        self.due = time.monotonic() + CATALOG_PAUSE


class Instance:
    """One service, started and killed many times, with its own log position and numbers."""

    def __init__(self, scenario, name, topics, state, **settings):
        self.service = Service(scenario, name=name, lanes=2, **settings)
        state.mkdir()
        self.service.settings["state_dir"] = str(state)
        self.service.settings["http"]["token"] = TOKEN
        for topic in topics:
            topic.configure(self.service)
        self.name = name
        self.started_at = None  # of this incarnation
        self.commits = 0  # of this incarnation
        self.after_kill = False  # this incarnation follows a kill
        self.first_commit = None  # seconds from start to the first commit of this incarnation
        self.log_position = 0
        self.kills = 0

    @property
    def alive(self):
        return self.service.process is not None and self.service.process.running

    def start(self, env=None):
        self.commits, self.first_commit = 0, None
        self.log_position = self.service.log_size()
        self.started_at = time.monotonic()
        self.service.start(env)

    def committed(self):
        self.commits += 1
        if self.commits == 1:
            self.first_commit = time.monotonic() - self.started_at

    def signal(self, number):
        self.service.process.child.send_signal(number)

    def kill(self):
        """SIGKILL; false when the process had ended before by itself."""
        child = self.service.process.child
        if child.poll() is None:
            child.kill()
        return child.wait() == -signal.SIGKILL

    def is_stopped(self):
        return is_stopped(self.service.process.child.pid)

    def post(self, path):
        """Asks the instance for something; whether it hears it is not certain."""
        request = urllib.request.Request(self.service.url + path, method="POST", headers={"Authorization": f"Bearer {TOKEN}"})
        with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(request, timeout=1):
            pass

    def log(self):
        """What this incarnation has said."""
        return self.service.log_since(self.log_position)

    def said(self):
        """Counts of the events that matter, with the lines of failures."""
        counts, failures = {}, []
        for line in self.log().splitlines():
            found = MESSAGE.search(line)
            if not found:
                if any(word in line for word in ("Assertion", "Sanitizer", "moraine:")):
                    failures.append(line)
                continue
            name = found["event"] or "iofault"
            if name in COUNTED or name == "iofault":
                counts[name] = counts.get(name, 0) + 1
            if name == "topic_failed":
                failures.append(line)
        return counts, failures

    def forget_state(self):
        """Deletes the local state, which is a cache. Dead letters are kept there too and are none."""
        state = pathlib.Path(self.service.settings["state_dir"])
        for entry in state.iterdir() if state.exists() else []:
            if entry.is_dir() and entry.name != "dead_letters":
                shutil.rmtree(entry)
            elif not entry.is_dir():
                entry.unlink()

    def stop(self):
        """SIGTERM; Failure unless it ends with status 0."""
        self.service.stop()


class Topic:
    """One topic with its log, its producer and its table."""

    def __init__(self, campaign, name, log, table_format, lake, partitions):
        """table_format: what the topic's file says of it."""
        self.name, self.log, self.format, self.lake = name, log, table_format, lake
        self.is_iceberg = table_format["format"] == "iceberg"
        self.version = None if self.is_iceberg else table_format["hudi"]["table_version"]
        campaign.broker.create_topic(name, partitions)
        rig.wait_until(lambda: self.is_known(campaign.broker, partitions), 20, f"{name} to be known")
        self.folder = warehouse(lake) / IN_CATALOG["namespace"] if "catalog" in table_format else lake
        self.table = self.folder / name
        # what commands that change the table call it: one in a catalog by its name there
        self.address = f"{IN_CATALOG['name']}:{IN_CATALOG['namespace']}.{name}" if "catalog" in table_format else self.table
        self.producer = campaign.scenario.process(
            f"produce-{name}", [campaign.tools / "produce", "-X", f"bootstrap.servers={campaign.broker.address}",
                                  # a broker that comes back may say "no leader", after which the client asks no more
                                  "-X", "topic.metadata.refresh.interval.ms=1000", "-t", name],
            stdin=campaign.pipe)
        self.upkeep, self.crowded = campaign.upkeep, campaign.crowded
        self.letters, self.letter_topic = None, None  # a table, a topic; neither: a file of each instance
        if campaign.letters == "table":
            self.letters = lake / f"{name}-letters"
        elif campaign.letters == "topic":
            self.letter_topic = f"{name}-letters"
            campaign.broker.create_topic(self.letter_topic, 1)
        if "catalog" in table_format:
            self.timeline = CatalogSnapshots(self.table, campaign.on_commit, campaign.catalog)
        else:
            self.timeline = (Snapshots if self.is_iceberg else Timeline)(self.table, campaign.on_commit)

    def is_known(self, broker, partitions):
        """Whether the broker has heard from its own controller about the topic."""
        try:
            return all(broker.admin("watermarks", self.name, partition) for partition in range(partitions))
        except Failure:
            return False

    def configure(self, service):
        dedup = {"dedup": {"by": ["event_id"], "window": "24h"}} if self.log.dedup else {}
        letters = {"location": f"file://{self.letters}"} if self.letters else {"topic": self.letter_topic}
        service.topic(self.name, {"fields": self.log.fields}, {"format": "json"}, lake=self.folder,
                      table={**self.log.table_options, **self.format}, commit={"interval": "200ms", "max_rows": 20000 if self.crowded else 2000},
                      **({"dead_letter": letters} if self.letters or self.letter_topic else {}), **self.log.options, **dedup,
                      **self.upkeep)

    def send(self, count):
        self.producer.child.stdin.write(self.log.grow(count))
        self.producer.child.stdin.flush()

    def finish(self, seconds):
        """Ends the producer. Its delivery reports must be at the offsets that the log has reckoned."""
        self.producer.child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.producer.child.wait(seconds)
        if self.producer.child.poll() != 0:
            raise Failure(f"the producer of {self.name} failed: {self.producer.log.read_text()[-500:]}")
        summary = json.loads(self.producer.log.read_text().splitlines()[-1])
        acknowledged = {int(p): o for p, o in summary["offsets"].items()}
        if acknowledged != {p: o for p, o in self.log.offsets().items() if o > 0}:
            raise Failure(f"{self.name}: acknowledged {acknowledged}, sent {self.log.offsets()}")

    def caught_up(self):
        reached = self.timeline.reached()
        return all(reached.get(p, 0) >= o for p, o in self.log.offsets().items())
