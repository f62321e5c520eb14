"""moraine under measurement: one service drains one topic."""

import json
import subprocess
import time

import duckdb
import iceberg_log
import pyarrow
import readers
import rig
import table_log
from account import Meter, folder_facts, machine
from rig import TOOLS
from service import Service

VALUE_FORMAT = {"avro": {"format": "avro"}, "json": {"format": "json"}}


class Progress:
    """How far a table is; its commits are read again only when there is another one, since the loop that asks shares its core
    with the broker."""

    def __init__(self, table):
        self.table, self.seen, self.commits, self.offsets = table, None, 0, {}

    def look(self):
        folders = [folder for folder in (self.table / ".hoodie", self.table / ".hoodie" / "timeline", self.table / "metadata")
                   if folder.is_dir()]
        seen = {path.name for folder in folders for path in folder.iterdir() if path.name.endswith(("commit", ".json"))}
        if seen != self.seen:
            states = table_log.progress(self.table)
            self.seen, self.commits = seen, len(states)
            self.offsets = {int(p): o[0] for p, o in states[-1][1]["offsets"].items()} if states else {}
        return self


class Moraine:
    """A service with one topic into one table; drain() may be called again after more records were sent."""

    def __init__(self, scenario, broker, registry, load, topic, avsc, cpus, memory="512MiB", table=None, name="moraine",
                 prefix=(), **options):
        self.load, self.cpus, self.memory, self.prefix = load, cpus, memory, prefix
        self.form = (table or {}).get("format", "hudi")
        self.service = Service(scenario, broker, registry if load.format == "avro" else None, memory=memory, name=name,
                               prefix=["taskset", "-c", cpus, *prefix])
        schema = "registry" if load.format == "avro" else {"file": str(avsc)}
        settings = {"commit": {"interval": "10s"}, **load.topic_options(), **options}
        self.table = self.service.topic(topic, schema, VALUE_FORMAT[load.format], table=table,
                                        lake=scenario.folder / f"lake-{name}", **settings)

    def profile(self, prefix):
        """The next process runs behind `prefix`."""
        self.prefix = prefix
        self.service.prefix = ["taskset", "-c", self.cpus, *prefix]

    def start(self):
        """Returns (clock, CPU seconds spent, busy seconds of the machine) once a partition is assigned."""
        position = self.service.log_size()
        began = time.monotonic()
        self.service.start()
        self.meter = Meter(self.service.process.child.pid)
        while "event=partition_assigned" not in self.service.log_since(position):
            self.service.process.expect_running()
            if time.monotonic() - began > 600:
                raise rig.Failure("no partition was assigned within ten minutes")
            time.sleep(0.005)
        self.began = began
        return time.monotonic(), self.meter.cpu(), machine()

    def drain(self, offsets, records, limit_s=1200):
        """Runs until the table's newest commit states `offsets`; the service is stopped. `records` is how many that are.
        `visible_rate` is records that a commit showed over the time until then, of the best commit: behind the last record the
        service waits for the end of the commit interval, which says nothing of its speed."""
        progress = Progress(self.table)
        before = progress.look().commits
        files_before, bytes_before = folder_facts(self.table)
        ready, cpu_ready, busy = self.start()
        first, seen, visible_rate = None, before, 0
        at_start = sum(progress.offsets.values())
        while True:
            self.service.process.expect_running()
            now = progress.look()
            if now.commits > seen:
                seen, since = now.commits, time.monotonic() - ready
                first = first or time.monotonic() - self.began
                visible_rate = max(visible_rate, (sum(now.offsets.values()) - at_start) / since)
            if all(now.offsets.get(p, 0) >= o for p, o in offsets.items()):
                break
            if time.monotonic() - self.began > limit_s:
                raise rig.Failure(f"{sum(now.offsets.values())} of {sum(offsets.values())} records after {limit_s} s")
            time.sleep(0.02)
        visible, cpu = time.monotonic(), self.meter.cpu()
        others = machine()
        self.meter.stop()
        files, size = folder_facts(self.table)
        commits = progress.commits - before
        if self.prefix:
            self.service.process.stop(seconds=90)  # the profiler's status is its own
        else:
            self.service.stop()
        return {
            "records": records, "seconds": visible - self.began, "cpu": cpu, "seconds_steady": visible - ready,
            "cpu_steady": cpu - cpu_ready, "rss": self.meter.rss(), "files": files - files_before,
            "bytes": size - bytes_before, "commits": commits, "first_commit_s": first, "visible_rate": visible_rate,
            "others_cores": (others[0] - busy[0] - (cpu - cpu_ready)) / (visible - ready),
            "stolen_cores": (others[1] - busy[1]) / (visible - ready)}

    def follow(self, bed, load, topic, rate):
        """Takes in records that are sent at a rate while it runs; how old each was when a commit showed it. The clock's time
        is in the column `pickup`; a commit counts from when its completed instant got its name."""
        self.start()
        summary = bed.folder / f"{topic}.json"
        made = subprocess.Popen(load.command(summary, bed.ids[topic], clock=True), stdout=subprocess.PIPE)
        out = subprocess.run([TOOLS / "produce", "-X", f"bootstrap.servers={bed.broker.address}", "-X", "linger.ms=5", "-t", topic,
                              "-r", str(rate)], stdin=made.stdout, capture_output=True)
        sent = bed.broker.finish(out)
        made.wait()
        self.service.wait_for(self.table, sent["offsets"], 120)
        cpu = self.meter.cpu()
        self.meter.stop()
        self.service.stop()
        bed.expected[topic] = json.loads(summary.read_text())
        bed.check(load, topic, "hudi", self.table)
        target = bed.folder / f"{topic}.arrow"
        readers.run_reader("hudi-rs", "main", "read_hudi.py", [self.table, target])
        with pyarrow.memory_map(str(target)) as source:
            rows = pyarrow.ipc.open_file(source).read_all()
        shown = {p.name.split(".")[0].split("_")[0]: p.stat().st_ctime for p in (self.table / ".hoodie").rglob("*.deltacommit")}
        times = pyarrow.table({"commit": list(shown), "shown": list(shown.values())})
        ages = duckdb.sql("""with ages as (select epoch_us(pickup) as sent, times.shown - epoch_us(pickup) / 1e6 as age
                             from rows join times on rows._hoodie_commit_time = times.commit),
            warm as (select age from ages where sent > (select min(sent) + 2000000 from ages))
            select quantile_cont(age, 0.5), quantile_cont(age, 0.99), max(age), count(*) from warm""").fetchone()
        return {"records": sent["records"], "p50": ages[0], "p99": ages[1], "max": ages[2], "rows": ages[3], "rate": rate,
                "sent_rate": sent["records"] / sent["seconds"], "commits": len(shown), "cpu": cpu, "rss": self.meter.rss()}

    def compact(self):
        """Merges every file group, while the service is stopped."""
        status, _, errors = rig.run_moraine("compact", self.table, "--all", timeout=900)
        rig.expect(status == 0, f"compact: status {status}: {errors}")

    def checked_table(self):
        """What read_sums.py opens."""
        return self.table if self.form == "hudi" else iceberg_log.metadata_files(self.table)[-1][1]
