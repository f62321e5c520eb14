"""Readers of a table that are not ours, and `moraine scan`: each returns an Arrow table."""

import base64
import datetime
import decimal
import json
import subprocess
import time
import uuid

import duckdb
import pyarrow
import pyarrow.parquet

import iceberg_log
import rig
from rig import CACHE, HERE, VERSIONS, Failure, say

COUNTER = iter(range(1_000_000))


def run_reader(what, environment, script, args):
    started = time.monotonic()
    python = CACHE / f"venv-{environment}" / "bin" / "python"
    result = subprocess.run([str(python), str(HERE / "lib" / script), *map(str, args)], capture_output=True, text=True,
                            timeout=600, cwd=HERE / "lib")
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
        raise Failure(f"{what} cannot read the table:\n" + "\n".join(lines[-12:]))
    say(f"  {what}: read in {time.monotonic() - started:.1f} s")


def hudi_rs(scenario, table, environment="main"):
    target = scenario.folder / f"read-{next(COUNTER)}.arrow"
    version = VERSIONS["HUDI_RS" if environment == "main" else "HUDI_RS_OLD"]
    run_reader(f"hudi-rs {version}", environment, "read_hudi.py", [table, target])
    with pyarrow.memory_map(str(target)) as source:
        return pyarrow.ipc.open_file(source).read_all()


def spark(scenario, bundle, tables):
    """Reads several tables in one session; returns their contents in order."""
    folders = [scenario.folder / f"spark-{next(COUNTER)}" for _ in tables]
    jar = CACHE / "jars" / f"hudi-spark3.5-bundle_2.12-{bundle}.jar"
    run_reader(f"Spark {VERSIONS['PYSPARK']} with Hudi {bundle}", "main", "read_spark.py",
               [jar, *(f"{t}={f}" for t, f in zip(tables, folders))])
    return [pyarrow.parquet.read_table(folder) for folder in folders]


ICEBERG_READERS = {"pyiceberg": ("PyIceberg", "PYICEBERG"), "duckdb": ("DuckDB", "DUCKDB_ICEBERG"),
                   "duckdb_uncached": ("DuckDB without its file cache", "DUCKDB_ICEBERG"), "chdb": ("chDB", "CHDB")}


def iceberg(scenario, reader, table, schema):
    """An Iceberg table as one of ICEBERG_READERS sees it. schema: of the rows expected."""
    target = scenario.folder / f"read-{next(COUNTER)}.arrow"
    by_name = str(table).startswith("http")
    run_reader(iceberg_name(reader), "iceberg", "read_iceberg.py",
               [reader, table if by_name else iceberg_log.for_readers(table), target])
    with pyarrow.memory_map(str(target)) as source:
        found = pyarrow.ipc.open_file(source).read_all()
    return from_clickhouse(found, schema) if reader == "chdb" else found


def from_clickhouse(found, schema):
    """ClickHouse has one type for texts and bytes, and says of UUIDs only how long they are."""
    for index, field in enumerate(found.schema):
        if field.name not in schema.names or "binary" not in str(field.type):
            continue
        column, wanted = found.column(field.name), schema.field(field.name).type
        if pyarrow.types.is_fixed_size_binary(field.type) and pyarrow.types.is_string(wanted):
            texts = [None if v is None else str(uuid.UUID(bytes=v)) for v in column.to_pylist()]
            column = pyarrow.chunked_array([pyarrow.array(texts, pyarrow.string())])
        else:
            column = column.cast(wanted)
        found = found.set_column(index, field.name, column)
    return found


def iceberg_name(reader):
    name, version = ICEBERG_READERS[reader]
    return f"{name} {VERSIONS[version]}"


SPARKS = {"main": ("PYSPARK", "3.5_2.12"), "spark": ("PYSPARK_NEW", "4.0_2.13")}  # environment: version, runtime of Iceberg


def iceberg_jar(environment):
    return CACHE / "jars" / f"iceberg-spark-runtime-{SPARKS[environment][1]}-{VERSIONS['ICEBERG']}.jar"


def spark_iceberg_name(environment):
    return f"Spark {VERSIONS[SPARKS[environment][0]]} with Iceberg {VERSIONS['ICEBERG']}"


def spark_iceberg(scenario, tables, environment="main"):
    """As spark(), of Iceberg tables, by one of SPARKS."""
    folders = [scenario.folder / f"spark-{next(COUNTER)}" for _ in tables]
    tables = [t if str(t).startswith("http") else iceberg_log.for_readers(t) for t in tables]
    run_reader(spark_iceberg_name(environment), environment, "spark_iceberg.py",
               [iceberg_jar(environment), *(f"{t}={f}" for t, f in zip(tables, folders))])
    return [pyarrow.parquet.read_table(folder) for folder in folders]


