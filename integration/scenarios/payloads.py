"""What stands around a row: raw values, headers, constants, coordinates, nested fields chosen by path, change events in JSON."""

import json

import checks
import pyarrow
from broker import Broker
from confluent_kafka import Producer
from rig import Scenario, expect
from service import Service, check_ledger

START = 1_767_225_600_000
PROVENANCE = [("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]


class Topic:
    """One partition; remembers what was sent."""

    def __init__(self, broker, name):
        broker.create_topic(name, 1)
        self.name, self.sent = name, 0
        self.producer = Producer({"bootstrap.servers": broker.address})

    def send(self, key, value, headers=()):
        as_bytes = [None if part is None or isinstance(part, bytes) else json.dumps(part).encode() for part in (key, value)]
        pair = [given if encoded is None else encoded for given, encoded in zip((key, value), as_bytes)]
        self.producer.produce(self.name, key=pair[0], value=pair[1], headers=list(headers), partition=0, timestamp=START + self.sent)
        self.sent += 1
        return {"_kafka_partition": 0, "_kafka_offset": self.sent - 1}

    def offsets(self):
        self.producer.flush()
        return {0: self.sent}


def raw(broker, service):
    topic = Topic(broker, "raw")
    rows = []
    for i in range(200):
        key = None if i % 7 == 0 else b"k%d" % i
        value = None if i % 11 == 0 else bytes([i % 256, 0, 255])
        headers = [("n", b"%d" % i), ("n", b"%d" % (i + 1)), ("x", None)][:i % 4]
        place = topic.send(key, value, headers)
        last = {name: content for name, content in headers}
        rows.append({"key": key, "value": value, "headers": list(last.items()), "timestamp": START + i, **place})
    schema = pyarrow.schema([("key", pyarrow.binary()), ("value", pyarrow.binary()),
                             ("headers", pyarrow.map_(pyarrow.string(), pyarrow.binary())), ("timestamp", pyarrow.timestamp("ms")),
                             *PROVENANCE])
    table = service.topic("raw", None, {"format": "raw"})
    return topic, table, rows, schema, ["_kafka_offset"], 0


def chosen(broker, service):
    topic = Topic(broker, "chosen")
    rows, dead = {}, 0
    for i in range(300):
        key = b"device-%d" % (i % 40)
        if i % 13 == 0:
            topic.send(key, None)
            rows.pop(key, None)
        elif i % 17 == 0:
            topic.send(key, {"customer": {"address": {"city": 7}}})
            dead += 1
        elif i % 19 == 0:
            topic.send(key, {"customer": None}, [("retries", b"many")])
            dead += 1
        else:
            city, at = f"city {i}", START + i * 1000
            value = {"skipped": [i], "customer": {"name": "n", "address": {"city": city, "zip": i}}, "at": at} if i % 5 else {"customer": None, "at": at}
            place = topic.send(key, value, [("trace_id", b"a"), ("trace_id", b"t%d" % i), ("retries", b"%d" % i)] if i % 3 else [])
            rows[key] = {"city": city if i % 5 else None, "at": at, "device": key.decode(), "trace_id": f"t{i}" if i % 3 else None,
                         "retries": i if i % 3 else None, "region": "eu-1", "received_at": START + topic.sent - 1, "topic": "chosen", **place}
    fields = [{"name": "customer", "fields": [{"name": "name", "type": "string"},
                                              {"name": "address", "fields": [{"name": "city", "type": "string"}, {"name": "zip", "type": "int"}]}]},
              {"name": "at", "type": "long"}]
    columns = [{"field": "customer.address.city"}, {"field": "at", "type": "timestamp_ms"}, {"kafka": "key", "as": "device", "type": "string"},
               {"header": "trace_id"}, {"header": "retries", "type": "int"}, {"constant": "eu-1", "as": "region"},
               {"kafka": "timestamp", "as": "received_at"}, {"kafka": "topic"}]
    schema = pyarrow.schema([("city", pyarrow.string()), ("at", pyarrow.timestamp("ms")), ("device", pyarrow.string()),
                             ("trace_id", pyarrow.string()), ("retries", pyarrow.int32()), ("region", pyarrow.string()),
                             ("received_at", pyarrow.timestamp("ms")), ("topic", pyarrow.string()), *PROVENANCE])
    table = service.topic("chosen", {"fields": fields}, {"format": "json"}, key=["device"], columns=columns)
    return topic, table, list(rows.values()), schema, ["device"], dead


def change_events(broker, service):
    """Events as Debezium writes them: with and without their schema, keys alone in `before`, tombstones."""
    topic = Topic(broker, "events")
    rows, dead = {}, 0

    def event(i, op, before, after):
        body = {"before": before, "after": after, "op": op, "ts_ms": START + i,
                "source": {"connector": "postgresql", "db": "shop", "lsn": 1000 + i, "snapshot": "false", "ts_ms": START}}
        return {"schema": {"type": "struct", "fields": []}, "payload": body} if i % 2 else body

    for i in range(400):
        number = i % 30
        key = {"schema": {"type": "struct"}, "payload": {"id": number}} if i % 2 else {"id": number}
        if number in rows and i % 7 == 0:
            topic.send(key, event(i, "d", {"id": number, "name": None}, None))
            topic.send(key, None)
            rows.pop(number)
        elif i % 31 == 0:
            topic.send(key, event(i, "c", None, None))
            dead += 1
        elif i % 37 == 0:
            topic.send(key, event(i, "m", None, None))
        else:
            op = "u" if number in rows else "c" if i % 3 else "r"
            after = {"id": number, "name": f"name {i}", "day": 20_000 + i, "note": None}
            place = topic.send(key, event(i, op, {"id": number} if op == "u" else None, after))
            rows[number] = {**after, "lsn": 1000 + i, "op": op, "position": 1000 + i, **place}
    fields = [{"name": "id", "type": "long", "nullable": False}, {"name": "name", "type": "string"}, {"name": "day", "type": "date"},
              {"name": "note", "type": "string"}]
    columns = [{"debezium": "source.lsn"}, {"debezium": "op"}, {"debezium": "position"}]
    schema = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string()), ("day", pyarrow.date32()), ("note", pyarrow.string()),
                             ("lsn", pyarrow.int64()), ("op", pyarrow.string()), ("position", pyarrow.int64()), *PROVENANCE])
    table = service.topic("events", {"fields": fields}, {"format": "json", "envelope": "debezium"}, key=["id"], ordering="position",
                          columns=columns)
    return topic, table, list(rows.values()), schema, ["id"], dead


with Scenario("payloads") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    made = [make(broker, service) for make in (raw, chosen, change_events)]
    offsets = [topic.offsets() for topic, *_ in made]
    service.start()
    for (topic, table, *_), reached in zip(made, offsets):
        service.wait_for(table, reached, 60)
    service.stop()
    for topic, table, _, _, _, dead in made:
        check_ledger(table, topic.sent, dead=dead)
    expect(made[2][5] > 0, "no broken event was sent")
    checks.thorough(scenario, [(table, pyarrow.Table.from_pylist(rows, schema=schema), key, None) for _, table, rows, schema, key, _ in made])
