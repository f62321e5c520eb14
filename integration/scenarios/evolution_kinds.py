"""Schemas of every kind change while the service runs: rows of change events gain a column, Protobuf messages and JSON Schemas a
field, nested records of Avro fields of their own; fields are dropped and come back, get another name with an alias, become
optional, decimals more digits. Old and new writers alternate, nothing is restarted, and every value is in its column."""

import datetime
import decimal
import io
import json

import checks
import fastavro
import pyarrow
import rig
from broker import Broker
from confluent_kafka import Producer
from registry import Registry
from rig import Scenario, expect, say
from service import Service, check_ledger

ROUNDS, EACH = 6, 100
COUNT = 400


def record(name, *fields):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, **(more[0] if more else {})} for n, t, *more in fields]}


def optional(kind):
    return ["null", kind], {"default": None}


def decimal_of(precision):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 2}


def avro_bytes(schema, datum):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(schema))), datum)
    return out.getvalue()


# ---- change events: the table of the database gets a column and a wider one, the connector a newer source block ----------------

def envelope(row, source):
    return record("Envelope", ("before", ["null", row]), ("after", ["null", row["name"]]), ("source", record("Source", *source)), ("op", "string"))


CDC = [envelope(record("Value", ("id", "long"), ("n", *optional("int"))), [("lsn", "long")]),
       envelope(record("Value", ("id", "long"), ("n", *optional("int"))), [("lsn", "long"), ("txId", *optional("long"))]),
       envelope(record("Value", ("id", "long"), ("email", *optional("string")), ("n", *optional("long"))), [("lsn", "long")])]


def change_event(i, version):
    row = {"id": i, "n": i * (10**12 if version == 2 else 1), **({"email": f"{i}@example.org"} if version == 2 else {})}
    source = {"lsn": i, **({"txId": 1} if version == 1 else {})}
    return avro_bytes(CDC[version], {"before": None, "after": row, "source": source, "op": "c"}), {"email": None, **row}


# ---- Avro: nested, dropped and back, renamed, optional, more digits -------------------------------------------------------------

def item(*more):
    return {"type": "array", "items": record("Item", ("sku", "string"), *more)}


AVRO = [record("Order", ("id", "long"), ("place", record("Place", ("city", "string"))), ("items", item()), ("note", *optional("string")),
               ("amount", decimal_of(6)), ("must", "string"), ("old_name", "string")),
        record("Order", ("id", "long"), ("place", record("Place", ("zip", *optional("string")), ("city", "string"))),
               ("items", item(("pieces", *optional("int")))), ("amount", decimal_of(12)), ("must", *optional("string")),
               ("new_name", "string", {"aliases": ["old_name"]})),
        record("Order", ("id", "long"), ("place", record("Place", ("city", "string"))), ("items", item(("pieces", *optional("long")))),
               ("note", *optional("string")), ("amount", decimal_of(12)), ("must", *optional("string")), ("new_name", "string", {"aliases": ["old_name"]}))]


def order(i, version):
    name = "old_name" if version == 0 else "new_name"
    amount = decimal.Decimal(i) / 100 + (10**9 if version else 0)
    pieces = [None, i, i * 10**10][version]
    datum = {"id": i, "place": {"city": f"c{i}", "zip": f"z{i}"}, "items": [{"sku": "a", "pieces": pieces}, {"sku": f"s{i}", "pieces": None}], "note": f"n{i}",
             "amount": amount, "must": None if version and i % 2 else f"m{i}", name: f"name {i}"}
    row = {"id": i, "place": {"city": f"c{i}", "zip": f"z{i}" if version == 1 else None}, "items": datum["items"],
           "note": None if version == 1 else f"n{i}", "amount": amount, "must": datum["must"], "old_name": f"name {i}"}
    return avro_bytes(AVRO[version], datum), row


# ---- Protobuf, by hand ----------------------------------------------------------------------------------------------------------

PROTO = ["int64 id = 1; int32 n = 2; Inner inner = 3; repeated Inner list = 4; } message Inner { string s = 1;",
         "int64 id = 1; int64 n = 2; Inner inner = 3; repeated Inner list = 4; optional string added = 7; } message Inner { string s = 1; int32 more = 2;"]


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, content):
    return varint(number << 3) + varint(content) if isinstance(content, int) else varint(number << 3 | 2) + varint(len(content)) + content


