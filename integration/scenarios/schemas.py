"""Where columns come from: JSON Schema in the registry and in a file, columns inferred from the first records (and pinned over a
restart), Avro with unions, defaults and aliases over three versions of a schema."""

import io
import json

import checks
import fastavro
import pyarrow
import rig
from broker import Broker
from confluent_kafka import Producer
from registry import Registry
from rig import Scenario, expect
from service import Service, check_ledger

PROVENANCE = [("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]
ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": ["null", "string"]}}}
DOCUMENT = {
    "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id"],
    "properties": {"id": {"type": "integer"}, "name": {"oneOf": [{"type": "null"}, {"type": "string"}]}, "score": {"type": "number"},
                   "at": {"type": "string", "format": "date-time"}, "address": {"$ref": "address.json"},
                   "tags": {"type": "array", "items": {"type": "string"}}, "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                   "free": {"type": ["string", "object", "integer"]}}}
DOCUMENT_MODEL = pyarrow.schema([
    ("id", pyarrow.int64()), ("name", pyarrow.string()), ("score", pyarrow.float64()), ("at", pyarrow.timestamp("us")),
    ("address", pyarrow.struct([("city", pyarrow.string()), ("zip", pyarrow.string())])), ("tags", pyarrow.list_(pyarrow.string())),
    ("counts", pyarrow.map_(pyarrow.string(), pyarrow.int64())), ("free", pyarrow.string()), *PROVENANCE])


class Log:
    def __init__(self, broker, name):
        broker.create_topic(name, 1)
        self.producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
        self.name, self.sent, self.dead, self.rows = name, 0, 0, []

    def send(self, value, row=None):
        self.producer.produce(self.name, value=value, partition=0)
        if row is None:
            self.dead += 1
        else:
            self.rows.append({**row, "_kafka_partition": 0, "_kafka_offset": self.sent})
        self.sent += 1

    def offsets(self):
        self.producer.flush()
        return {0: self.sent}


def documents(log, header):
    for i in range(200):
        free = [{"x": [i]}, "text", i, None][i % 4]
        value = {"id": i, "name": None if i % 3 else f"n{i}", "score": i / 4, "at": f"2026-01-{i % 28 + 1:02}T10:00:00Z", "tags": ["a"] * (i % 3),
                 "address": {"city": "x", "zip": None} if i % 2 else None, "counts": {f"k{i}": i}, "free": free, "unknown": {"deep": [1]}}
        if i % 17 == 0:
            del value["id"]
            log.send(header + json.dumps(value).encode())
        elif i % 19 == 0:
            log.send(header + json.dumps(value | {"score": "high"}).encode())
        else:
            row = {k: v for k, v in value.items() if k != "unknown"}
            row.update(at=f"2026-01-{i % 28 + 1:02}T10:00:00", counts=list(value["counts"].items()),
                       free=free if isinstance(free, str) or free is None else json.dumps(free))
            log.send(header + json.dumps(value).encode(), row)


def inferred(log, first, last):
    for i in range(first, last):
        value = {"id": i, "flag": i % 2 == 0, "amount": i if i % 3 else i + 0.5, "mixed": ["t", 1, None][i % 3], "inner": {"a": i, "b": {"c": "d"}},
                 "list": [{"x": i}, {"y": "z"}], "none": None}
        row = {**value, "amount": float(value["amount"]), "mixed": None if value["mixed"] is None else str(value["mixed"]),
               "list": [{"x": i, "y": None}, {"x": None, "y": "z"}]}
        if last > 200 and i % 7 == 0:
            log.send(json.dumps(value | {"flag": "yes"}).encode())
        elif last > 200 and i % 5 == 0:
            log.send(json.dumps(value | {"new": 1, "none": {"now": 1}}).encode(), row | {"none": '{"now": 1}'})
        else:
            log.send(json.dumps(value).encode(), row)


INFERRED_MODEL = pyarrow.schema([
    ("id", pyarrow.int64()), ("flag", pyarrow.bool_()), ("amount", pyarrow.float64()), ("mixed", pyarrow.string()),
    ("inner", pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.struct([("c", pyarrow.string())]))])),
    ("list", pyarrow.list_(pyarrow.struct([("x", pyarrow.int64()), ("y", pyarrow.string())]))), ("none", pyarrow.string()), *PROVENANCE])

V1 = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "int"}, {"name": "old_name", "type": "string"},
                                                {"name": "choice", "type": ["null", "string", "long", {"type": "array", "items": "int"}]}]}
