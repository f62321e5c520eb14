"""Peers that are one job: a process that takes in what waits, tells of it and ends."""

import json
import pathlib
import time

import iceberg_log
import rig
from account import Meter, folder_facts, machine
from rig import CACHE

HERE = pathlib.Path(__file__).resolve().parent
PEERS = CACHE.parent / "versus"  # what setup fetched


class Job:
    """A peer that is one process: it takes in what waits, prints marks (peers/spark_job.py) and ends. Subclasses set `form`,
    `script`, `table` and `spec`."""

    def __init__(self, scenario, cpus, name):
        self.scenario, self.cpus, self.name = scenario, cpus, name
        self.folder = scenario.folder / name
        self.folder.mkdir()
        self.runs = 0

    def marks(self, log):
        found = []
        for line in pathlib.Path(log).read_text(errors="replace").splitlines() if pathlib.Path(log).exists() else []:
            if line.startswith('{"mark"'):
                found.append(json.loads(line))
        return found

    def drain(self, records, total, limit_s=1500):
        """Takes in the `records` that wait; `total` is what the topic has had by then. The job's last batch shows the last
        record, or its end does when it tells of no batches."""
        path = self.folder / "job.json"
        rig.write_json(path, self.spec)
        self.runs += 1
        python = CACHE / "venv-main" / "bin" / "python"
        files_before, bytes_before, commits_before = *folder_facts(self.table), self.commits()
        began, busy = time.monotonic(), machine()
        job = self.scenario.process(f"{self.name}-{self.runs}", [
            "taskset", "-c", self.cpus, python, HERE / "peers" / self.script, path], cwd=self.folder,
            env={"SPARK_LOCAL_DIRS": str(self.folder), "PYSPARK_PYTHON": str(python), "OMP_NUM_THREADS": "1"})
        self.log = job.log
        meter = Meter(job.child.pid)
        ready = cpu_ready = visible = cpu = None
        batches = 0
        while True:
            marks = self.marks(job.log)
            names = {m["mark"] for m in marks}
            if ready is None and "ready" in names:
                ready, cpu_ready = time.monotonic(), meter.cpu()
            found = sum(m["mark"] == "batch" for m in marks)
            if found > batches or ("done" in names and visible is None):
                batches, visible, cpu = found, time.monotonic(), meter.cpu()
            if "done" in names:
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
                "commits": self.commits() - commits_before, "others_cores": (later[0] - busy[0] - cpu) / (visible - began),
                "stolen_cores": (later[1] - busy[1]) / (visible - began)}

    def settings(self):
        """What the job was told, without the names of this machine's folders and ports."""
        told = next((m["settings"] for m in self.marks(self.log) if m["mark"] == "settings"), {})
        return json.loads(json.dumps({"memory": self.spec["memory"], **told}).replace(str(self.folder), "FOLDER"))

    def commits(self):
        """How many commits the table has had."""
        if self.form == "hudi":
            return sum(path.name.split(".", 1)[1] in ("commit", "deltacommit") for folder in (".hoodie", ".hoodie/timeline")
                       for path in (self.table / folder).glob("*commit"))
        if self.form == "delta":
            return len(list((self.table / "_delta_log").glob("*.json")))
        return len(iceberg_log.snapshots(self.table))

    def checked_table(self):
        """What read_sums.py opens."""
        return iceberg_log.metadata_files(self.table)[-1][1] if self.form.startswith("iceberg") else self.table