def message(i, version):
    inner = field(1, f"s{i}".encode()) + (field(2, i + 1) if version else b"")
    n = i * (10**11 if version else 1)
    content = field(1, i) + field(2, n) + field(3, inner) + field(4, inner) + (field(7, b"x") if version else b"")
    # a number is zero where it is absent from a message of a type that has it, null where the type lacks it
    nested = {"s": f"s{i}", "more": i + 1 if version else None}
    return b"\0" + content, {"id": i, "n": n, "inner": nested, "list": [nested], "added": "x" if version else None}


def frozen_message(i, version):
    """The newer type's fields are left out."""
    value, row = message(i, version)
    small, _ = message(i, 0)
    return value.replace(field(2, row["n"]), field(2, i)) if version else small, {**row, "n": i, "inner": {"s": f"s{i}"}, "list": [{"s": f"s{i}"}]}


# ---- JSON with a schema of the registry -----------------------------------------------------------------------------------------

def json_schema(**more):
    place = {"type": "object", "properties": {"x": {"type": "number"}, **more.pop("place", {})}}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "title": "doc", "required": ["id"],
            "properties": {"id": {"type": "integer"}, "place": place, **more}}


JSON = [json_schema(), json_schema(place={"y": {"type": "number"}}, at={"type": "string", "format": "date-time"})]


def document(i, version):
    value = {"id": i, "place": {"x": i / 2, **({"y": i / 4} if version else {})}, **({"at": f"2026-01-01T00:00:{i % 60:02d}Z"} if version else {})}
    return json.dumps(value).encode(), {"at": None, **value, "place": {"y": None, **value["place"]}}


KINDS = {  # topic: (what the registry gets, how value and row are made, order of versions, changes, columns, options)
    "cdc": ([{"schema": json.dumps(s)} for s in CDC], change_event, [0, 1, 2, 0, 2, 1], 1,
            [("id", pyarrow.int64()), ("n", pyarrow.int64()), ("email", pyarrow.string())],
            {"value": {"format": "avro", "envelope": "debezium"}}),
    "order": ([{"schema": json.dumps(s)} for s in AVRO], order, [0, 1, 0, 2, 1, 2], 1,
              [("id", pyarrow.int64()), ("place", pyarrow.struct([("city", pyarrow.string()), ("zip", pyarrow.string())])),
               ("items", pyarrow.list_(pyarrow.struct([("sku", pyarrow.string()), ("pieces", pyarrow.int64())]))), ("note", pyarrow.string()),
               ("amount", pyarrow.decimal128(12, 2)), ("must", pyarrow.string()), ("old_name", pyarrow.string())], {"value": {"format": "avro"}}),
    "proto": ([{"schemaType": "PROTOBUF", "schema": f'syntax = "proto3"; message M {{ {text} }}'} for text in PROTO], message, [0, 1, 0, 1, 1, 0], 1,
              [("id", pyarrow.int64()), ("n", pyarrow.int64()), ("inner", pyarrow.struct([("s", pyarrow.string()), ("more", pyarrow.int32())])),
               ("list", pyarrow.list_(pyarrow.struct([("s", pyarrow.string()), ("more", pyarrow.int32())]))), ("added", pyarrow.string())],
              {"value": {"format": "protobuf"}}),
    "doc": ([{"schemaType": "JSON", "schema": json.dumps(s)} for s in JSON], document, [0, 1, 0, 1, 1, 0], 1,
            [("id", pyarrow.int64()), ("place", pyarrow.struct([("x", pyarrow.float64()), ("y", pyarrow.float64())])), ("at", pyarrow.timestamp("us"))],
            {"value": {"format": "json"}})}
FROZEN = ([{"schemaType": "PROTOBUF", "schema": f'syntax = "proto3"; message M {{ {text.replace("int64 n", "int32 n")} }}'} for text in PROTO],
          frozen_message, [0, 1, 0, 1, 1, 0], 0, None, None)