V2 = {"type": "record", "name": "R", "fields": [
    {"name": "choice", "type": ["null", "string", "long", {"type": "array", "items": "int"}], "default": None},
    {"name": "name", "type": "string", "aliases": ["old_name"]}, {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}, "default": "B"},
    {"name": "levels", "type": {"type": "array", "items": "int"}, "default": [1, 2]}, {"name": "number", "type": ["int", "long"], "default": 7},
    {"name": "span", "type": {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}, "default": "\u0000" * 12}, {"name": "id", "type": "long"}]}
AVRO_MODEL = pyarrow.schema([
    ("choice", pyarrow.struct([("string", pyarrow.string()), ("long", pyarrow.int64()), ("array", pyarrow.list_(pyarrow.int32()))])),
    ("name", pyarrow.string()), ("kind", pyarrow.string()), ("levels", pyarrow.list_(pyarrow.int32())), ("number", pyarrow.int64()),
    ("span", pyarrow.binary()), ("id", pyarrow.int64()), *PROVENANCE])


def unions(log, registry):
    ids = [registry.register("unions-value", V1), registry.register("unions-value", V2)]
    for i in range(200):
        version = i % 2
        choice = [None, f"s{i}", 2**40 + i, [1, i]][i // 2 % 4]
        row = {"choice": None if choice is None else {"string": choice if isinstance(choice, str) else None,
                                                      "long": choice if isinstance(choice, int) else None,
                                                      "array": choice if isinstance(choice, list) else None},
               "name": f"n{i}", "kind": "A" if version else "B", "levels": [i] if version else [1, 2], "number": 2**40 if version else 7,
               "span": b"\x01" * 12 if version else b"\x00" * 12, "id": i}
        datum = io.BytesIO()
        fastavro.schemaless_writer(datum, fastavro.parse_schema((V1, V2)[version]), row | {"choice": choice, "old_name": f"n{i}"})
        log.send(b"\x00" + ids[version].to_bytes(4, "big") + datum.getvalue(), row)


with Scenario("schemas") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    request = {"schemaType": "JSON", "schema": json.dumps(ADDRESS)}
    registry.request("POST", "/subjects/address.json/versions", request)
    request = {"schemaType": "JSON", "schema": json.dumps(DOCUMENT),
               "references": [{"name": "address.json", "subject": "address.json", "version": 1}]}
    number = registry.request("POST", "/subjects/shop.Document/versions", request)["id"]
    whole = json.loads(json.dumps(DOCUMENT))
    whole["definitions"] = {"address": ADDRESS}
    whole["properties"]["address"]["$ref"] = "#/definitions/address"
    rig.write_json(service.folder / "topics" / "document.json", whole)
    logs = {name: Log(broker, name) for name in ("registered", "filed", "guessed", "unions")}
    documents(logs["registered"], b"\x00" + number.to_bytes(4, "big"))
    documents(logs["filed"], b"")
    inferred(logs["guessed"], 0, 200)
    unions(logs["unions"], registry)
    tables = {"registered": service.topic("registered", {"subject": "shop.Document"}, {"format": "json"}),
              "filed": service.topic("filed", {"file": "document.json"}, {"format": "json"}, table_version=9),
              "guessed": service.topic("guessed", "inferred", {"format": "json"}),
              "unions": service.topic("unions", "registry", {"format": "avro"})}
    service.start()
    for name, log in logs.items():
        service.wait_for(tables[name], log.offsets(), 60)
    service.wait_for_words(0, ["schema_inferred", "amount:double", "mixed:json"], 5)
    service.stop()
    # what was inferred is pinned: the next start reads it from the table
    position = service.log_size()
    inferred(logs["guessed"], 200, 400)
    service.start()
    service.wait_for(tables["guessed"], logs["guessed"].offsets(), 60)
    expect("schema_inferred" not in service.log_since(position), "the columns were inferred a second time")
    service.stop()
    models = {"registered": DOCUMENT_MODEL, "filed": DOCUMENT_MODEL, "guessed": INFERRED_MODEL, "unions": AVRO_MODEL}
    readings = []
    for name, log in logs.items():
        check_ledger(tables[name], log.sent, dead=log.dead)
        rows = pyarrow.Table.from_pydict({f.name: pyarrow.array([r.get(f.name) for r in log.rows]) if f.name == "at"
                                          else pyarrow.array([r.get(f.name) for r in log.rows], f.type) for f in models[name]})
        readings.append((tables[name], rows.cast(models[name]), ["_kafka_offset"], None))
    checks.thorough(scenario, readings)
