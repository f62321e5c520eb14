"""Rows of a Hudi table as a foreign reader sees them, against the rows that the table writer expected.

    compare_rows.py READER TABLE EXPECTED [KEY,KEY]

READER is hudi-rs (whatever version this Python has), or spark (with the bundle named by HUDI_BUNDLE).
EXPECTED has one JSON object per row in the notation of `moraine scan --output json`. Exit 1 and a list
of differences when one row differs.
"""
import base64
import datetime
import decimal
import json
import math
import os
import struct
import sys

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def real(value, single=False):
    if value is None or isinstance(value, str):
        return value
    value = float(value)
    if single:
        value = struct.unpack("f", struct.pack("f", value))[0]
    return "NaN" if math.isnan(value) else value


def plain(value):
    """A value of a reader in the notation of the expected rows."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return real(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return ("us", (value - EPOCH) // datetime.timedelta(microseconds=1))
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if hasattr(value, "asDict"):
        return {k: plain(v) for k, v in value.asDict().items()}
    if isinstance(value, (list, tuple)):
        if value and all(type(v) is tuple and len(v) == 2 and isinstance(v[0], str) for v in value):
            return {k: plain(v) for k, v in value}  # Arrow gives maps as pairs
        return [plain(v) for v in value]
    raise TypeError(f"no notation for {type(value)}")


def timestamp(text):
    if text is None:
        return None
    body, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(body).replace(tzinfo=datetime.timezone.utc)
    micros = int((fraction + "000000")[:6]) if fraction else 0
    return ("us", (moment - EPOCH) // datetime.timedelta(microseconds=1) + micros)


def expected_rows(path):
    rows = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if "created_at" in row:
                row["created_at"] = timestamp(row["created_at"])
            row["single"] = real(row["single"], single=True)
            rows.append(row)
    return rows


def same(expected, found):
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(same(v, found[k]) for k, v in expected.items())
    if isinstance(expected, dict) and found == []:
        return not expected  # an empty map has no pairs to tell it from a list
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, (int, float)) and isinstance(found, float) and not isinstance(expected, bool):
        return float(expected) == found
    return expected == found and isinstance(expected, bool) == isinstance(found, bool)


def read_hudi_rs(table):
    import pyarrow
    from hudi import HudiTableBuilder
    reader = HudiTableBuilder.from_base_uri(table).build()
    if hasattr(reader, "read_snapshot"):
        batches = reader.read_snapshot()
    else:
        from hudi import HudiReadOptions
        batches = reader.read(HudiReadOptions())
    return pyarrow.Table.from_batches(batches).to_pylist() if batches else []


def read_spark(tables):
    import pyspark
    bundle = os.environ["HUDI_BUNDLE"]
    spark = (pyspark.sql.SparkSession.builder.master("local[2]").appName("compare")
             .config("spark.jars", bundle).config("spark.ui.enabled", "false")
             .config("spark.ui.showConsoleProgress", "false")
             .config("spark.sql.session.timeZone", "UTC").config("spark.driver.memory", "2g")
             .config("spark.sql.shuffle.partitions", "2")
             .config("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
             .config("spark.kryo.registrator", "org.apache.spark.HoodieSparkKryoRegistrar")
             .config("spark.sql.extensions", "org.apache.spark.sql.hudi.HoodieSparkSessionExtension")
             .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.hudi.catalog.HoodieCatalog")
             .getOrCreate())
    spark.sparkContext.setLogLevel("ERROR")
    os.environ["TZ"] = "UTC"
    for table in tables:
        try:
            yield [row.asDict() for row in spark.read.format("hudi").load(table).collect()]
        except Exception as error:  # the next table may be readable
            yield error


def compare(found, expected, keys):
    """Lines that say what differs, at most 20."""
    problems = []
    by_key = {}
    for row in found:
        row = {k: plain(v) for k, v in row.items() if not k.startswith("_hoodie_")}
        key = tuple(row.get(k) for k in keys)
        if key in by_key:
            problems.append(f"twice: {key}")
        by_key[key] = row
    for row in expected:
        key = tuple(row[k] for k in keys)
        other = by_key.pop(key, None)
        if other is None:
            problems.append(f"missing: {key}")
            continue
        for name, value in row.items():
            if name not in other or not same(value, other[name]):
                problems.append(f"{key}: {name} is {other.get(name)!r}, expected {value!r}")
    problems.extend(f"too many: {key}" for key in by_key)
    return problems


def report(reader, table, found, expected, keys):
    if isinstance(found, Exception):
        problems = [f"not readable: {str(found).splitlines()[0][:500]}"]
    else:
        problems = compare(found, expected, keys)
    print(f"{'FAILED' if problems else 'ok'} {reader} {os.path.basename(table)}: "
          f"{len(expected)} rows expected, {len(problems)} differences", flush=True)
    for line in problems[:8]:
        print("   ", line)
    return not problems


def main():
    reader, arguments = sys.argv[1], sys.argv[2:]
    # TABLE EXPECTED KEYS, any number of times: a Spark session takes long to start
    jobs = [arguments[i:i + 3] for i in range(0, len(arguments), 3)]
    if reader == "spark":
        results = read_spark([table for table, _, _ in jobs])
    else:
        def read_all():
            for table, _, _ in jobs:
                try:
                    yield read_hudi_rs(table)
                except Exception as error:
                    yield error
        results = read_all()
    good = True
    for (table, expected, keys), found in zip(jobs, results):
        good &= report(reader, table, found, expected_rows(expected), keys.split(","))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