PROVENANCE = [("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]

with Scenario("evolution_kinds") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
    tables, ids, rows = {}, {}, {}
    for name, (bodies, _, _, _, _, options) in KINDS.items():
        for version in (6, 9):
            topic = f"{name}_v{version}"
            broker.create_topic(topic, 1)
            tables[topic] = service.topic(topic, "registry", options["value"], version, key=["id"], compaction={"mode": "off"})
            ids[topic] = [registry.request("POST", f"/subjects/{topic}-value/versions", bodies[0])["id"]]
            rows[topic] = {}
    broker.create_topic("frozen", 1)
    tables["frozen"] = service.topic("frozen", "registry", {"format": "protobuf"}, 9, key=["id"], schema_changes="freeze")
    ids["frozen"], rows["frozen"] = [registry.request("POST", "/subjects/frozen-value/versions", FROZEN[0][0])["id"]], {}
    broker.create_topic("stopped", 1)
    tables["stopped"] = service.topic("stopped", "registry", {"format": "avro", "envelope": "debezium"}, 9, key=["id"], schema_changes="stop")
    ids["stopped"], rows["stopped"] = [registry.request("POST", "/subjects/stopped-value/versions", KINDS["cdc"][0][0])["id"]], {}
    service.start()
    sent = dict.fromkeys(tables, 0)

    def kind_of(topic):
        return FROZEN if topic == "frozen" else KINDS["cdc" if topic == "stopped" else topic.rsplit("_", 1)[0]]

    def produce(topic, version, count):
        make = kind_of(topic)[1]
        for _ in range(count):
            i = sent[topic] % COUNT  # later rows replace earlier ones
            value, row = make(i, version)
            producer.produce(topic, b"\0" + ids[topic][version].to_bytes(4, "big") + value, partition=0)
            rows[topic][i] = {**row, "_kafka_partition": 0, "_kafka_offset": sent[topic]}
            sent[topic] += 1
        producer.flush()

    for topic in tables:
        produce(topic, 0, EACH)
    for topic, table in tables.items():
        service.wait_for(table, {0: EACH}, 60)
    say("the schemas change")
    for topic in tables:
        ids[topic] += [registry.request("POST", f"/subjects/{topic}-value/versions", body)["id"] for body in kind_of(topic)[0][1:]]
    position = service.log_size()
    for turn in range(ROUNDS):
        for topic in tables:
            if topic != "stopped":
                produce(topic, kind_of(topic)[2][turn], EACH)
    for topic, table in tables.items():
        if topic != "stopped":
            service.wait_for(table, {0: sent[topic]}, 120)
    metrics = service.get("/metrics")[1].splitlines()
    for topic in tables:
        changes = 0 if topic == "stopped" else kind_of(topic)[3]
        expect(f'moraine_schema_changes_total{{topic="{topic}"}} {changes}' in metrics,
               f"{topic} followed {changes} changes: {[line for line in metrics if 'schema_changes' in line]}")
    service.wait_for_words(position, ["fields_left_out", "frozen", "inner.more, list.more, added"], 5)

    say("a topic that is to stop stops before the first row of the new schema")
    produce("stopped", 2, 1)
    service.wait_for_words(position, ["topic_failed", "stopped", "schema_changes: stop", "partition 0, offset 100", "schema id"], 30)
    expect(service.process.stop(seconds=90) == 1, "the exit status tells of the topic that had stopped")

    say("a restart begins with the newest schemas: no column changes, and the stopped topic takes them in")
    service.start()
    for topic in tables:
        if topic != "stopped":
            produce(topic, len(ids[topic]) - 1, EACH)
            service.wait_for(tables[topic], {0: sent[topic]}, 60)
    service.wait_for(tables["stopped"], {0: EACH + 1}, 60)
    service.stop()

    judged = []
    for topic, table in tables.items():
        check_ledger(table, sent[topic], dead=0, written=sent[topic])
        columns = kind_of(topic)[4]
        if topic == "frozen":
            columns = [("id", pyarrow.int64()), ("n", pyarrow.int32()), ("inner", pyarrow.struct([("s", pyarrow.string())])),
                       ("list", pyarrow.list_(pyarrow.struct([("s", pyarrow.string())])))]
        model = pyarrow.schema([*columns, *PROVENANCE])
        content = [{k: v for k, v in row.items() if k in model.names} for row in rows[topic].values()]
        if topic.startswith("doc"):
            content = [{**row, "at": row["at"] and datetime.datetime.fromisoformat(row["at"][:-1])} for row in content]
        judged.append((table, pyarrow.Table.from_pylist(content, schema=model), ["id"], None))
    for table, model, key, derived in judged:
        checks.quick(scenario, table, model, key, " as it was written", derived)
    # Hudi 0.15 refuses log blocks whose decimals have another size than the table's: the service merges them at once
    checks.spark(scenario, [t for t in judged if t[0].name != "order_v6"], " as it was written")
    for topic in tables:
        service.change(topic, compaction={"mode": "auto"})
    service.start()
    service.wait_for_merging([table for table, *_ in judged], 60)
    service.stop()
    checks.thorough(scenario, judged, oldest=False)
