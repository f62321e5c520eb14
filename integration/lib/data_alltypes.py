"""One column of every type, required and optional, with the values at the edges."""

import base64
import datetime
import decimal
import json
import math
import random
import struct
import uuid

import pyarrow

from avro_wire import confluent, encode

NESTED = {"type": "record", "name": "inner", "fields": [
    {"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": None},
    {"name": "c", "type": {"type": "record", "name": "innermost", "fields": [{"name": "d", "type": "double"}]}}]}
TYPES = {
    "boolean": "boolean", "int": "int", "long": "long", "float": "float", "double": "double",
    "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4},
    "decimal38": {"type": "fixed", "name": "money", "size": 16, "logicalType": "decimal", "precision": 38, "scale": 10},
    "string": "string", "bytes": "bytes",
    "date": {"type": "int", "logicalType": "date"},
    "ts_ms": {"type": "long", "logicalType": "timestamp-millis"},
    "ts_us": {"type": "long", "logicalType": "timestamp-micros"},
    "uuid": {"type": "string", "logicalType": "uuid"},
    "nested": NESTED, "array": {"type": "array", "items": "string"},
    "sparse": {"type": "array", "items": ["null", "long"]}, "map": {"type": "map", "values": "long"},
}
ARROW_TYPES = {
    "boolean": pyarrow.bool_(), "int": pyarrow.int32(), "long": pyarrow.int64(), "float": pyarrow.float32(),
    "double": pyarrow.float64(), "decimal": pyarrow.decimal128(20, 4), "decimal38": pyarrow.decimal128(38, 10),
    "string": pyarrow.string(), "bytes": pyarrow.binary(), "date": pyarrow.date32(), "ts_ms": pyarrow.timestamp("ms"),
    "ts_us": pyarrow.timestamp("us"), "uuid": pyarrow.string(),
    "nested": pyarrow.struct([("a", pyarrow.int32()), ("b", pyarrow.string()),
                              ("c", pyarrow.struct([("d", pyarrow.float64())]))]),
    "array": pyarrow.list_(pyarrow.string()), "sparse": pyarrow.list_(pyarrow.int64()),
    "map": pyarrow.map_(pyarrow.string(), pyarrow.int64()),
}
# the range of years that every reader shows the same way: the Gregorian calendar only
FIRST_DAY, LAST_DAY = datetime.date(1600, 1, 1), datetime.date(9999, 12, 31)
FIRST_MS, LAST_MS = -11_676_096_000_000, 253_402_300_799_999


def seen_twice(schema, known):
    """A named type is spelled out once in a schema and then referred to."""
    if isinstance(schema, dict) and "name" in schema:
        if schema["name"] in known:
            return schema["name"]
        known.add(schema["name"])
    return schema


def make_schema():
    known = set()
    fields = [{"name": "id", "type": "long"}]
    for name, kind in TYPES.items():
        fields.append({"name": f"r_{name}", "type": seen_twice(kind, known)})
        fields.append({"name": f"o_{name}", "type": ["null", seen_twice(kind, known)], "default": None})
    return {"type": "record", "name": "everything", "namespace": "rig", "fields": fields}


