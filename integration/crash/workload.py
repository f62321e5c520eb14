"""What is sent: seeded logs of records, the table each must become, and the digests a ledger must state.

A log only knows what it sent and where (partition, offset, key, ordering value, kind, event id). Nothing in here comes
from the program under test.
"""

import ctypes
import json
import struct

import data_orders as orders
import pyarrow

EVENT_ID = {"name": "event_id", "type": "string", "nullable": False}
DUPLICATES, LATE_AFTER_DELETE = 0.06, 0.04  # shares of the records
SENT = pyarrow.schema([("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())])


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


XXHASH = ctypes.CDLL("libxxhash.so.0")
XXHASH.XXH3_128bits_withSeed.restype = Hash128
XXHASH.XXH3_128bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def hash128(data, seed):
    value = XXHASH.XXH3_128bits_withSeed(data, len(data), seed)
    return value.high << 64 | value.low


def record_hash(offset, key, value):
    """The summand of a record in a ledger's digest, as ARCHITECTURE.md defines it."""
    return (hash128(value or b"", offset * 4 + (value is None)) + hash128(key, offset * 4 + 2)) % (1 << 128)


class Sent:
    """What both kinds of log share: records as frames, and digests of what was sent."""

    def prepare(self, partitions, dedup):
        self.dedup = dedup
        self.encoded = 0
        self.digests = [[0] for _ in range(partitions)]  # [partition][offset] = digest of all before it

    def grow(self, count):
        """`count` more records as one piece of the producer's input."""
        frames = []
        for _ in range(count):
            self.log.append(self.step(True))
        for partition, offset, kind, number, row in self.log[self.encoded:]:
            key = self.key(number).encode()
            value = None if kind == "t" else self.broken_value(number) if kind == "x" else self.encoder.value(row)
            sums = self.digests[partition]
            sums.append((sums[-1] + record_hash(offset, key, value)) % (1 << 128))
            frames.append(struct.pack("<iqii", partition, -1, len(key), -1 if value is None else len(value)) + key + (value or b""))
        self.encoded = len(self.log)
        return b"".join(frames)

    def digest(self, partition, start, end):
        return (self.digests[partition][end] - self.digests[partition][start]) % (1 << 128)

    def offsets(self):
        return dict(enumerate(self.next_offset))

    def effective(self):
        """The records that may become rows, in order; with deduplication only the first of each event id."""
        seen = set()
        for record in self.log:
            kind, row = record[2], record[4]
            if kind == "x":
                continue
            if self.dedup and kind != "t":
                if row["event_id"] in seen:
                    continue
                seen.add(row["event_id"])
            yield record

    def duplicates(self):
        ids = [record[4]["event_id"] for record in self.log if record[2] in "ud"]
        return len(ids) - len(set(ids))

    def arrow(self, records):
        rows = [{**row, "_kafka_partition": partition, "_kafka_offset": offset} for partition, offset, _, _, row in records]
        return pyarrow.Table.from_pylist(rows, schema=self.schema)


class KeyedLog(Sent, orders.Orders):
    """Orders with event ids: inserts, updates, ties, late records, deletes, tombstones, re-inserts, broken records, and
    copies of earlier records. late_after_delete also sends rows older than the delete of their key, and deletes older
    than the row they would delete."""

    encoder = orders.Json
    fields = [*orders.FIELDS, EVENT_ID]
    schema = pyarrow.schema([*(f for f in orders.ARROW if f.name != "kind"), ("event_id", pyarrow.string())])
    identity = ["order_id"]
    options = {"key": ["order_id"], "ordering": "updated_at", "delete_when": {"field": "op", "equals": "d"}}
    table_options = {"partition_by": ["day(created_at)"], "buckets": 2}

    def __init__(self, partitions, seed, dedup, late_after_delete):
        super().__init__(0, partitions, seed, days=3)
        self.prepare(partitions, dedup)
        self.late_after_delete = late_after_delete
        self.history = {}  # key number -> records of which a copy may be sent
        self.copyable = []  # key numbers with a history, possibly emptied since
        self.deleted = []  # key numbers deleted by a record with an ordering value

    def step(self, broken):
        dice = self.random.random()
        if dice < DUPLICATES and self.copyable:
            number = self.random.choice(self.copyable)
            if self.history[number]:
                kind, row = self.random.choice(self.history[number])
                return super().place(number, kind, row)
        elif self.late_after_delete and dice < DUPLICATES + LATE_AFTER_DELETE:
            record = self.late(self.random.random() < 0.5)
            if record:
                return record
        return super().step(broken)

    def late(self, is_delete):
        number = self.random.choice(self.live if is_delete else self.deleted or [None])
        if number is None or (number in self.alive) != is_delete:
            return None
        row = self.changed(number, self.rows[number]["updated_at"] - self.random.randrange(1, 5000))
        return self.place(number, "d" if is_delete else "u", {**row, "op": "d"} if is_delete else row)

    def place(self, number, kind, row):
        if kind in "ud":
            row["event_id"] = f"{self.prefix}{len(self.log):08d}"
        if kind in "dt" and not self.dedup and number not in self.alive:
            self.history[number] = []  # a copy of what came before the delete would bring the row back
        elif kind in "ud":
            if number not in self.history:
                self.copyable.append(number)
            self.history.setdefault(number, []).append((kind, row))
        if kind == "d" and number not in self.alive:
            self.deleted.append(number)
        return super().place(number, kind, row)

    def broken_value(self, number):
        return self.broken(self.encoder, number)

    def model(self):
        """Per key the highest ordering value wins, ties the later offset. A delete takes part with its ordering value; a
        tombstone has none: it ends what came before it, and what follows it counts as new."""
        winners = {}
        for record in self.effective():
            _, _, kind, number, row = record
            if kind == "t":
                winners.pop(number, None)
            elif number not in winners or row["updated_at"] >= winners[number][4]["updated_at"]:
                winners[number] = record
        return self.arrow(r for r in winners.values() if r[2] == "u")


class AppendLog(Sent):
    """Measurements into a table without a key: every record is a row of its own. with_late: some are days late (kind l);
    they are kept aside as dead letters, unless nothing else has come from their partition before, and become rows when
    they are sent again."""

    encoder = None
    fields = [EVENT_ID, {"name": "sensor", "type": "int", "nullable": False}, {"name": "reading", "type": "double"},
              {"name": "at", "type": "timestamp_ms", "nullable": False}]
    schema = pyarrow.schema([*SENT, ("event_id", pyarrow.string()), ("sensor", pyarrow.int32()), ("reading", pyarrow.float64()),
                             ("at", pyarrow.timestamp("ms"))])
    identity = ["_kafka_partition", "_kafka_offset"]
    table_options = {"partition_by": []}

    def __init__(self, partitions, seed, dedup, _late_after_delete, with_late=False):
        self.random = orders.random.Random(seed)
        self.options = {"event_time": {"field": "at", "max_lateness": "1h", "late": "dead_letter"}} if with_late else {}
        self.with_late = with_late
        self.encoder = self
        self.partitions, self.next_offset, self.log = partitions, [0] * partitions, []
        self.prepare(partitions, dedup)

    def key(self, number):
        return f"s-{number}"

    def step(self, broken):
        dice = self.random.random()
        if dice < DUPLICATES and self.log:
            _, _, kind, number, row = self.random.choice(self.log[-2000:])
            if kind == "u":
                return self.place(number, kind, row)
        number = self.random.randrange(500)
        if broken and dice > 0.99:
            return self.place(number, "x", None)
        is_late = self.with_late and dice > 0.97
        at = orders.START_MS + 10 * len(self.log) - (3 * orders.DAY_MS if is_late else 0)
        return self.place(number, "l" if is_late else "u", {"event_id": f"m-{len(self.log):08d}", "sensor": number,
                          "reading": self.random.choice([None, self.random.gauss(20, 5)]), "at": at})

    def place(self, number, kind, row):
        partition = number % self.partitions
        offset = self.next_offset[partition]
        self.next_offset[partition] += 1
        return partition, offset, kind, number, row

    def count(self, kinds):
        return sum(1 for record in self.log if record[2] in kinds)

    @staticmethod
    def value(row):
        return json.dumps(row).encode()

    def broken_value(self, number):
        return [b"", b"{", b"[]", b'{"event_id": "x"', b'{"event_id": "x", "sensor": "one", "at": 1}'][number % 5]

    def model(self):
        return self.arrow(self.effective())
