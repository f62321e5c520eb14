"""Orders: inserts, updates, ties, late records, deletes by `op` and by tombstone, re-inserts, and broken
records, with the table they must become after any prefix of the log.

What the records avoid, because Hudi itself does not define it once a compaction has dropped the delete:
a record older than a delete of the same key that arrives after it.
"""

import decimal
import json
import random
import struct

import duckdb
import pyarrow
import pyarrow.parquet

from avro_wire import confluent, encode

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000  # 2026-01-01
SCHEMA = {
    "type": "record", "name": "order", "namespace": "rig",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "customer_id", "type": "long"},
        {"name": "status", "type": "string"},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        {"name": "quantity", "type": "int"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "paid", "type": "boolean"},
        {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "updated_at", "type": "long"},
        {"name": "op", "type": "string"},
    ],
}
FIELDS = [
    {"name": "order_id", "type": "string", "nullable": False},
    {"name": "customer_id", "type": "long", "nullable": False},
    {"name": "status", "type": "string", "nullable": False},
    {"name": "amount", "type": "decimal(12,2)", "nullable": False},
    {"name": "quantity", "type": "int", "nullable": False},
    {"name": "note", "type": "string"},
    {"name": "paid", "type": "boolean", "nullable": False},
    {"name": "created_at", "type": "timestamp_ms", "nullable": False},
    {"name": "updated_at", "type": "long", "nullable": False},
    {"name": "op", "type": "string", "nullable": False},
]
PLAIN_TYPES = {"amount": "double", "created_at": "long"}
PLAIN_FIELDS = [{**field, "type": PLAIN_TYPES.get(field["name"], field["type"])} for field in FIELDS]
ARROW = pyarrow.schema([
    ("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64()), ("kind", pyarrow.string()),
    ("order_id", pyarrow.string()), ("customer_id", pyarrow.int64()), ("status", pyarrow.string()),
    ("amount", pyarrow.decimal128(12, 2)), ("quantity", pyarrow.int32()), ("note", pyarrow.string()),
    ("paid", pyarrow.bool_()), ("created_at", pyarrow.timestamp("ms")), ("updated_at", pyarrow.int64()),
    ("op", pyarrow.string()),
])
KEY = ["order_id"]
STATUS = ["new", "paid", "packed", "shipped", "returned"]
NOTES = [None, "", "leave at the door", "Straße 5, 東京", "a \"quoted\" \\ line\nbreak", "🚚"]


class Orders:
    """A reproducible log. kinds: u upsert, d delete by op, t tombstone, x broken."""

    def __init__(self, count, partitions, seed, days=5, broken=True, key_prefix="o-"):
        self.random = random.Random(seed)
        self.partitions, self.days, self.prefix = partitions, days, key_prefix
        self.live, self.gone, self.alive = [], [], set()
        self.position = {}  # in self.live or self.gone
        self.rows = {}  # key number -> newest row
        self.next_offset = [0] * partitions
        self.clock = START_MS + 30 * DAY_MS
        self.log = []
        for _ in range(count):
            self.log.append(self.step(broken))

    def step(self, broken):
        dice = self.random.random()
        self.clock += self.random.randrange(1, 20)
        if dice < 0.01 and broken:
            return self.place(self.random.randrange(1 << 30), "x", None)
        if dice < 0.46 or len(self.live) < 100:
            number = len(self.rows)
            return self.upsert(number, self.new_row(number))
        if dice < 0.48 and self.gone:
            number = self.take(self.gone)
            return self.upsert(number, self.changed(number, self.clock))
        number = self.live[self.random.randrange(len(self.live))]
        if dice < 0.86:
            return self.upsert(number, self.changed(number, self.clock))
        if dice < 0.91:  # late: loses against what is there
            older = self.rows[number]["updated_at"] - self.random.randrange(1, 5000)
            return self.place(number, "u", self.changed(number, older))
        if dice < 0.93:  # tie: the later offset wins
            return self.upsert(number, self.changed(number, self.rows[number]["updated_at"]))
        self.take(self.live, number)
        self.alive.discard(number)
        self.add(self.gone, number)
        if dice < 0.975:
            row = {**self.changed(number, self.clock), "op": "d"}
            self.rows[number] = row
            return self.place(number, "d", row)
        return self.place(number, "t", {"order_id": self.key(number)})

    def key(self, number):
        return f"{self.prefix}{number:07d}"

    def add(self, numbers, number):
        self.position[number] = len(numbers)
        numbers.append(number)

    def take(self, numbers, number=None):
        """Removes a member (any, when not named) in constant time."""
        at = self.position[number] if number is not None else self.random.randrange(len(numbers))
        taken, last = numbers[at], numbers.pop()
        if last != taken:
            numbers[at] = last
            self.position[last] = at
        return taken

    def new_row(self, number):
        day = self.random.randrange(self.days)
        return {"order_id": self.key(number), "customer_id": self.random.randrange(1 << 40), "status": "new",
                "amount": decimal.Decimal(self.random.randrange(-99, 10**9)).scaleb(-2),
                "quantity": self.random.randrange(-5, 1000), "note": self.random.choice(NOTES), "paid": False,
                "created_at": START_MS + day * DAY_MS + self.random.randrange(DAY_MS), "updated_at": self.clock, "op": "u"}

    def changed(self, number, updated_at):
        return {**self.rows[number], "status": self.random.choice(STATUS), "paid": self.random.random() < 0.5,
                "note": self.random.choice(NOTES), "quantity": self.random.randrange(1000), "updated_at": updated_at,
                "op": "u"}

    def upsert(self, number, row):
        if number not in self.alive:
            self.alive.add(number)
            self.add(self.live, number)
        self.rows[number] = row
        return self.place(number, "u", row)

    def place(self, number, kind, row):
        partition = number % self.partitions
        offset = self.next_offset[partition]
        self.next_offset[partition] += 1
        return partition, offset, kind, number, row

    # ---- as Kafka records -----------------------------------------------------------------------

    def frames(self, encoder, first=0, last=None):
        for partition, _, kind, number, row in self.log[first:last]:
            key = self.key(number).encode()
            value = None if kind == "t" else self.broken(encoder, number) if kind == "x" else encoder.value(row)
            yield struct.pack("<iqii", partition, -1, len(key), -1 if value is None else len(value)) + key + (value or b"")

    def broken(self, encoder, number):
        whole = encoder.value({**next(iter(self.rows.values())), "order_id": self.key(number), "op": "u"})
        return encoder.broken(whole, number)

    def count(self, kinds):
        return sum(1 for record in self.log if record[2] in kinds)

    # ---- as a table -----------------------------------------------------------------------------

    def write_log(self, path):
        """The log as Parquet: what model() reads."""
        rows = []
        for partition, offset, kind, number, row in self.log:
            rows.append({**(row or {}), "order_id": self.key(number), "_kafka_partition": partition,
                         "_kafka_offset": offset, "kind": kind})
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=ARROW), path)


