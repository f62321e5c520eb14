"""Spark writes through a REST catalog into the very tables into which the service ingests without pause, with its own merging on beside:
inserts, updates, deletes, merges, rewrites of data files, expiry. Both meet the other's commits at every one of theirs. Nothing is
lost, nothing doubled, no row comes back from the dead. Version 2, into which Spark writes position deletes, and version 3, of which
it writes files anew.

Spark gives up where a commit of ours met the files that it read, and is asked again while records of new keys alone arrive. No record
of the keys of a statement is on its way meanwhile, or the model would not know which came first."""

import json
import subprocess
import threading
import time

import iceberg_log
import readers
import rig
import table_log
from broker import Broker
from compare import compare
from rest_catalog import RestCatalog
from rig import BINARY, Failure, Scenario, expect, say
from service import Service
from spark_writes import SharedTopic, delete, expire, insert, merge, rewrite_data, update

STEPS = [insert, delete, rewrite_data, merge, expire, rewrite_data, update]
KINDS = ("delete", "update", "merge")  # of statements that Spark has settings for
CONFLICTS = ("ValidationException", "CommitFailedException")
UPKEEP = {"max_delta_files": 2, "max_delta_ratio": 0.1, "target_file_size": "1MiB"}


class Feed(threading.Thread):
    """Sends records of every topic, without pause, until it is stopped."""

    def __init__(self, topics):
        super().__init__(daemon=True)
        self.topics, self.wanted, self.error = topics, True, None

    def run(self):
        try:
            while self.wanted:
                for topic in self.topics:
                    with topic.lock:
                        topic.produce(50)
                time.sleep(0.1)
        except Exception as error:  # told by stop(): a thread that is gone would go unnoticed
            self.error = error

    def stop(self):
        self.wanted = False
        self.join()
        if self.error:
            raise self.error


def wait_committed(service, topic):
    """Until everything that was sent before the call is in the table."""
    with topic.lock:
        sent = dict(topic.offsets)

    def committed():
        service.process.expect_running()
        now = table_log.offsets(topic.table)
        return all(now.get(p, 0) >= o for p, o in sent.items())

    rig.wait_until(committed, 60, f"{sent} in {topic.name}, which has {table_log.offsets(topic.table)}")


def ask(spark, topic, statement, tries):
    """Number of conflicts until Spark succeeded; None when it never did."""
    for number in range(tries):
        error = spark.try_sql(statement)
        if error is None:
            return number
        expect(any(word in error for word in CONFLICTS), f"Spark on {topic.name}: {error}")
    return None


def change(service, spark, topic, step):
    with topic.lock:
        planned = step(topic)
        topic.held = set(planned.numbers)
    wait_committed(service, topic)
    conflicts = ask(spark, topic, planned.statement, 1)
    if conflicts is None:
        with topic.lock:
            topic.only_new = True
        wait_committed(service, topic)
        conflicts = ask(spark, topic, planned.statement, 10)
        expect(conflicts is not None, f"{topic.name}: Spark found no moment for '{step.__name__}'")
        conflicts += 1
    with topic.lock:
        planned.happen()
        topic.held, topic.only_new = set(), False
    say(f"  {topic.name}: {step.__name__} by Spark, {conflicts} conflicts")
    return conflicts


def check(scenario, service, catalog, topics):
    """Every reader that opens tables by name, and the audit."""
    addresses = [f"{catalog.uri} ns.{topic.name}" for topic in topics]
    by_spark = readers.spark_iceberg(scenario, addresses, "spark")
    for topic, address, spark_rows in zip(topics, addresses, by_spark):
        model, name = topic.model(), f"lake:ns.{topic.name}"
        found = {"moraine scan": readers.moraine(scenario, name, model.schema, "--config", service.config),
                 readers.iceberg_name("pyiceberg"): readers.iceberg(scenario, "pyiceberg", address, model.schema),
                 readers.spark_iceberg_name("spark"): spark_rows}
        for reader, rows in found.items():
            compare(f"{reader} on {topic.name}", model, rows, topic.key)
        expect(iceberg_log.total(topic.table, "equality-deletes") == 0, f"{topic.name}: equality deletes")
        result = subprocess.run([str(BINARY), "verify", name, "--config", str(service.config), "--output", "json"], text=True,
                                capture_output=True, timeout=300)
        expect(result.returncode == 0 and json.loads(result.stdout)["right"], f"{topic.name}: {result.stdout}{result.stderr}")
        say(f"  {topic.name}: {model.num_rows} rows equal the model")


with Scenario("iceberg_beside") as scenario:
    broker = Broker(scenario)
    catalog = RestCatalog(scenario)
    service = Service(scenario, broker, catalogs={"lake": {"type": "rest", "uri": catalog.uri}})
    topics = [SharedTopic(broker, f"shared_v{version}", version, keys=1000) for version in (2, 3)]
    for version, topic in zip((2, 3), topics):
        topic.add_to(service, {"format": "iceberg", "format_version": version, "partition_by": ["bucket(2, id)"],
                               "catalog": {"name": "lake", "namespace": "ns"}},
                     lake=catalog.warehouse / "ns", compaction=UPKEEP, commit={"interval": "1500ms"})
        topic.produce(3000)
    service.start()
    spark = readers.SparkSession(scenario, catalog.warehouse, catalog.uri)
    for topic in topics:
        wait_committed(service, topic)
    for topic in topics:
        properties = [f"'write.{kind}.isolation-level'='snapshot'" for kind in KINDS]
        if topic.name == "shared_v2":
            properties += [f"'write.{kind}.mode'='merge-on-read'" for kind in KINDS]
        spark.sql(f"ALTER TABLE {topic.spark_name} SET TBLPROPERTIES ({', '.join(properties)})")
    feed = Feed(topics)
    feed.start()
    conflicts = sum(change(service, spark, topic, step) for step in STEPS for topic in topics)
    feed.stop()
    for topic in topics:
        wait_committed(service, topic)
    merged = {topic.name: sum("moraine" in s["summary"] and s["summary"]["operation"] == "replace"
                              for s in iceberg_log.snapshots(topic.table)) for topic in topics}
    service.stop()
    sent = sum(topic.sent for topic in topics)
    say(f"{sent} records, {len(STEPS) * len(topics)} changes by Spark, which met {conflicts} conflicts; merged by us since the expiry: {merged}")
    check(scenario, service, catalog, topics)
    say("every reader agrees, and the audit finds nothing")
