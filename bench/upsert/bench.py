"""Upserts into tables of every format that has keys, and what a reader pays for them before and after merging.

    bench/upsert/run [--keys 1000000,10000000] [--updates 1000000] [--formats iceberg2,iceberg3,hudi6,hudi9] [--spark KEYS]
                     [--results FILE]

One topic of Avro orders (16 columns, see ../versus) for each number of keys. Each format gets a table of its own of it: the keys are
inserted and merged; then come the updates, by Zipf's law and again of any key alike, in commits of at most 100,000 records by a
process on one core, with the broker on the other one. After each of the two Spark adds the whole table up, the table is merged
with `moraine compact`, and Spark adds it up again. What it finds must be what the records say, and no table may have an equality
delete. Beside them, in the same run: librdkafka alone, which reads the same records and drops them, and with --spark (for tables of
at most so many keys) Structured Streaming with MERGE into an Iceberg table of version 2, merge on read.

Prints a Markdown table of the figures, and writes them to FILE as JSON."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import iceberg_log
import rig
from account import folder_facts
from bed import Bed
from engine_moraine import Moraine
from engine_spark import Spark
from loads import Load
from rig import CACHE, VERSIONS, Scenario, expect, say

HERE = pathlib.Path(__file__).resolve().parent
ONE = "1"
WARM = 2_000  # updates that bring the key index up to date after merging, not measured
FORMATS = {
    "iceberg2": {"format": "iceberg", "format_version": 2},
    "iceberg3": {"format": "iceberg", "format_version": 3},
    "hudi6": {"format": "hudi", "hudi": {"table_version": 6}, "buckets": 8},
    "hudi9": {"format": "hudi", "hudi": {"table_version": 9}, "buckets": 8},
}
SETTINGS = {"commit": {"interval": "1s", "max_rows": 100_000}, "compaction": {"mode": "off"}}


def scan(table, load, expected):
    """Seconds that Spark takes to add the table up, the median of three in a session that is warm; what it finds is checked."""
    form = "iceberg" if iceberg_log.is_table(table) else "hudi"
    jar = (f"iceberg-spark-runtime-3.5_2.12-{VERSIONS['ICEBERG']}.jar" if form == "iceberg"
           else f"hudi-spark3.5-bundle_2.12-{VERSIONS['HUDI_BUNDLE_NEW']}.jar")
    where = iceberg_log.for_readers(table) if form == "iceberg" else table
    command = [CACHE / "venv-main/bin/python", HERE / "scan.py", form, CACHE / "jars" / jar, where, *load.sums]
    out = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1200,
                         cwd=rig.HERE / "lib")
    expect(out.returncode == 0, f"Spark cannot read {table}: {out.stderr[-2000:]}")
    found = json.loads(out.stdout.splitlines()[-1])
    wanted = {name: expected[name] for name in ("rows", "ids", "cents", "small")}
    expect(found["sums"] == wanted, f"Spark finds {found['sums']} in {table}, the records say {wanted}")
    return statistics.median(found["seconds"])


def compact(table):
    """Seconds of `moraine compact --all`, two threads."""
    began = time.monotonic()
    status, _, errors = rig.run_moraine("compact", table, "--all", "--threads", 2, timeout=1200)
    expect(status == 0, f"moraine compact {table}: {errors}")
    return time.monotonic() - began


def delete_files(table, since):
    """What the commits of a table after sequence number `since` wrote to remove rows; there is no equality delete."""
    if not iceberg_log.is_table(table):
        return {}
    found = {"delete_files": 0, "position_deletes": 0}
    for snapshot in iceberg_log.snapshots(table):
        summary = snapshot["summary"]
        expect(int(summary.get("total-equality-deletes", 0)) == 0 and "added-equality-deletes" not in summary,
               f"{table}: equality deletes: {summary}")
        if snapshot["sequence-number"] > since:
            found["delete_files"] += int(summary.get("added-delete-files", 0))
            found["position_deletes"] += int(summary.get("added-position-deletes", 0))
    return found


def newest_number(table):
    return iceberg_log.metadata(table).get("last-sequence-number", 0) if iceberg_log.is_table(table) else 0


class Table:
    """One format's table of the topic, written by a service of its own."""

    def __init__(self, bed, load, topic, name, memory):
        self.bed, self.load, self.topic, self.name = bed, load, topic, name
        self.engine = Moraine(bed.scenario, bed.broker, bed.registry, load, topic, bed.avsc(load), ONE, memory=memory,
                              table=FORMATS[name], name=name, **SETTINGS)
        self.table = self.engine.table

    def drain(self):
        sent = self.bed.sent[self.topic]
        return self.engine.drain(sent["offsets"], sent["last"])

    def fill(self):
        run = self.drain()
        run["compact_s"] = compact(self.table)
        say(f"  {self.name}: {run['visible_rate']:,.0f} inserts/s, merged in {run['compact_s']:.1f} s")
        return run

    def update(self):
        number = newest_number(self.table)
        run = self.drain() | delete_files(self.table, number)
        expected = self.bed.expected[self.topic]
        run["scan_s"] = scan(self.table, self.load, expected)
        run["compact_s"] = compact(self.table)
        run["scan_merged_s"] = scan(self.table, self.load, expected)
        run["table_files"], run["table_bytes"] = folder_facts(self.table)
        say(f"  {self.name}: {run['visible_rate']:,.0f} upserts/s in {run['commits']} commits, "
            f"{run.get('delete_files', 0)} delete files, {run['bytes'] >> 20} MiB; "
            f"Spark {run['scan_s']:.2f} s, merged {run['scan_merged_s']:.2f} s; others kept {run['others_cores']:.1f} cores busy")
        return run


