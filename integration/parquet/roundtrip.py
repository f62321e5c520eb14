"""Round trips between moraine's Parquet module and pyarrow and DuckDB.

    python3 roundtrip.py PQ_TOOL [--seed N] [--rounds N] [--keep DIR]

Every round makes a random schema (nested up to 6 levels) and random rows, has pyarrow write them in one of
many ways, copies the file through moraine's reader and writer (pq_tool copy) in one of many ways, and
compares what pyarrow and DuckDB read from the copy with the rows. Exits 1 at the first difference, naming
the seed. Needs pyarrow and duckdb from PyPI.
"""
import argparse
import datetime
import decimal
import math
import os
import random
import subprocess
import sys
import tempfile
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

EXTREME_INT32 = [0, 1, -1, 2**31 - 1, -(2**31), 2**30, -(2**30)]
EXTREME_INT64 = [0, 1, -1, 2**63 - 1, -(2**63), 2**62, 10**15]
EXTREME_FLOAT = [0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, math.nan, 1e-40, 3e38]
WORDS = ["", "a", "ä", "€uro", "𝄞 clef", "the quick brown fox", "x" * 300]


class Maker:
    """One random column type with a generator of values."""

    def __init__(self, rng, depth=0):
        self.rng = rng
        self.depth = depth

    def leaf(self):
        rng = self.rng
        mode = rng.choice(["few", "sequence", "random", "extreme"])
        state = {"n": rng.randrange(-1000, 10**9)}

        def number(bits, extremes):
            if mode == "few":
                return rng.randrange(-3, 12)
            if mode == "sequence":
                state["n"] += rng.choice([0, 1, 1, 2, 1000])
                return state["n"] if bits == 64 else state["n"] % (2**31)
            if mode == "extreme":
                return rng.choice(extremes)
            return rng.randrange(-(2 ** (bits - 1)), 2 ** (bits - 1))

        def text():
            if mode == "few":
                return rng.choice(WORDS)
            if mode == "sequence":
                state["n"] += 1
                return f"key-{state['n']:012d}"
            if mode == "extreme" and rng.random() < 0.01:
                return "y" * rng.choice([1, 1 << 16, 1 << 20])
            return "".join(rng.choice("abcdefghijklmnopé") for _ in range(rng.randrange(0, 40)))

        def real():
            if mode == "extreme":
                return rng.choice(EXTREME_FLOAT)
            if mode == "few":
                return rng.choice([0.5, 1.25, 99.99])
            return rng.uniform(-1e6, 1e6)

        def single():
            return pa.scalar(real(), pa.float32()).as_py()

        def day():
            return datetime.date(1, 1, 1) + datetime.timedelta(days=rng.randrange(0, 3650000))

        def stamp():
            return datetime.datetime(1970, 1, 1) + datetime.timedelta(
                microseconds=rng.randrange(-62135596800 * 10**6, 253402300799 * 10**6))

        def milli():
            value = stamp()
            return value.replace(microsecond=value.microsecond // 1000 * 1000)

        def utc(make):
            return lambda: make().replace(tzinfo=datetime.timezone.utc)

        def time():
            return datetime.time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.randrange(10**6))

        def time_milli():
            return time().replace(microsecond=rng.randrange(1000) * 1000)

        precision = rng.choice([1, 5, 9, 10, 18, 19, 28, 38])
        scale = rng.randrange(0, precision + 1)

        def number_of_digits():
            if mode == "few":
                unscaled = rng.randrange(-9, 10)
            else:
                unscaled = rng.randrange(-(10**precision) + 1, 10**precision)
            with decimal.localcontext() as context:
                context.prec = 60
                return decimal.Decimal(unscaled).scaleb(-scale)

        width = rng.choice([1, 3, 16, 33])
        choices = [
            (pa.bool_(), lambda: rng.random() < 0.5 if mode != "few" else True),
            (pa.int32(), lambda: number(32, EXTREME_INT32)),
            (pa.int64(), lambda: number(64, EXTREME_INT64)),
            (pa.float32(), single),
            (pa.float64(), real),
            (pa.decimal128(precision, scale), number_of_digits),
            (pa.date32(), day),
            (pa.time32("ms"), time_milli),
            (pa.time64("us"), time),
            (pa.timestamp("ms"), milli),
            (pa.timestamp("us"), stamp),
            (pa.timestamp("ms", "UTC"), utc(milli)),
            (pa.timestamp("us", "UTC"), utc(stamp)),
            (pa.string(), text),
            (pa.binary(), lambda: text().encode()),
            (pa.binary(width), lambda: rng.randbytes(width)),
        ]
        return rng.choice(choices)

    def make(self):
        """(pyarrow type, generator of a value that is not null)."""
        rng = self.rng
        if self.depth >= 6 or rng.random() < (0.6 if self.depth == 0 else 0.5):
            return self.leaf()
        inner = Maker(rng, self.depth + 1)
        kind = rng.choice(["struct", "list", "map"])
        if kind == "struct":
            fields = [inner.field(f"f{i}") for i in range(rng.randrange(1, 4))]
            kind_type = pa.struct([field for field, _ in fields])
            return kind_type, lambda: {field.name: value() for field, value in fields}
        if kind == "list":
            field, value = inner.field("element")
            return pa.list_(field), lambda: [value() for _ in range(rng.choice([0, 0, 1, 2, 3, 7]))]
        key_type, key = rng.choice([(pa.string(), lambda: "k" + str(rng.randrange(10**6))),
                                    (pa.int32(), lambda: rng.randrange(10**6))])
        field, value = inner.field("value")
        return (pa.map_(key_type, field),
                lambda: list({key(): value() for _ in range(rng.choice([0, 0, 1, 2, 5]))}.items()))

    def field(self, name):
        """(pyarrow field, generator that gives None where the field may be null)."""
        rng = self.rng
        kind, value = self.make()
        nullable = rng.random() < 0.7
        nulls = rng.choice([0, 0.01, 0.3, 0.95, 1]) if nullable else 0
        return (pa.field(name, kind, nullable=nullable),
                lambda: None if nulls and rng.random() < nulls else value())


