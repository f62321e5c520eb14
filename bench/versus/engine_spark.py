"""Spark Structured Streaming under measurement: one job takes in a topic and ends."""

import json
import os
import pathlib
import time

import rig
from account import Meter, folder_facts, machine
from rig import CACHE, VERSIONS

HERE = pathlib.Path(__file__).resolve().parent
JARS = CACHE.parent / "versus" / "spark-jars"


def jars(sink):
    """What the job loads: the Kafka source and Avro, and the bundle of one table format."""
    beside = [p for p in sorted(JARS.glob("*.jar"))
              if not p.name.startswith(("iceberg", "delta", "hudi", "scala-library", "spark-tags"))]
    bundle = {"hudi": [CACHE / "jars" / f"hudi-spark3.5-bundle_2.12-{VERSIONS['HUDI_BUNDLE_NEW']}.jar"],
              "iceberg": sorted(JARS.glob("iceberg*.jar")), "delta": sorted(JARS.glob("delta*.jar"))}[sink]
    return [str(p) for p in beside + bundle]


class Spark:
    """One table and its checkpoint; drain() runs a job that takes in what waits."""

    def __init__(self, scenario, broker, load, topic, sink, cpus, tuned, memory="2g", name="spark", per_batch=None):
        self.scenario, self.cpus, self.name = scenario, cpus, name
        self.folder = scenario.folder / name
        self.folder.mkdir()
        warehouse = self.folder / "warehouse"
        self.table = warehouse / "db" / "versus" if sink == "iceberg" else self.folder / "table"
        self.sink = sink
        self.spec = {"broker": broker.address, "topic": topic, "format": load.format, "schema": load.schema, "sink": sink,
                     "table": f"{self.table}", "warehouse": str(warehouse), "checkpoint": str(self.folder / "checkpoint"),
                     "keyed": load.keyed, "tuned": tuned, "jars": jars(sink), "cores": len(cpus.split(",")), "memory": memory,
                     "per_batch": per_batch}
        self.runs = 0

    def marks(self, log):
        found = []
        for line in pathlib.Path(log).read_text(errors="replace").splitlines() if pathlib.Path(log).exists() else []:
            if line.startswith('{"mark"'):
                found.append(json.loads(line))
        return found

    def drain(self, records, limit_s=1500):
        path = self.folder / "job.json"
        rig.write_json(path, self.spec)
        self.runs += 1
        files_before, bytes_before = folder_facts(self.table) if self.table.exists() else (0, 0)
        began, busy = time.monotonic(), machine()
        job = self.scenario.process(f"{self.name}-{self.runs}", [
            "taskset", "-c", self.cpus, CACHE / "venv-main" / "bin" / "python", HERE / "peers" / "spark_job.py", path],
            env={"SPARK_LOCAL_DIRS": str(self.folder), "PYSPARK_PYTHON": str(CACHE / "venv-main" / "bin" / "python"),
                 "OMP_NUM_THREADS": "1"}, cwd=self.folder)
        meter = Meter(job.child.pid)
        ready = cpu_ready = visible = cpu = None
        batches = 0
        while True:
            marks = {m["mark"]: m for m in self.marks(job.log)}
            if ready is None and "ready" in marks:
                ready, cpu_ready = time.monotonic(), meter.cpu()
            found = sum(m["mark"] == "batch" for m in self.marks(job.log))
            if found > batches:
                batches, visible, cpu = found, time.monotonic(), meter.cpu()
            if "done" in marks:
                break
            job.expect_running()
            if time.monotonic() - began > limit_s:
                raise rig.Failure(f"{self.name}: not done after {limit_s} s")
            time.sleep(0.05)
        later = machine()
        meter.stop()
        job.child.wait(120)
        files, size = folder_facts(self.table)
        return {"records": records, "seconds": visible - began, "cpu": cpu, "seconds_steady": visible - ready,
                "cpu_steady": cpu - cpu_ready, "rss": meter.rss(), "files": files - files_before, "bytes": size - bytes_before,
                "commits": batches, "others_cores": (later[0] - busy[0] - cpu) / (visible - began),
                "stolen_cores": (later[1] - busy[1]) / (visible - began)}

    def checked_table(self):
        """What read_sums.py opens."""
        if self.sink != "iceberg":
            return self.table
        newest = max((self.table / "metadata").glob("*.metadata.json"), key=lambda p: (p.stat().st_mtime, p.name))
        return newest
