"""Spark writes into tables of ours between commits of the service: inserts, updates, deletes, merges, rewrites of data files,
manifests and delete files, expiry. The service goes on with what it finds: nothing is lost, nothing doubled, no row comes back from
the dead. Versions 2 and 3.

Tables of the file system have no lock that all engines share, and Spark replaces what another one just published: the topic is
paused while Spark writes."""

import checks
import readers
from broker import Broker
from rig import Scenario
from service import Service
from spark_writes import (SharedTopic, delete, expire, insert, merge, rewrite_data, rewrite_deletes, rewrite_manifests, update)

EVENTS = 4000
STEPS = [insert, delete, rewrite_data, update, rewrite_deletes, merge, rewrite_manifests, rewrite_data, expire, delete, insert]

with Scenario("iceberg_spark") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    service.allow_posts()
    warehouse = scenario.folder / "warehouse"
    topics = [SharedTopic(broker, f"shared_v{version}", version, keys=1000) for version in (2, 3)]
    for version, topic in zip((2, 3), topics):
        topic.add_to(service, {"format": "iceberg", "format_version": version, "partition_by": ["region"]},
                     lake=warehouse / "ns", compaction={"mode": "external"})
    service.start()
    spark = readers.SparkSession(scenario, warehouse)

    def ingest(count):
        for topic in topics:
            topic.produce(count)
        for topic in topics:
            service.wait_for(topic.table, topic.offsets, 60)

    ingest(EVENTS // 2)
    for step in STEPS:
        for topic in topics:
            service.post(f"/topics/{topic.name}/pause")
            change = step(topic)
            spark.sql(change.statement)
            change.happen()
            service.post(f"/topics/{topic.name}/resume")
        ingest(EVENTS // len(STEPS))
        for topic in topics:
            checks.quick_iceberg(scenario, topic.table, topic.model(), topic.key, f" after {step.__name__}")
    service.stop()
    # with its cache DuckDB 1.5.5 may give one data file the vector of another in Spark's Puffin files
    checks.thorough_iceberg(scenario, [(topic.table, topic.model(), topic.key) for topic in topics], "duckdb_uncached")
