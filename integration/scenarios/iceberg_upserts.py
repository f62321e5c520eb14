"""Upserts, deletes, tombstones, late records and keys that move between partitions into Iceberg tables of versions 2 and 3:
position-delete files and deletion vectors, never equality deletes. Every reader sees what the record with the highest version
says, over restarts, without the local state, with two instances, and after kills.

Options: events per topic (default 40000), seed (default 1)."""

import shutil
import sys

import checks
import iceberg_log
from broker import Broker
from event_topic import EventTopic
from rig import Scenario, expect, say
from service import Service

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ROUNDS = 5
TABLES = {
    "region_v2": {"format_version": 2, "partition_by": ["region"], "buckets": 2},
    "plain_v2": {"format_version": 2},
    "region_v3": {"format_version": 3, "partition_by": ["region"]},
    "mixed_v3": {"format_version": 3, "partition_by": ["truncate(1, region)", "bucket(2, id)"]},
    "skewed_v3": {"format_version": 3, "partition_by": ["region"]},
}
# the vectors of a commit are of very different sizes
SKEWED = {"skewed_v3": {"keys": 12_000, "regions": ["north"] * 30 + ["south"]}}
# these are rewritten all the time, so rows move under the index
UPKEEP = {name: {"compaction": {"max_delta_files": 1, "max_delta_ratio": 0.05, "target_file_size": "1MiB"}} for name in ("region_v2", "mixed_v3")}


def check_deletes(topic):
    """By position only; a version 3 table has a vector for each file at most."""
    for snapshot in iceberg_log.snapshots(topic.table):
        summary = snapshot["summary"]
        expect(int(summary.get("total-equality-deletes", 0)) == 0, f"{topic.name}: equality deletes: {summary}")
        wrong = "added-dvs" if TABLES[topic.name]["format_version"] == 2 else "added-position-delete-files"
        expect(wrong not in summary, f"{topic.name}: {wrong}: {summary}")
        expect(summary["operation"] != "append" or "added-delete-files" not in summary, f"{topic.name}: {summary}")
    rows = iceberg_log.total(topic.table, "records") - iceberg_log.total(topic.table, "position-deletes")
    expect(rows == len(topic.rows), f"{topic.name}: the totals say {rows} rows, the model has {len(topic.rows)}")


with Scenario("iceberg_upserts") as scenario:
    broker = Broker(scenario)
    topics = [EventTopic(broker, name, SEED + number, **SKEWED.get(name, {})) for number, name in enumerate(TABLES)]
    first, second = Service(scenario, broker), Service(scenario, broker, name="second")
    for service in (first, second):
        service.allow_posts()
        for topic in topics:
            topic.add_to(service, {"format": "iceberg", **TABLES[topic.name]}, **UPKEEP.get(topic.name, {}))

    def check(what):
        say(what)
        for topic in topics:
            topic.check_ledger()
            checks.quick_iceberg(scenario, topic.table, topic.model(), topic.key, f" {what}")
            check_deletes(topic)

    def run(services, what, share):
        for service in services:
            service.start()
        for _ in range(ROUNDS):  # so many commits at least
            for topic in topics:
                topic.produce(int(EVENTS * share) // ROUNDS)
            for topic in topics:
                services[0].wait_for(topic.table, topic.offsets, 60)
            for name in UPKEEP:
                services[0].post(f"/topics/{name}/compact")
        for service in services:
            service.stop()
        check(what)

    run([first], "after the first run", 0.3)
    run([first], "after a restart", 0.1)
    for topic in topics:
        shutil.rmtree(first.folder / "state" / "state" / topic.name)
    run([first], "after the local state was deleted", 0.2)
    run([first, second], "after a run of two instances", 0.2)
    run([second], "after a run of the second instance", 0.1)
    for number in range(4):
        first.start()
        for topic in topics:
            topic.produce(EVENTS // 100)
        say(f"  killed after {first.kill_at_random(0.3, 4, SEED * 10 + number):.1f} s")
    run([first], "after four kills", 0.1)
    for topic in topics:
        rewrites = sum(s["summary"]["operation"] == "replace" for s in iceberg_log.snapshots(topic.table))
        say(f"  {topic.name}: {rewrites} rewrites of {len(iceberg_log.snapshots(topic.table))} snapshots")
        expect(rewrites > 0 or topic.name not in UPKEEP, f"{topic.name} was never rewritten")
    checks.thorough_iceberg(scenario, [(topic.table, topic.model(), topic.key) for topic in topics])
