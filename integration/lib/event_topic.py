"""A topic of random events: upserts, deletes and tombstones, a third of them late, keys that move between partitions of the
table; and what the table must be after each of them."""

import json
import random
import struct

import pyarrow

from service import check_ledger

PARTITIONS = 4
REGIONS = ["north", "south", "east", "west", "nowhere"]
FIELDS = [{"name": "id", "type": "string", "nullable": False}, {"name": "version", "type": "long", "nullable": False},
          {"name": "region", "type": "string", "nullable": False}, {"name": "note", "type": "string"},
          {"name": "op", "type": "string", "nullable": False}]
ARROW = pyarrow.schema([("id", pyarrow.string()), ("version", pyarrow.int64()), ("region", pyarrow.string()),
                        ("note", pyarrow.string()), ("op", pyarrow.string()), ("_kafka_partition", pyarrow.int32()),
                        ("_kafka_offset", pyarrow.int64())])


class EventTopic:
    """append: rows stay as they come, in a table without keys, and there are no tombstones."""

    def __init__(self, broker, name, seed, keys=3_000, append=False, regions=REGIONS):
        self.broker, self.name, self.keys, self.append, self.regions = broker, name, keys, append, regions
        self.random = random.Random(seed)
        self.offsets = dict.fromkeys(range(PARTITIONS), 0)
        self.rows, self.versions = {}, {}
        self.outcomes = dict.fromkeys(["inserted", "updated", "deleted"], 0)
        self.sent = 0
        self.table = None
        self.key = ["_kafka_partition", "_kafka_offset"] if append else ["id"]
        broker.create_topic(name, PARTITIONS)

    def add_to(self, service, table, table_version=6, **options):
        keyed = {} if self.append else {"key": ["id"], "ordering": "version", "delete_when": {"field": "op", "equals": "d"}}
        self.table = service.topic(self.name, {"fields": FIELDS}, {"format": "json"}, table_version, table=table,
                                   **{**keyed, "commit": {"interval": "500ms"}, **options})

    def pick(self):
        """The number of the next record's key."""
        return self.random.randrange(self.keys)

    def event(self):
        number = self.pick()
        dice = self.random.random()
        if dice < 0.08 and not self.append:
            return number, None
        # a third of the versions is older than what the key has had
        version = 1000 + self.sent // 20 + self.random.randrange(-300, 300)
        return number, {"id": f"k-{number}", "version": version, "region": self.random.choice(self.regions),
                        "note": self.random.choice([None, "", "Straße 5, 東京", "x" * 40]), "op": "d" if dice < 0.3 else "u"}

    def happen(self, number, row):
        partition = number % PARTITIONS
        offset = self.offsets[partition]
        self.offsets[partition] += 1
        self.sent += 1
        if self.append:
            self.outcomes["inserted"] += 1
            self.rows[partition, offset] = {**row, "_kafka_partition": partition, "_kafka_offset": offset}
            return
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

    def check_ledger(self):
        check_ledger(self.table, self.sent, **self.outcomes)
