"""Steps that the scenarios with orders share."""

import itertools
import json
import pathlib
import time

import checks
import data_orders as orders
import pyarrow.compute
import readers
import table_log
from compare import compare
from rig import Failure, expect, say, wait_until

DERIVED = {"created_at_day": lambda model: pyarrow.compute.strftime(model.column("created_at"), "%Y-%m-%d")}
TOPIC_OPTIONS = {
    "key": ["order_id"],
    "ordering": "updated_at",
    "delete_when": {"field": "op", "equals": "d"},
    "event_time": {"field": "updated_at", "unit": "ms", "max_lateness": "10m", "late": "merge"},
}


class OrderTopic:
    """A log of orders, its Kafka topic, its table, and the model after any offsets."""

    def __init__(self, scenario, broker, service, name, count, registry=None, table_version=6, partitions=4, seed=1,
                 buckets=4, plain=False, iceberg=None, **options):
        """iceberg: format version of an Iceberg table instead of a Hudi one."""
        self.scenario, self.broker, self.name = scenario, broker, name
        self.orders = orders.Orders(count, partitions, seed)
        self.log_path = scenario.folder / f"{name}-log.parquet"
        self.orders.write_log(self.log_path)
        broker.create_topic(name, partitions)
        if registry:
            self.encoder = orders.Avro(registry.register(f"{name}-value", orders.SCHEMA))
            schema, value = "registry", {"format": "avro"}
        else:
            self.encoder = orders.PlainJson() if plain else orders.Json()
            schema, value = {"fields": self.encoder.fields}, {"format": "json"}
        self.service, self.iceberg = service, iceberg
        self.derived = None if plain or iceberg else DERIVED
        format_options = {"format": "iceberg", "format_version": iceberg} if iceberg else {}
        self.table = service.topic(name, schema, value, table_version,
                                   table={"partition_by": [] if plain else ["day(created_at)"], "buckets": buckets,
                                          **format_options},
                                   **{**TOPIC_OPTIONS, **options})
        self.sent = 0

    def produce(self, last=None):
        """Sends the log up to record `last` and returns the offsets reached."""
        last = len(self.orders.log) if last is None else last
        self.broker.produce(self.name, self.orders.frames(self.encoder, self.sent, last))
        self.sent = last
        return self.offsets()

    def produce_slowly(self, rate, last=None):
        """Sends the log up to record `last` in the background; returns the process."""
        last = len(self.orders.log) if last is None else last
        path = self.scenario.folder / f"{self.name}.frames"
        with path.open("wb") as frames:
            frames.writelines(self.orders.frames(self.encoder, self.sent, last))
        self.sent = last
        return self.broker.start_producer(self.name, path, rate)

    def offsets(self):
        """Next offset of every partition after what was sent."""
        offsets = dict.fromkeys(range(self.orders.partitions), 0)
        for partition, offset, *_ in self.orders.log[:self.sent]:
            offsets[partition] = offset + 1
        return offsets

    def model(self, offsets=None):
        return orders.model(self.log_path, offsets or self.offsets(), self.encoder)

    def expected_broken(self):
        return {(p, o) for p, o, kind, *_ in self.orders.log[:self.sent] if kind == "x"}

    def deleted_since(self, offsets):
        """Keys that a record at these offsets or later deletes."""
        return {self.orders.key(number) for partition, offset, kind, number, _ in self.orders.log
                if kind in "dt" and offset >= offsets.get(partition, 0)}

    def compare_while_running(self, read, what, derived=None):
        """What a reader sees now must be the model at the offsets of some commit that was the newest one
        between the start and the end of the reading. Returns the records that commit covers."""
        before = table_log.progress(self.table)
        return self.compare_seen(before, read(), what, derived)

    def compare_seen(self, before, found, what, derived=None):
        """The same of rows that were read since the progress was `before`."""
        after = table_log.progress(self.table)
        # commits may have been archived meanwhile, even the one that was the newest before
        newer = [commit for commit in after if commit[0] > before[-1][0]]
        failure = None
        for instant, state in reversed([before[-1], *newer]):
            offsets = {int(p): o[0] for p, o in state["offsets"].items()}
            try:
                compare(f"{what} at commit {instant}", checks.as_stored(self.model(offsets), derived), found, orders.KEY)
                return sum(offsets.values())
            except Failure as error:
                failure = failure or error
        raise Failure(f"{what}: equal to none of the {len(newer) + 1} commits it may have read; newest:\n{failure}")

    def check_dead_letters(self):
        """Every broken record, and nothing else, exactly once among the dead letters."""
        expected = self.expected_broken()
        path = pathlib.Path(self.service.settings["state_dir"]) / "dead_letters" / f"{self.name}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [(letter["partition"], letter["offset"]) for letter in map(json.loads, lines)]
        expect(len(found) == len(set(found)), f"{self.name}: {len(found) - len(set(found))} dead letters twice")
        expect(set(found) == expected, f"{self.name}: dead letters differ: {len(set(found) - expected)} too many "
               f"{sorted(set(found) - expected)[:5]}, {len(expected - set(found))} missing "
               f"{sorted(expected - set(found))[:5]}")
        say(f"  {self.name}: {len(found)} dead letters, each once")

    def check_quick(self, what=""):
        if self.iceberg:
            checks.quick_iceberg(self.scenario, self.table, self.model(), orders.KEY, what)
        else:
            checks.quick(self.scenario, self.table, self.model(), orders.KEY, what, self.derived)

    def for_thorough(self):
        return self.table, self.model(), orders.KEY, *([] if self.iceberg else [self.derived])


def run_orders(scenario, service, topic, rate=10_000):
    """The first half waits in Kafka, the second arrives while readers look."""
    topic.produce(len(topic.orders.log) // 2)
    service.start()
    producer = topic.produce_slowly(rate)
    schema = topic.model({0: 0}).schema
    topic_readers = [("moraine scan", lambda: readers.moraine(scenario, topic.table, schema), None)]
    if topic.iceberg:
        for reader in ("pyiceberg", "duckdb"):
            read = lambda reader=reader: readers.iceberg(scenario, reader, topic.table, schema)
            topic_readers.append((readers.iceberg_name(reader), read, None))
    else:
        topic_readers.append(("hudi-rs", lambda: readers.hudi_rs(scenario, topic.table), topic.derived))
    seen = []

    def first_commit():
        service.process.expect_running()
        return table_log.progress(topic.table)

    wait_until(first_commit, 60, f"the first commit of {topic.name}")
    end = time.monotonic() + 180
    for round_number in itertools.count():
        service.process.expect_running()
        expect(time.monotonic() < end, "the table does not catch up with the producer")
        name, read, derived = topic_readers[round_number % len(topic_readers)]
        seen.append(topic.compare_while_running(read, f"{name} during ingestion", derived))
        if not producer.running and seen[-1] == len(topic.orders.log):
            break
    say(f"  snapshots while records arrived: {len(seen)}, of {len(set(seen))} different commits: {sorted(set(seen))}")
    expect(producer.stop(seconds=120) == 0, "the producer failed")
