"""Records that come late, deletes that come late, keys that move to another partition of the table, and tombstones: every
reader sees what the record with the highest version says, over restarts, without the local state, and with two
instances; table versions 6 and 9.

Options: events per topic (default 40000), seed (default 1)."""

import json
import random
import shutil
import struct
import sys

import checks
import pyarrow
from broker import Broker
from rig import Scenario, say
from service import Service, check_ledger

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
PARTITIONS = 4
KEYS = 3_000
ROUNDS = 5
REGIONS = ["north", "south", "east", "west", "nowhere"]
FIELDS = [{"name": "id", "type": "string", "nullable": False}, {"name": "version", "type": "long", "nullable": False},
          {"name": "region", "type": "string", "nullable": False}, {"name": "note", "type": "string"},
          {"name": "op", "type": "string", "nullable": False}]
ARROW = pyarrow.schema([("id", pyarrow.string()), ("version", pyarrow.int64()), ("region", pyarrow.string()),
                        ("note", pyarrow.string()), ("op", pyarrow.string()), ("_kafka_partition", pyarrow.int32()),
                        ("_kafka_offset", pyarrow.int64())])


class Topic:
    """A log of random events, and what the table must be after each of them."""

    def __init__(self, broker, name, table_version, seed):
        self.broker, self.name, self.table_version = broker, name, table_version
        self.random = random.Random(seed)
        self.offsets = dict.fromkeys(range(PARTITIONS), 0)
        self.rows, self.versions = {}, {}
        self.outcomes = dict.fromkeys(["inserted", "updated", "deleted"], 0)
        self.sent = 0
        self.table = None
        broker.create_topic(name, PARTITIONS)

    def add_to(self, service):
        self.table = service.topic(self.name, {"fields": FIELDS}, {"format": "json"}, self.table_version,
                                   table={"partition_by": ["region"], "buckets": 2}, key=["id"], ordering="version",
                                   delete_when={"field": "op", "equals": "d"}, commit={"interval": "500ms"})

    def event(self):
        number = self.random.randrange(KEYS)
        dice = self.random.random()
        if dice < 0.08:
            return number, None
        # a third of the versions is older than what the key has had
        version = 1000 + self.sent // 20 + self.random.randrange(-300, 300)
        return number, {"id": f"k-{number}", "version": version, "region": self.random.choice(REGIONS),
                        "note": self.random.choice([None, "", "Straße 5, 東京", "x" * 40]), "op": "d" if dice < 0.3 else "u"}

    def happen(self, number, row):
        partition = number % PARTITIONS
        offset = self.offsets[partition]
        self.offsets[partition] += 1
        self.sent += 1
        if row is None:
            self.rows.pop(number, None)
            self.outcomes["deleted"] += 1
            return
        older = row["version"] < self.versions.get(number, row["version"])
        if row["op"] == "d":
            self.outcomes["deleted"] += 1
        else:
            self.outcomes["updated" if older or number in self.rows else "inserted"] += 1
        if older:
            return
        self.versions[number] = row["version"]
        if row["op"] == "d":
            self.rows.pop(number, None)
        else:
            self.rows[number] = {**row, "_kafka_partition": partition, "_kafka_offset": offset}

    def frames(self, count):
        for _ in range(count):
            number, row = self.event()
            key, value = f"k-{number}".encode(), b"" if row is None else json.dumps(row).encode()
            yield struct.pack("<iqii", number % PARTITIONS, -1, len(key), -1 if row is None else len(value)) + key + value
            self.happen(number, row)

    def produce(self, count):
        self.broker.produce(self.name, list(self.frames(count)))

    def model(self):
        return pyarrow.Table.from_pylist(list(self.rows.values()), schema=ARROW)

    def check(self, what=""):
        check_ledger(self.table, self.sent, **self.outcomes)
        checks.quick(scenario, self.table, self.model(), ["id"], what)


def forget_index(service, topics):
    for topic in topics:
        shutil.rmtree(service.folder / "state" / "state" / topic.name)


with Scenario("late_deletes") as scenario:
    broker = Broker(scenario)
    topics = [Topic(broker, f"late_v{version}", version, SEED + version) for version in (6, 9)]
    first, second = Service(scenario, broker), Service(scenario, broker, name="second")
    for service in (first, second):
        for topic in topics:
            topic.add_to(service)

    def run_and_check(services, what, share):
        for service in services:
            service.start()
        for _ in range(ROUNDS):  # so many commits at least
            for topic in topics:
                topic.produce(int(EVENTS * share) // ROUNDS)
            for topic in topics:
                services[0].wait_for(topic.table, topic.offsets, 60)
        for service in services:
            service.stop()
        say(what)
        for topic in topics:
            topic.check(f" {what}")

    run_and_check([first], "after the first run", 0.3)
    run_and_check([first], "after a restart", 0.2)
    forget_index(first, topics)
    run_and_check([first], "after the local state was deleted", 0.2)
    run_and_check([first, second], "after a run of two instances", 0.2)
    run_and_check([second], "after a run of the second instance", 0.1)
    checks.thorough(scenario, [(topic.table, topic.model(), ["id"], None) for topic in topics])
