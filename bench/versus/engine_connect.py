"""Iceberg's sink on Kafka Connect under measurement: a standalone worker with one connector."""

import json
import time
import urllib.request

import rig
from account import Meter, folder_facts, machine
from rig import CACHE

JARS = CACHE.parent / "versus" / "connect-jars"


class Connect:
    """Drains one topic of JSON into a new table of a Hadoop catalog, then is stopped."""

    form = "iceberg"

    def __init__(self, scenario, broker, load, topic, cpus, tuned, memory="2g", name="connect", interval_ms=10_000):
        self.scenario, self.broker, self.cpus, self.name = scenario, broker, cpus, name
        self.folder = scenario.folder / name
        self.folder.mkdir()
        self.table = self.folder / "warehouse" / "db" / "versus"
        (self.port,) = rig.free_ports(1)
        broker.create_topic(f"control-{name}", 1)
        worker = {
            "bootstrap.servers": broker.address, "listeners": f"http://127.0.0.1:{self.port}",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
            "offset.storage.file.filename": self.folder / "offsets", "connector.client.config.override.policy": "All",
            "consumer.auto.offset.reset": "earliest",
            # At the end of a topic a worker waits this long for more records before its sink hears of a commit that was begun;
            # the default, a minute, is above the sink's timeout of a commit, and the last records would never be committed.
            "offset.flush.interval.ms": 1000}
        connector = {
            "name": name, "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector", "tasks.max": len(cpus.split(",")),
            "topics": topic, "iceberg.tables": "db.versus", "iceberg.tables.auto-create-enabled": "true",
            "iceberg.catalog.type": "hadoop", "iceberg.catalog.warehouse": f"file://{self.folder / 'warehouse'}",
            "iceberg.control.topic": f"control-{name}", "iceberg.control.commit.interval-ms": interval_ms,
            "iceberg.control.commit.timeout-ms": 30_000}
        if tuned:  # larger polls and fetches, as its page on throughput says
            connector |= {"consumer.override.max.poll.records": 10_000, "consumer.override.fetch.min.bytes": 1 << 20,
                          "consumer.override.max.partition.fetch.bytes": 8 << 20}
        self.java = ["java", f"-Xmx{memory}", *(["-XX:+UseParallelGC"] if tuned else []), "-cp", f"{JARS}/*",
                     "org.apache.kafka.connect.cli.ConnectStandalone"]
        self.told = {"memory": memory, **worker, **connector}
        for path, settings in (("worker.properties", worker), ("connector.properties", connector)):
            (self.folder / path).write_text("".join(f"{k}={v}\n" for k, v in settings.items()))

    def settings(self):
        """What worker and connector were told, without the names of this machine's folders and ports."""
        text = json.dumps(self.told, default=str).replace(str(self.folder), "FOLDER").replace(self.broker.address, "BROKER")
        return json.loads(text.replace(f":{self.port}", ":PORT"))

    def snapshots(self):
        """The snapshots of the newest metadata file, oldest first."""
        files = sorted((self.table / "metadata").glob("v*.metadata.json"), key=lambda p: int(p.name[1:].split(".")[0]))
        while files:
            try:
                return json.loads(files[-1].read_text()).get("snapshots", [])
            except ValueError:  # being written
                files.pop()
        return []

    def answers(self):
        """Whether the worker has started."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1):
                return True
        except OSError:
            return False

    def drain(self, records, total, limit_s=900):
        """Until the table has `total` rows, `records` of them new."""
        began, busy = time.monotonic(), machine()
        worker = self.scenario.process(self.name, ["taskset", "-c", self.cpus, *self.java, self.folder / "worker.properties",
                                                   self.folder / "connector.properties"], cwd=self.folder)
        meter = Meter(worker.child.pid)
        ready = cpu_ready = None
        while True:
            worker.expect_running()
            if "unrecoverable exception" in worker.log.read_text(errors="replace"):
                raise rig.Failure(f"{self.name}: its task died:\n{rig.tail(worker.log)}")
            if ready is None and self.answers():
                ready, cpu_ready = time.monotonic(), meter.cpu()
            found = self.snapshots()
            if found and int(found[-1]["summary"].get("total-records", 0)) >= total:
                break
            if time.monotonic() - began > limit_s:
                seen = found[-1]["summary"].get("total-records") if found else 0
                raise rig.Failure(f"{self.name}: {seen} of {total} records after {limit_s} s:\n{rig.tail(worker.log)}")
            time.sleep(0.1)
        visible, cpu, later = time.monotonic(), meter.cpu(), machine()
        meter.stop()
        worker.stop()
        files, size = folder_facts(self.table)
        return {"records": records, "seconds": visible - began, "cpu": cpu, "seconds_steady": visible - ready,
                "cpu_steady": cpu - cpu_ready, "rss": meter.rss(), "files": files, "bytes": size, "commits": len(found),
                "others_cores": (later[0] - busy[0] - cpu) / (visible - began),
                "stolen_cores": (later[1] - busy[1]) / (visible - began)}

    def checked_table(self):
        return max((self.table / "metadata").glob("v*.metadata.json"), key=lambda p: int(p.name[1:].split(".")[0]))