def model(log_path, offsets, encoder):
    """The table after [0, offsets[p]) of every partition p, as Arrow with the encoder's types.

    The winner of a key has the highest updated_at, ties by offset; a tombstone has no time of its own and
    beats everything before it.
    """
    bounds = ", ".join(f"({p}, {o})" for p, o in offsets.items())
    query = f"""
        with seen as (
            select log.* from '{log_path}' log join (values {bounds}) as b(p, o)
            on _kafka_partition = p and _kafka_offset < o where kind <> 'x'),
        timed as (
            select *, coalesce(updated_at, max(updated_at) over (partition by order_id order by _kafka_offset
                rows between unbounded preceding and current row)) as winning_time from seen),
        ranked as (
            select *, row_number() over (partition by order_id order by winning_time desc, _kafka_offset desc) as rank
            from timed)
        select * exclude (kind, winning_time, rank) replace (
            amount::{encoder.amount_type} as amount, {encoder.created_at} as created_at) from ranked where rank = 1 and kind = 'u'"""
    return duckdb.sql(query).fetch_arrow_table()


def broken_before(log_path, offsets):
    bounds = ", ".join(f"({p}, {o})" for p, o in offsets.items())
    return duckdb.sql(f"""select count(*) from '{log_path}' join (values {bounds}) as b(p, o)
        on _kafka_partition = p and _kafka_offset < o where kind = 'x'""").fetchone()[0]


class Json:
    """amount as a JSON number with two decimals, times as integers."""

    amount_type, created_at = "decimal(12,2)", "created_at"
    fields = FIELDS

    @staticmethod
    def value(row):
        text = json.dumps({**row, "amount": 0.0}, ensure_ascii=False)
        return text.replace('"amount": 0.0', f'"amount": {row["amount"]:.2f}').encode()

    @staticmethod
    def broken(whole, number):
        return [whole[:-7], b"", b"not json", b"[1, 2]", whole.replace(b'"quantity": ', b'"quantity": "x'),
                whole.replace(b'"order_id"', b'"order"'), b'{"order_id": "\xff\xfe"}', b"\0\0\0\0\7"][number % 8]


class PlainJson(Json):
    """The same values in columns of plain types only."""

    amount_type, created_at = "double", "epoch_ms(created_at)"
    fields = PLAIN_FIELDS


class Avro:
    amount_type, created_at = "decimal(12,2)", "created_at"

    def __init__(self, schema_id):
        self.schema_id = schema_id

    def value(self, row):
        return confluent(self.schema_id, encode(SCHEMA, row))

    @staticmethod
    def broken(whole, number):
        return [whole[:-3], b"", b"\1" + whole[1:], whole[:4], whole[:5] + b"\xff" * 30][number % 5]
