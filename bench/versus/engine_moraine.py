"""moraine under measurement: one service drains one topic."""

import time

import hudi_timeline
import rig
from account import Meter, folder_facts, machine
from service import Service, check_ledger

VALUE_FORMAT = {"avro": {"format": "avro"}, "json": {"format": "json"}}


class Moraine:
    """A service with one topic into one table; drain() may be called again after more records were sent."""

    def __init__(self, scenario, broker, registry, load, topic, avsc, cpus, memory="512MiB", table=None, name="moraine",
                 prefix=(), **options):
        self.load, self.cpus, self.memory, self.prefix = load, cpus, memory, prefix
        self.service = Service(scenario, broker, registry if load.format == "avro" else None, memory=memory, name=name,
                               prefix=["taskset", "-c", cpus, *prefix])
        schema = "registry" if load.format == "avro" else {"file": str(avsc)}
        settings = {"commit": {"interval": "10s"}, **load.topic_options(), **options}
        self.table = self.service.topic(topic, schema, VALUE_FORMAT[load.format], table=table,
                                        lake=scenario.folder / f"lake-{name}", **settings)

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
        """Runs until the table's newest commit states `offsets`; the service is stopped. `records` is how many that are."""
        before = len(hudi_timeline.progress(self.table))
        files_before, bytes_before = folder_facts(self.table)
        ready, cpu_ready, busy = self.start()
        first = None
        while True:
            self.service.process.expect_running()
            now = hudi_timeline.offsets(self.table)
            if first is None and len(hudi_timeline.progress(self.table)) > before:
                first = time.monotonic() - self.began
            if all(now.get(p, 0) >= o for p, o in offsets.items()):
                break
            if time.monotonic() - self.began > limit_s:
                raise rig.Failure(f"{sum(now.values())} of {sum(offsets.values())} records after {limit_s} s")
            time.sleep(0.02)
        visible, cpu = time.monotonic(), self.meter.cpu()
        others = machine()
        self.meter.stop()
        files, size = folder_facts(self.table)
        commits = len(hudi_timeline.progress(self.table)) - before
        if self.prefix:
            self.service.process.stop(seconds=90)  # the profiler's status is its own
        else:
            self.service.stop()
        return {
            "records": records, "seconds": visible - self.began, "cpu": cpu, "seconds_steady": visible - ready,
            "cpu_steady": cpu - cpu_ready, "rss": self.meter.rss(), "files": files - files_before,
            "bytes": size - bytes_before, "commits": commits, "first_commit_s": first,
            "others_cores": (others[0] - busy[0] - (cpu - cpu_ready)) / (visible - ready),
            "stolen_cores": (others[1] - busy[1]) / (visible - ready)}

    def check_ledger(self, records):
        check_ledger(self.table, records)
