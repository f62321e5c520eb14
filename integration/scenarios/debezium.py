"""Change streams of a real PostgreSQL: pgbench inserts, updates, deletes and changes keys; what wal2json says of it becomes
Debezium's events (JSON with keys alone in `before`; Avro with whole images), with tombstones; the tables equal the database."""

import io
import json
import sys

import checks
import fastavro
import postgres
import pyarrow
from broker import Broker
from confluent_kafka import Producer
from postgres import Postgres, debezium_avro, debezium_json, value_of
from registry import Registry
from rig import Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, SNAPSHOT, CLIENTS, TRANSACTIONS = 3, 500, 4, 600
COLUMNS = {"id": "bigint", "name": "text", "email": "text", "balance": "numeric(12,2)", "born": "date", "created": "timestamp",
           "updated": "timestamptz", "active": "boolean", "visits": "integer", "doc": "jsonb", "tags": "text[]", "photo": "bytea"}
TYPES = {"bigint": ("long", pyarrow.int64()), "text": ("string", pyarrow.string()), "numeric(12,2)": ("decimal(12,2)", pyarrow.decimal128(12, 2)),
         "date": ("date", pyarrow.date32()), "timestamp": ("timestamp_us", pyarrow.timestamp("us")), "timestamptz": ("timestamp_us", pyarrow.timestamp("us")),
         "boolean": ("boolean", pyarrow.bool_()), "integer": ("int", pyarrow.int32()), "jsonb": ("json", pyarrow.string()),
         "text[]": ("list<string>", pyarrow.list_(pyarrow.string())), "bytea": ("bytes", pyarrow.binary())}
AVRO_TYPES = {"bigint": "long", "text": "string", "boolean": "boolean", "integer": "int", "bytea": "bytes", "text[]": {"type": "array", "items": ["null", "string"]},
              "numeric(12,2)": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2, "connect.name": "org.apache.kafka.connect.data.Decimal"},
              "date": {"type": "int", "connect.name": "io.debezium.time.Date"},
              "timestamp": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
              "timestamptz": {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"},
              "jsonb": {"type": "string", "connect.name": "io.debezium.data.Json"}}
FILL = """(id, name, email, balance, born, created, updated, active, visits, doc, tags, photo) values (
  %(id)s, 'name ' || %(r)s, case when %(r)s %% 3 = 0 then null else 'user' || %(r)s || '@example.org' end, (%(r)s - 50000)::numeric / 100,
  date '1950-01-01' + (%(r)s %% 30000)::int, timestamp '2020-01-01' + %(r)s * interval '1.000007 s', timestamptz '1999-12-31 23:59:59.999+02' + %(r)s * interval '1 min',
  %(r)s %% 2 = 0, %(r)s %% 1000, jsonb_build_object('n', %(r)s, 'list', jsonb_build_array(true, null, 'ü')), array['t' || %(r)s %% 7, 'x'],
  decode(lpad(to_hex(%(r)s), 8, '0'), 'hex'))"""
SCRIPT = "".join(f"""
\\set r random(0, 100000)
\\set id random(1, 900)
\\set dice random(1, 100)
\\if :dice <= 25
insert into {table} {FILL % {'id': ':id', 'r': ':r'}} on conflict (id) do update set name = excluded.name, balance = excluded.balance, tags = excluded.tags;
\\elif :dice <= 70
update {table} set balance = balance + :r::numeric / 1000, visits = visits + 1, email = case when :r % 5 = 0 then null else email end, updated = updated + interval '1 s' where id = :id;
\\elif :dice <= 85
delete from {table} where id = :id;
\\else
update {table} set id = :id + 1000 + :r % 200 where id = :id and not exists (select 1 from {table} where id = :id + 1000 + :r % 200);
\\endif
""" for table in ("customers", "documents"))


