"""Spark writes into tables of ours between commits of the service: inserts, updates, deletes, merges, rewrites of data files,
manifests and delete files, expiry. The service goes on with what it finds: nothing is lost, nothing doubled, no row comes back from
the dead. Versions 2 and 3.

Tables of the file system have no lock that all engines share, and Spark replaces what another one just published: the topic is
paused while Spark writes."""

import checks
import readers
from broker import Broker
from event_topic import EventTopic
from rig import Scenario
from service import Service

EVENTS = 4000


class SharedTopic(EventTopic):
    """Remembers which keys were ever deleted: what is known of those after Spark deleted them, too, is nobody's promise."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.was_deleted = set()

    def happen(self, number, row):
        if row is None or row["op"] == "d":
            self.was_deleted.add(number)
        super().happen(number, row)

    def some_live(self, count):
        """Live keys that were never deleted."""
        return self.random.sample(sorted(n for n in self.rows if n not in self.was_deleted), count)


def ids(numbers):
    return ", ".join(f"'k-{n}'" for n in numbers)


def insert(spark, topic):
    numbers = [10_000 + len(topic.rows) + i for i in range(20)]
    rows = [{"id": f"k-{n}", "version": 500 + n % 7, "region": "north", "note": "spark", "op": "u", "_kafka_partition": None,
             "_kafka_offset": None} for n in numbers]
    values = ", ".join(f"('{r['id']}', {r['version']}L, 'north', 'spark', 'u', cast(null as int), cast(null as bigint))" for r in rows)
    spark.sql(f"INSERT INTO lake.ns.{topic.name} VALUES {values}")
    for number, row in zip(numbers, rows):
        topic.rows[number], topic.versions[number] = row, row["version"]


def delete(spark, topic):
    numbers = topic.some_live(30)
    spark.sql(f"DELETE FROM lake.ns.{topic.name} WHERE id IN ({ids(numbers)})")
    for number in numbers:
        del topic.rows[number], topic.versions[number]


def update(spark, topic):
    numbers = topic.some_live(40)
    spark.sql(f"UPDATE lake.ns.{topic.name} SET note = 'updated by spark' WHERE id IN ({ids(numbers)})")
    for number in numbers:
        topic.rows[number] = {**topic.rows[number], "note": "updated by spark"}


def merge(spark, topic):
    matched = topic.some_live(15)
    new = [20_000 + len(topic.rows) + i for i in range(5)]
    source = " UNION ALL ".join(f"SELECT 'k-{n}' AS id" for n in matched + new)
    spark.sql(f"""MERGE INTO lake.ns.{topic.name} t USING ({source}) s ON t.id = s.id
                  WHEN MATCHED THEN UPDATE SET t.note = 'merged'
                  WHEN NOT MATCHED THEN INSERT (id, version, region, note, op) VALUES (s.id, 400L, 'west', 'new', 'u')""")
    for number in matched:
        topic.rows[number] = {**topic.rows[number], "note": "merged"}
    for number in new:
        topic.rows[number] = {"id": f"k-{number}", "version": 400, "region": "west", "note": "new", "op": "u",
                              "_kafka_partition": None, "_kafka_offset": None}
        topic.versions[number] = 400


def rewrite_data(spark, topic):
    spark.sql(f"CALL lake.system.rewrite_data_files(table => 'ns.{topic.name}', options => map('rewrite-all', 'true'))")


def rewrite_manifests(spark, topic):
    spark.sql(f"CALL lake.system.rewrite_manifests('ns.{topic.name}')")


def rewrite_deletes(spark, topic):
    spark.sql(f"CALL lake.system.rewrite_position_delete_files(table => 'ns.{topic.name}', options => map('rewrite-all', 'true'))")


def expire(spark, topic):
    spark.sql(f"CALL lake.system.expire_snapshots(table => 'ns.{topic.name}', older_than => TIMESTAMP '2100-01-01 00:00:00', "
              "retain_last => 2)")


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
            step(spark, topic)
            service.post(f"/topics/{topic.name}/resume")
        ingest(EVENTS // len(STEPS))
        for topic in topics:
            checks.quick_iceberg(scenario, topic.table, topic.model(), topic.key, f" after {step.__name__}")
    service.stop()
    # DuckDB 1.5.5 gives one of the data files here the deletion vector of another; every other reader agrees with the model
    checks.thorough_iceberg(scenario, [(topic.table, topic.model(), topic.key) for topic in topics], {("shared_v3", "duckdb")})