def measure(keys, updates, formats, with_spark):
    """{phase: {engine: run}} of one number of keys."""
    with Scenario(f"upsert-{keys}") as scenario:
        bed = Bed(scenario)
        even = keys + WARM + updates  # from this record on any key alike
        load = Load("orders", "orders-avro", keys, keys=keys, even=even)
        topic = bed.send(load)
        memory = "512MiB" if keys <= 1_000_000 else "2GiB"
        tables = [Table(bed, load, topic, name, memory) for name in formats]
        spark = Spark(scenario, bed.broker, load, topic, "iceberg", ONE, True) if with_spark else None
        found = {"insert": {table.name: table.fill() for table in tables}}
        if spark:
            found["insert"]["spark"] = spark.drain(keys, bed.sent[topic]["records"])
        first = keys
        for phase in ("zipf", "uniform"):
            bed.send(load.with_(count=WARM, first=first), topic)
            for table in tables:
                table.drain()
            if spark:
                spark.drain(WARM, bed.sent[topic]["records"])
            bed.send(load.with_(count=updates, first=first + WARM), topic)
            first += WARM + updates
            limit = bed.consume(topic, ONE)
            found[phase] = {"librdkafka": limit, **{table.name: table.update() for table in tables}}
            if spark:
                found[phase]["spark"] = spark.drain(updates, bed.sent[topic]["records"])
        return found


def rows(keys, phase, found):
    """Lines of the table: what an upsert costs, what it leaves behind, what it costs to read."""
    limit = found["librdkafka"]["cpu"] / found["librdkafka"]["records"]
    for name, run in found.items():
        if name == "librdkafka":
            continue
        cpu = run["cpu_steady"] / run["records"]
        rate = run.get("visible_rate") or run["records"] / run["seconds_steady"]  # Spark's batch is one commit
        removed = f"{run['delete_files'] / max(1, run['commits']):.1f}" if "delete_files" in run else "–"
        scans = f"{run['scan_s']:.2f} | {run['scan_merged_s']:.2f}" if "scan_s" in run else "– | –"
        yield (f"| {keys // 1000:,} k, {phase} | {name} | {rate:,.0f} | {cpu * 1e6:.2f} | "
               f"{cpu / limit:.1f} | {run['commits']} | {removed} | {run['bytes'] / run['records']:.0f} | {scans} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", default="1000000,10000000")
    parser.add_argument("--updates", type=int, default=1_000_000)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--spark", type=int, default=1_000_000, help="the most keys with which Spark merges, too; 0 = never")
    parser.add_argument("--results", default=str(pathlib.Path(os.environ["MORAINE_BUILD"]) / "upsert.json"))
    options = parser.parse_args()
    os.sched_setaffinity(0, {0})
    results, lines = {"load_average_before": os.getloadavg()[0]}, []
    for keys in (int(n) for n in options.keys.split(",")):
        say(f"== {keys:,} keys")
        results[str(keys)] = found = measure(keys, options.updates, options.formats.split(","), keys <= options.spark)
        for phase in ("zipf", "uniform"):
            lines += rows(keys, phase, found[phase])
        rig.write_json(options.results, results)
    print("| keys, updates | table | upserts/s | CPU, µs | of librdkafka | commits | delete files a commit | bytes an upsert | "
          "Spark's scan, s | merged, s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