class Stream:
    """Events of one table into one topic; remembers what the table must hold and where the last event of a key lies."""

    def __init__(self, broker, name, encode):
        broker.create_topic(name, PARTITIONS)
        self.name, self.encode, self.sent, self.rows = name, encode, 0, {}
        self.counts, self.partitions = dict.fromkeys(["r", "c", "u", "d", "tombstone", "key change"], 0), dict.fromkeys(range(PARTITIONS), 0)
        self.producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})

    def send(self, key, event):
        partition = key % PARTITIONS
        encoded_key, value = self.encode(key, event)
        self.producer.produce(self.name, key=encoded_key, value=value, partition=partition)
        self.producer.poll(0)
        self.partitions[partition] += 1
        self.sent += 1

    def row(self, op, lsn, before, after):
        self.counts[op] += 1
        key = (after or before)["id"]
        self.send(key, {"before": before, "after": after, "op": op, "lsn": lsn})
        if after:
            self.rows[key] = {**after, "position": lsn}
        else:
            self.rows.pop(key)
            self.counts["tombstone"] += 1
            self.send(key, None)

    def change(self, lsn, change, full):
        """One line of wal2json as Debezium's event, or several."""
        values = {c["name"]: value_of(COLUMNS[c["name"]], c["value"]) for c in change.get("columns", ())}
        old = {c["name"]: value_of(COLUMNS[c["name"]], c["value"]) for c in change.get("identity", ())}
        before = old if full else {name: old.get(name) for name in COLUMNS}
        after = {name: values[name] if name in values else old[name] if full else postgres.UNAVAILABLE for name in COLUMNS} if values else None
        if change["action"] == "I":
            self.row("c", lsn, None, after)
        elif change["action"] == "D":
            self.row("d", lsn, before, None)
        elif old and old["id"] != after["id"]:
            self.counts["key change"] += 1
            self.row("d", lsn, before, None)
            self.row("c", lsn, None, after)
        else:
            self.row("u", lsn, before if full else None, after)

    def offsets(self):
        self.producer.flush()
        return {p: n for p, n in self.partitions.items() if n}


def source(lsn):
    return {"version": "2.7.0.Final", "connector": "postgresql", "name": "shop", "ts_ms": 1_767_225_600_000, "snapshot": "false", "db": "postgres",
            "sequence": json.dumps([None, str(lsn)]), "schema": "public", "table": "t", "txId": 1, "lsn": lsn, "xmin": None}


def as_json(key, event):
    """The JSON converter, every other record with its schema part."""
    wrap = (lambda payload: {"schema": {"type": "struct", "optional": False, "fields": []}, "payload": payload}) if key % 2 else lambda payload: payload
    if event is None:
        return json.dumps(wrap({"id": key})).encode(), None
    image = lambda row: row and {name: debezium_json(COLUMNS[name], value) for name, value in row.items()}
    body = {"before": image(event["before"]), "after": image(event["after"]), "source": source(event["lsn"]), "op": event["op"], "ts_ms": 1, "transaction": None}
    return json.dumps(wrap({"id": key})).encode(), json.dumps(wrap(body)).encode()