SCHEMA = make_schema()
ARROW = pyarrow.schema([("id", pyarrow.int64())] + [
    (f"{p}_{name}", kind) for name, kind in ARROW_TYPES.items() for p in ("r", "o")] + [
    ("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())])
# for encode(): named types by their definition instead of their name
EXPANDED = {"type": "record", "name": "everything", "fields": [{"name": "id", "type": "long"}] + [
    f for name, kind in TYPES.items() for f in ({"name": f"r_{name}", "type": kind},
                                                {"name": f"o_{name}", "type": ["null", kind]})]}


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Maker:
    """Rows of random and extreme values. special=False leaves out NaN and infinities, which JSON lacks."""

    def __init__(self, seed, special=True):
        self.random, self.special = random.Random(seed), special

    def value(self, kind):
        r = self.random
        special = [math.nan, math.inf, -math.inf] if self.special else []
        if kind == "boolean":
            return r.random() < 0.5
        if kind == "int":
            return r.choice([0, -1, 2**31 - 1, -2**31, r.randrange(-2**31, 2**31)])
        if kind == "long":
            return r.choice([0, -1, 2**63 - 1, -2**63, 2**53 + 1, r.randrange(-2**63, 2**63)])
        if kind == "float":
            return float32(r.choice([0.0, 1.5, 3.4028234663852886e38, 1e-45, r.uniform(-1e6, 1e6), *special]))
        if kind == "double":
            return r.choice([0.0, 0.1, 1.7976931348623157e308, 5e-324, r.uniform(-1e12, 1e12), *special])
        if kind in ("decimal", "decimal38"):
            digits, scale = (20, 4) if kind == "decimal" else (38, 10)
            number = r.choice([0, 1, -1, 127, 128, -128, -129, 10**digits - 1, 1 - 10**digits,
                               r.randrange(-10**digits + 1, 10**digits)])
            return decimal.Context(prec=40).scaleb(decimal.Decimal(number), -scale)
        if kind == "string":
            return r.choice(["", "plain", "Grüße", "日本語", "🚀🛰", "tab\tnew\nline", '"\\/', "x" * 300, "\u0000nul", "  "])
        if kind == "bytes":
            return r.choice([b"", b"\0", b"\xff\xfe", r.randbytes(r.randrange(40))])
        if kind == "date":
            return r.choice([datetime.date(1970, 1, 1), datetime.date(1969, 12, 31), datetime.date(2024, 2, 29), FIRST_DAY,
                             LAST_DAY])
        if kind == "ts_ms":
            return r.choice([0, -1, FIRST_MS, LAST_MS, 1_767_225_600_123, r.randrange(FIRST_MS, LAST_MS)])
        if kind == "ts_us":
            return r.choice([0, -1, FIRST_MS * 1000, LAST_MS * 1000 + 999, r.randrange(FIRST_MS, LAST_MS) * 1000 + 7])
        if kind == "uuid":
            return str(uuid.UUID(int=r.getrandbits(128), version=4))
        if kind == "nested":
            return {"a": self.value("int"), "b": None if r.random() < 0.5 else self.value("string"),
                    "c": {"d": r.uniform(-1, 1)}}
        if kind == "array":
            return [self.value("string") for _ in range(r.randrange(4))]
        if kind == "sparse":
            return [None if r.random() < 0.3 else self.value("long") for _ in range(r.randrange(4))]
        return {f"k{i}": self.value("long") for i in range(r.randrange(4))}

    def row(self, number):
        row = {"id": number}
        for name in TYPES:
            row[f"r_{name}"] = self.value(name)
            row[f"o_{name}"] = None if self.random.random() < 0.4 else self.value(name)
        return row


def rows(count, seed, special):
    maker = Maker(seed, special)
    return [maker.row(i) for i in range(count)]


def model(made, partitions):
    """The expected table: row i is record i // partitions of partition i % partitions."""
    placed = [{**row, "_kafka_partition": row["id"] % partitions, "_kafka_offset": row["id"] // partitions} for row in made]
    return pyarrow.Table.from_pylist(placed, schema=ARROW)


def json_text(value):
    """The JSON form of a row: decimals as text, bytes in base64, dates in ISO form, timestamps as integers."""
    def plain(v):
        if isinstance(v, decimal.Decimal):
            return format(v, "f")
        if isinstance(v, bytes):
            return base64.b64encode(v).decode()
        if isinstance(v, datetime.date):
            return v.isoformat()
        return v

    return json.dumps({k: plain(v) for k, v in value.items()}, ensure_ascii=False).encode()


def frames(made, partitions, to_bytes):
    for row in made:
        value = to_bytes(row)
        yield struct.pack("<iqii", row["id"] % partitions, -1, -1, len(value)) + value


def avro_bytes(schema_id):
    return lambda row: confluent(schema_id, encode(EXPANDED, row))
