"""The records of the benchmarks: their schema, how they are made, and what a table of them must hold."""

import json
import os
import pathlib
import subprocess

BUILD = pathlib.Path(os.environ["MORAINE_BUILD"])
RECORDS = BUILD / "bench" / "versus_records"
TIMESTAMP = {"type": "long", "logicalType": "timestamp-micros"}


def record(name, *fields):
    return {"type": "record", "name": name, "namespace": "bench", "fields": [
        {"name": n, "type": t, **({"default": None} if isinstance(t, list) else {})} for n, t in fields]}


TRIP = record(
    "trip", ("id", "long"), ("pickup", TIMESTAMP), ("dropoff", TIMESTAMP),
    *((n, "int") for n in ("vendor", "pax", "rate", "pu", "do", "pay", "type", "ride")),
    *((n, "double") for n in ("dist", "fare", "extra", "mta", "tip", "tolls", "imp", "total", "cong")),
    ("air", ["null", "double"]), ("temp", ["null", "int"]),
    *((n, "string") for n in ("flag", "boro", "zone", "cab")), ("shared", "boolean"), ("lot", "int"), ("hail", "string"))
ORDER = record(
    "order", ("order_id", "long"), ("customer_id", "long"), ("status", "string"), ("currency", "string"),
    ("amount_cents", "long"), ("quantity", "int"), ("discount", "double"), ("priority", "int"), ("is_gift", "boolean"),
    ("created_at", TIMESTAMP), ("updated_at", TIMESTAMP), ("country", "string"), ("product", "string"), ("note", "string"),
    ("event_id", "string"), ("op", "string"))


def wide(columns):
    return record("wide", *((f"c{i}", ("long", "double", "string")[i % 3]) for i in range(columns)))


class Load:
    """A topic's worth of records. `keys` > 0: orders, the first `keys` of which insert; the others update by Zipf's law, from
    number `even` on any key alike."""

    def __init__(self, name, kind, count, keys=0, partitions=8, days=1, columns=0, duplicates=0, first=0, appended=False, even=None):
        self.name, self.kind, self.count, self.keys = name, kind, count, keys
        self.partitions, self.days, self.columns, self.duplicates, self.first = partitions, days, columns, duplicates, first
        self.even = even
        self.appended = appended  # orders into a table without a key
        self.format = kind.split("-")[1]
        orders = kind.startswith("orders")
        self.keyed = orders and not appended
        self.schema = ORDER if orders else TRIP if kind.startswith("trips") else wide(columns)
        # id, an amount in hundredths (SQL), a small integer: what is summed up
        self.sums = (("order_id", "amount_cents", "quantity") if orders else
                     ("id", "cast(round(fare * 100) as bigint)", "pax") if kind.startswith("trips") else ("c0", "0", "0"))
        self.read_columns = (["order_id", "amount_cents", "quantity"] if orders else
                             ["id", "fare", "pax"] if kind.startswith("trips") else ["c0"])

    def command(self, summary, schema_id=None, clock=False):
        command = [RECORDS, self.kind, self.count, "-p", self.partitions, "-o", summary, "-f", self.first, "-d", self.days,
                   "-u", self.duplicates]
        command += ["-k", self.keys] if self.keys else []
        command += ["-c", self.columns] if self.columns else []
        command += ["-r", self.even] if self.even is not None else []
        command += ["-i", schema_id] if schema_id is not None else []
        command += ["-n"] if clock else []
        return [str(part) for part in command]

    def with_(self, **changes):
        """The same load with other counts, name or places."""
        values = {n: getattr(self, n) for n in ("name", "kind", "count", "keys", "partitions", "days", "columns", "duplicates",
                                                "first", "appended", "even")}
        return Load(**{**values, **changes})

    def frames(self, path, count):
        """The first `count` records without Confluent's five bytes, into a file."""
        with open(path, "wb") as file:
            subprocess.run(self.with_(count=count).command("/dev/null"), stdout=file, check=True)

    def topic_options(self):
        """Of moraine's topic file: what follows from the records."""
        if not self.keyed:
            return {}
        return {"key": ["order_id"], "ordering": "updated_at", "delete_when": {"field": "op", "equals": "d"}}


def preload(broker, folder, load, topic, schema_id=None):
    """Sends the load to a topic; returns (what was sent, what the table must hold)."""
    summary = folder / f"{topic}.json"
    made = subprocess.Popen(load.command(summary, schema_id), stdout=subprocess.PIPE)
    sent = broker.produce(topic, made.stdout)
    if made.wait() != 0:
        raise RuntimeError(f"versus_records ended with {made.returncode}")
    return sent, json.loads(summary.read_text())