def avro_encoder(registry, name):
    value = {"type": "record", "name": "Value", "fields": [{"name": n, "type": AVRO_TYPES[k] if n == "id" else ["null", AVRO_TYPES[k]],
                                                            **({} if n == "id" else {"default": None})} for n, k in COLUMNS.items()]}
    block = {"type": "record", "name": "Source", "namespace": "io.debezium.connector.postgresql", "fields": [
        {"name": n, "type": ["null", "long"] if n in ("txId", "lsn", "xmin") else "long" if n == "ts_ms" else "string"} for n in source(0)]}
    envelope = {"type": "record", "name": "Envelope", "namespace": "shop.public.documents", "fields": [
        {"name": "before", "type": ["null", value], "default": None}, {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": block}, {"name": "op", "type": "string"}, {"name": "ts_ms", "type": ["null", "long"]}]}
    key = {"type": "record", "name": "Key", "namespace": "shop.public.documents", "fields": [{"name": "id", "type": "long"}]}
    ids = [registry.register(f"{name}-key", key), registry.register(f"{name}-value", envelope)]
    # plain types for the writer: fastavro would read logical types as something else than bytes and numbers
    plain = json.loads(json.dumps(envelope).replace('"logicalType": "decimal", ', ""))
    parsed = [fastavro.parse_schema(key), fastavro.parse_schema(plain)]

    def framed(part, datum):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed[part], datum)
        return b"\x00" + ids[part].to_bytes(4, "big") + out.getvalue()

    def encode(number, event):
        if event is None:
            return framed(0, {"id": number}), None
        image = lambda row: row and {name: debezium_avro(COLUMNS[name], content) for name, content in row.items()}
        return framed(0, {"id": number}), framed(1, {"before": image(event["before"]), "after": image(event["after"]), "source": source(event["lsn"]),
                                                     "op": event["op"], "ts_ms": 1})

    return encode


def expect_database(database, stream):
    """The rows that the events lead to are those of the database, one by one."""
    found = {row["id"]: {name: value_of(kind, row[name]) for name, kind in COLUMNS.items()} for row in database.rows(stream.name)}
    made = {key: {name: row[name] for name in COLUMNS} for key, row in stream.rows.items()}
    expect(found.keys() == made.keys(), f"{stream.name}: keys differ from the database: {sorted(found.keys() ^ made.keys())[:10]}")
    for key, row in found.items():
        expect(row == made[key], f"{stream.name}: row {key} is {row} in the database, {made[key]} by the events")
    say(f"  {stream.name}: the events lead to the database's {len(found)} rows; {stream.counts}")


if postgres.missing():
    print(f"skipped: {postgres.missing()}")
    sys.exit(77)
with Scenario("debezium") as scenario:
    database = Postgres(scenario)
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    columns = ", ".join(f"{name} {kind}{' primary key' if name == 'id' else ''}" for name, kind in COLUMNS.items())
    streams = {"customers": Stream(broker, "customers", as_json), "documents": Stream(broker, "documents", avro_encoder(registry, "documents"))}
    for name in streams:
        database.sql(f"create table {name} ({columns}); insert into {name} " + FILL.replace("values (", "select").removesuffix(")") % {"id": "r", "r": "r"} +
                     f" from generate_series(1, {SNAPSHOT}) r;")
    database.sql("alter table documents replica identity full; alter table documents alter photo set storage external;")
    database.sql("select pg_create_logical_replication_slot('rig', 'wal2json');")
    (start,) = database.sql("select confirmed_flush_lsn - '0/0' from pg_replication_slots;")
    for name, stream in streams.items():
        for row in sorted(database.rows(name), key=lambda r: r["id"]):
            stream.row("r", int(start), None, {n: value_of(kind, row[n]) for n, kind in COLUMNS.items()})
    fields = [{"name": name, "type": TYPES[kind][0], "nullable": name != "id"} for name, kind in COLUMNS.items()]
    options = {"key": ["id"], "ordering": "position", "columns": [{"debezium": "position"}], "commit": {"interval": "1s"}, "table": {"provenance": False}}
    tables = {"customers": service.topic("customers", {"fields": fields}, {"format": "json", "envelope": "debezium"}, **options),
              "documents": service.topic("documents", "registry", {"format": "avro", "envelope": "debezium"}, table_version=9, **options)}
    service.start()
    for _ in range(3):  # the service reads while the database is worked on
        database.pgbench(SCRIPT, CLIENTS, TRANSACTIONS // 3)
        for lsn, change in database.changes("rig"):
            if change["action"] in "IUD":
                streams[change["table"]].change(lsn, change, change["table"] == "documents")
        for stream in streams.values():
            stream.producer.flush()
    for name, stream in streams.items():
        expect_database(database, stream)
        expect(all(stream.counts.values()), f"{name}: not every kind of event came: {stream.counts}")
        service.wait_for(tables[name], stream.offsets(), 120)
    service.stop()
    readings = []
    for name, stream in streams.items():
        check_ledger(tables[name], stream.sent, dead=0, deleted=stream.counts["d"] + stream.counts["tombstone"])
        avro = name == "documents"  # what Avro declares as a string is one
        model = pyarrow.schema([(n, pyarrow.string() if avro and k == "timestamptz" else TYPES[k][1]) for n, k in COLUMNS.items()] + [("position", pyarrow.int64())])
        rows = [{**row, **({"updated": debezium_json("timestamptz", row["updated"])} if avro else {})} for row in stream.rows.values()]
        readings.append((tables[name], pyarrow.Table.from_pylist(rows, schema=model), ["id"], None))
    checks.thorough(scenario, readings)