def plain(value):
    """A form in which values compare: NaN is one value, -0.0 is not 0.0."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else (value, math.copysign(1, value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, uuid.UUID):
        return value.bytes
    return value


def rows_of(table):
    return [plain(column.to_pylist()) for column in table.columns]


def writer_options(rng, schema):
    options = {
        "compression": rng.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
        "data_page_version": rng.choice(["1.0", "2.0"]),
        "use_dictionary": rng.random() < 0.5,
        "data_page_size": rng.choice([100, 4096, 1 << 20]),
        "row_group_size": rng.choice([17, 1000, 1 << 20]),
        "write_page_index": rng.random() < 0.5,
        "write_page_checksum": rng.random() < 0.5,
        "store_schema": False,
        "store_decimal_as_integer": rng.random() < 0.3,
    }
    if not options["use_dictionary"] and rng.random() < 0.7:
        encodings = {}
        for field in schema:
            if pa.types.is_nested(field.type):
                continue
            choices = ["PLAIN"]
            if field.type in (pa.int32(), pa.int64()) or pa.types.is_timestamp(field.type):
                choices += ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]
            if pa.types.is_floating(field.type):
                choices += ["BYTE_STREAM_SPLIT"]
            if field.type in (pa.string(), pa.binary()):
                choices += ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
            encodings[field.name] = rng.choice(choices)
        options["column_encoding"] = encodings
    return options


def copy_settings(rng):
    return [
        "codec=" + rng.choice(["zstd", "snappy", "gzip", "lz4_raw", "none"]),
        f"page={rng.choice([1, 2])}",
        f"rows={rng.choice([23, 1000, 1 << 20])}",
        f"page_rows={rng.choice([7, 500, 1 << 17])}",
        f"page_bytes={rng.choice([200, 65536, 1 << 20])}",
        f"dictionary_bytes={rng.choice([100, 1 << 20])}",
        f"profile={rng.choice(['compatible', 'conservative', 'compact'])}",
        f"crc={rng.choice([0, 1])}",
        f"threads={rng.choice([1, 1, 3])}",
        f"decimal_int={rng.choice([0, 1])}",
        f"batch={rng.choice([1, 97, 65536])}",
    ]


def rewrite_with_duckdb(rng, path):
    """Has DuckDB write the rows anew; None when it cannot read or write them."""
    version, codec = rng.choice(["v1", "v2"]), rng.choice(["zstd", "snappy", "gzip", "lz4_raw", "brotli", "uncompressed"])
    rows = rng.choice([2048, 122880])
    other = path + ".duckdb"
    try:
        duckdb.connect().execute(f"copy (select * from read_parquet('{path}')) to '{other}' "
                                 f"(format parquet, parquet_version {version}, codec '{codec}', row_group_size {rows})")
        pq.read_table(other)
    except (duckdb.Error, pa.ArrowException):
        return None
    os.replace(other, path)
    return {"duckdb": version, "codec": codec, "row_group_size": rows}


def check_round(tool, seed, folder):
    rng = random.Random(seed)
    wide = rng.random() < 0.01
    # The table model holds 5,000 fields: two thousand columns are flat ones.
    fields = [Maker(rng, 6 if wide else 0).field(f"c{i}") for i in range(2000 if wide else rng.randrange(1, 9))]
    schema = pa.schema([field for field, _ in fields])
    count = rng.choice([0, 1, 10] if wide else [0, 1, 10, 300, 3000])
    columns = [pa.array([value() for _ in range(count)], field.type) for field, value in fields]
    table = pa.Table.from_arrays(columns, schema=schema)
    source, target = os.path.join(folder, "source.parquet"), os.path.join(folder, "target.parquet")
    options, settings = writer_options(rng, schema), copy_settings(rng)
    pq.write_table(table, source, **options)
    if rng.random() < 0.3:
        options = rewrite_with_duckdb(rng, source) or options
    done = subprocess.run([tool, "copy", source, target, *settings], capture_output=True, text=True)
    context = f"seed {seed}: {options} {settings}\n{schema if not wide else '2,000 columns'}"
    if done.returncode != 0:
        return f"{context}\npq_tool: {done.stderr[:2000]}"
    got = pq.read_table(target, page_checksum_verification=True)
    want = rows_of(pq.read_table(source))
    if got.num_rows != count:
        return f"{context}\n{got.num_rows} rows instead of {count}"
    for field, left, right in zip(schema, want, rows_of(got)):
        if left != right:
            row = next(i for i in range(count) if left[i] != right[i])
            return f"{context}\ncolumn {field.name} row {row}: {left[row]!r} became {right[row]!r}"
    return duckdb_difference(source, target, schema, context)


def duckdb_difference(source, target, schema, context):
    """DuckDB reads both files; where it can read what pyarrow wrote it must see the same in the copy."""
    connection = duckdb.connect()
    try:
        want = connection.execute(f"select * from read_parquet('{source}')").fetchall()
    except duckdb.Error:
        return None
    try:
        got = connection.execute(f"select * from read_parquet('{target}')").fetchall()
    except duckdb.Error as error:
        return f"{context}\nDuckDB reads the source but not the copy: {error}"
    if plain(want) != plain(got):
        for row, (left, right) in enumerate(zip(want, got)):
            if plain(left) != plain(right):
                return f"{context}\nDuckDB row {row}: {left!r} became {right!r}"
        return f"{context}\nDuckDB sees {len(got)} rows instead of {len(want)}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or temporary
        os.makedirs(folder, exist_ok=True)
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            problem = check_round(arguments.tool, seed, folder)
            if problem:
                print(problem)
                return 1
    print(f"{arguments.rounds} round trips, all equal")
    return 0


sys.exit(main())
