"""Keys, partition values and records that are hard to write down: separators, escapes, every alphabet, absent values,
values of 900 KiB, hundreds of table partitions, composite keys, in a budget of 128 MiB. Versions 6 and 9."""

import json
import random
import struct

import checks
import pyarrow
import pyarrow.compute
from broker import Broker
from rig import Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, MEMORY = 3, 128
REGIONS = ["north", "a/b", "ü", "x=y", "%41", "..", ".", "a b", "東京", "a%2Fb", "semi;colon", "q?mark", "#hash", "tab\there",
           "'quote'", "{brace}", "a:b", "back\\slash", None, "+plus", "MixedCase", "mixedcase"]
KEYS = ["plain", "a:b", "a,b", "x:1,y:2", "🚚", "Straße", " blank ", "a/b", "%25", "null", "__null__", "0", "007", "é" * 50,
        "\"quoted\"", "new\nline", "k" * 3000]
START = 1_767_225_600_000
FIELDS = [{"name": "k", "type": "string"}, {"name": "region", "type": "string"}, {"name": "version", "type": "long"},
          {"name": "payload", "type": "string"}]
PAIR_FIELDS = [{"name": "tenant", "type": "string"}, {"name": "number", "type": "int"}, {"name": "at", "type": "timestamp_ms"},
               {"name": "version", "type": "long"}, {"name": "payload", "type": "string"}]


def frame(partition, key, value):
    head = struct.pack("<iqii", partition, -1, -1 if key is None else len(key), -1 if value is None else len(value))
    return head + (key or b"") + (value or b"")


class Log:
    """Frames of a topic with the rows they lead to; the partition of a key never changes."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.frames, self.rows, self.offsets = [], {}, [0] * PARTITIONS
        self.records = self.dead = 0

    def send(self, key, key_bytes, row, dead=False):
        partition = sum(key_bytes) % PARTITIONS
        value = None if row is None else json.dumps(row, ensure_ascii=False).encode() if isinstance(row, dict) else row
        self.frames.append(frame(partition, key_bytes, value))
        offset = self.offsets[partition]
        self.offsets[partition] += 1
        self.records += 1
        if dead:
            self.dead += 1
        elif row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = {**row, "_kafka_partition": partition, "_kafka_offset": offset}


def single(seed, count):
    log = Log(seed)
    place = {}
    for number in range(count):
        key = log.random.choice(KEYS) + (str(number % 400) if log.random.random() < 0.9 else "")
        region = place.setdefault(key, log.random.choice(REGIONS + [f"r{i}" for i in range(150)]))
        dice = log.random.random()
        if dice < 0.1 and key in log.rows:
            log.send(key, key.encode(), None)
        elif dice < 0.12:
            log.send(key, key.encode(), {"k": None, "region": region, "version": number, "payload": "no key"}, dead=True)
        elif dice < 0.13:
            log.send(key, key.encode(), {"k": key, "region": region, "version": None, "payload": "no version"}, dead=True)
        elif dice < 0.14:
            log.send(key, key.encode(), {"k": "", "region": region, "version": 1, "payload": "empty key"}, dead=True)
        else:
            size = 900 << 10 if number % 1500 == 77 else log.random.choice([0, 10, 200])
            log.send(key, key.encode(), {"k": key, "region": region, "version": number, "payload": "p" * size})
    return log


def pairs(seed, count):
    log = Log(seed)
    for number in range(count):
        tenant, item = log.random.choice(REGIONS[1:5] + ["t1", "a,b:c", None]), number % 50
        key = (tenant, item)
        at = START + item * 3_600_000 + 59 * 60_000
        key_bytes = json.dumps({"tenant": tenant, "number": item}, ensure_ascii=False).encode()
        if log.random.random() < 0.1 and key in log.rows:
            log.send(key, key_bytes, None)
        else:
            log.send(key, key_bytes, {"tenant": tenant, "number": item, "at": at, "version": number, "payload": "x" * 20})
    return log


def table_of(log, schema):
    return pyarrow.Table.from_pylist(list(log.rows.values()), schema=schema)


PROVENANCE = [("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]
SINGLE = pyarrow.schema([("k", pyarrow.string()), ("region", pyarrow.string()), ("version", pyarrow.int64()),
                         ("payload", pyarrow.string()), *PROVENANCE])
PAIR = pyarrow.schema([("tenant", pyarrow.string()), ("number", pyarrow.int32()), ("at", pyarrow.int64()),
                       ("version", pyarrow.int64()), ("payload", pyarrow.string()), *PROVENANCE])

with Scenario("awkward") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker, memory=f"{MEMORY}MiB")
    todo = []
    for version in (6, 9):
        for name, log, fields, schema, key, partition in (
                (f"single{version}", single(version, 6000), FIELDS, SINGLE, ["k"], ["region"]),
                (f"pairs{version}", pairs(version, 4000), PAIR_FIELDS, PAIR, ["tenant", "number"], ["hour(at)"])):
            broker.create_topic(name, PARTITIONS)
            sent = broker.produce(name, log.frames)
            table = service.topic(name, {"fields": fields}, {"format": "json"}, version,
                                  table={"partition_by": partition, "buckets": 2}, key=key, ordering="version", commit={"interval": "1s"})
            todo.append((table, log, schema, key, sent))
    service.start()
    for table, log, schema, key, sent in todo:
        service.wait_for(table, sent["offsets"], 200)
    high = service.memory_high_bytes()
    say(f"  VmHWM {high >> 20} MiB of {MEMORY}")
    service.stop()
    readings = []
    for table, log, schema, key, sent in todo:
        model = table_of(log, schema)
        derived = None
        if "at" in schema.names:
            model = model.set_column(2, "at", model.column("at").cast(pyarrow.timestamp("ms")))
            derived = {"at_hour": lambda m: pyarrow.compute.strftime(m.column("at"), "%Y-%m-%d-%H")}
        check_ledger(table, log.records, dead=log.dead)
        readings.append((table, model, key, derived))
    checks.thorough(scenario, readings)
    expect(high <= MEMORY << 20, f"VmHWM {high >> 20} MiB, the budget {MEMORY} MiB")