class LineSession:
    """A script of lib/ that answers lines with "ok", or "error: ..."."""

    def __init__(self, scenario, name, script, arguments):
        python = CACHE / "venv-main" / "bin" / "python"
        log = scenario.folder / f"{name}.log"
        scenario.logs.append(log)
        self.name = name
        self.child = subprocess.Popen([str(python), str(HERE / "lib" / script), *map(str, arguments)], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("ab"), cwd=HERE / "lib",
                                      preexec_fn=rig.end_with_parent)
        scenario.stack.callback(self.child.kill)
        rig.expect(self.answer() is None, f"{name} did not start")

    def answer(self):
        """None, or what the script had against the line."""
        for line in self.child.stdout:
            if line.startswith(("ready", "ok", "error")):
                return line.strip() if line.startswith("error") else None
        raise Failure(f"{self.name} ended")

    def attempt(self, line):
        """None, or the error."""
        started = time.monotonic()
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        error = self.answer()
        say(f"  {self.name}, {time.monotonic() - started:.1f} s{', refused' if error else ''}: {line[:110]}")
        return error

    def ask(self, line):
        error = self.attempt(line)
        rig.expect(error is None, f"{self.name}: {error}")


class SparkSession(LineSession):
    """A running Spark that executes SQL; its catalog `lake` has the tables below `warehouse`, or those of a REST catalog."""

    def __init__(self, scenario, warehouse, catalog_uri=None):
        super().__init__(scenario, "spark", "spark_session.py",
                         [iceberg_jar("main"), warehouse, *([catalog_uri] if catalog_uri else [])])

    def try_sql(self, statement):
        """None, or the error."""
        return self.attempt(" ".join(statement.split()))

    def sql(self, statement):
        self.ask(" ".join(statement.split()))

    def upsert(self, table, staging, keys, **options):
        """As Flink's sink in upsert mode: see spark_flink.py."""
        self.sql(json.dumps({"table": table, "staging": staging, "keys": keys, **options}))


def moraine(scenario, table, expected, *options):
    """`moraine scan --output json`, its values brought to the types of the Arrow schema `expected`."""
    started = time.monotonic()
    target = scenario.folder / f"scan-{next(COUNTER)}.json"
    with target.open("wb") as output:
        result = subprocess.run([str(rig.BINARY), "scan", str(table), *options, "--output", "json"], stdout=output,
                                stderr=subprocess.PIPE, timeout=600)
    if result.returncode != 0:
        raise Failure(f"moraine scan: status {result.returncode}: {result.stderr.decode(errors='replace')}")
    found = from_json(target, expected)
    say(f"  moraine scan: read in {time.monotonic() - started:.1f} s")
    return found


# ---- JSON lines of `moraine scan` ---------------------------------------------------------------------

SQL_TYPES = {"int32": "INTEGER", "int64": "BIGINT", "bool": "BOOLEAN", "string": "VARCHAR", "date32[day]": "DATE",
             "double": "DOUBLE"}


def sql_type(kind):
    if pyarrow.types.is_timestamp(kind):
        return "TIMESTAMP"
    if pyarrow.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return SQL_TYPES.get(str(kind))


def from_json(path, schema):
    """JSON lines as Arrow. Columns that the schema does not have are kept as text, so that they show."""
    with path.open() as lines:
        first = lines.readline()
    names = list(json.loads(first)) if first else schema.names
    kinds = {name: schema.field(name).type if name in schema.names else pyarrow.string() for name in names}
    types = {name: sql_type(kind) for name, kind in kinds.items()}
    if first and all(types.values()):
        return duckdb.sql(f"select * from read_json({str(path)!r}, format='newline_delimited', columns={types})"
                          ).fetch_arrow_table()
    values = {name: [] for name in names}
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            for name in names:
                values[name].append(from_json_value(row[name], kinds[name]))
    return pyarrow.table({name: pyarrow.array(values[name], kinds[name]) for name in names})


def from_json_value(value, kind):
    types = pyarrow.types
    if value is None:
        return None
    if types.is_floating(kind):
        return float(value)
    if types.is_decimal(kind):
        return decimal.Decimal(value)
    if types.is_binary(kind):
        return base64.b64decode(value, validate=True)
    if types.is_date(kind):
        return datetime.date.fromisoformat(value)
    if types.is_timestamp(kind):
        since = datetime.datetime.fromisoformat(value.removesuffix("Z")) - datetime.datetime(1970, 1, 1)
        micros = since // datetime.timedelta(microseconds=1)
        return micros // 1000 if kind.unit == "ms" else micros
    if types.is_struct(kind):
        return {f.name: from_json_value(value[f.name], f.type) for f in kind}
    if types.is_map(kind):
        return [(k, from_json_value(v, kind.item_type)) for k, v in value.items()]
    if types.is_list(kind):
        return [from_json_value(v, kind.value_type) for v in value]
    return value
