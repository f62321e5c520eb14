"""Spark (parquet-java, vectorised reader) and moraine read each other's Parquet files.

    python3 spark.py PQ_TOOL

Needs pyspark 3.5. Spark writes rows of all its types in many ways (codecs, page versions, INT96, legacy
lists); moraine copies the file in many ways; Spark must read the same rows from the copy, with and without
its vectorised reader. Exits 1 at the first difference.
"""
import itertools
import os
import subprocess
import sys
import tempfile

from pyspark.sql import SparkSession

ROWS = """
select
  id,
  cast(id % 7 = 0 as boolean) as flag,
  cast(id % 100 as int) as few,
  case when id % 5 = 0 then null else id * 1000003 end as sparse,
  cast(id as float) / 3 as f,
  case when id % 11 = 0 then double('NaN') else id / 7.0 end as d,
  cast(id as decimal(9, 2)) as dec9, cast(id * 1000 as decimal(18, 4)) as dec18,
  cast(id as decimal(38, 10)) as dec38,
  date_add(date'1990-01-01', cast(id % 20000 as int)) as day,
  timestamp_micros(id * 86400123456) as ts,
  cast(timestamp_micros(id * 3600123456) as timestamp_ntz) as local,
  case when id % 3 = 0 then null else concat('text-', id % 50) end as kind,
  concat('key-', lpad(id, 12, '0'), '-', md5(cast(id as string))) as name,
  cast(md5(cast(id as string)) as binary) as bytes,
  case when id % 4 = 0 then null else sequence(0, id % 5) end as list,
  map('a', id, 'b', null) as m,
  case when id % 6 = 0 then null else named_struct('x', id, 'y', array(named_struct('z', cast(id as string)))) end as s
from range({rows})
"""

SPARK_WRITES = [
    {"compression": "snappy"},
    {"compression": "gzip", "parquet.writer.version": "PARQUET_2_0"},
    {"compression": "zstd", "parquet.enable.dictionary": "false"},
    {"compression": "lz4raw", "parquet.page.size": "2000"},
    {"compression": "uncompressed", "parquet.bloom.filter.enabled#name": "true"},
]

COPIES = [
    [],
    ["page=2", "crc=1"],
    ["codec=snappy", "profile=conservative", "page_rows=100"],
    ["codec=lz4_raw", "decimal_int=1", "rows=700"],
    ["codec=gzip", "encoding=name:delta_bytes", "bloom=name", "bloom=kind", "page_rows=50", "rows=500"],
]


def make_session():
    session = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
               .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.sql.session.timeZone", "UTC").getOrCreate())
    session.sparkContext.setLogLevel("ERROR")
    return session


def digest(session, path):
    """Count and order-free hash of the rows, nested ones as text."""
    frame = session.read.parquet(path)
    rows = frame.selectExpr("to_json(struct(*), map('ignoreNullFields', 'false')) as row")
    return rows.selectExpr("count(*)", "sum(cast(xxhash64(row) as decimal(30,0)))", "min(row)").collect()[0]


FILTERS = ["id between 1200 and 1210", "kind = 'text-7'", "kind is null and id > 2000", "name = 'nowhere'",
           "dec18 = 1500000", "day < date'1991-01-01'", "ts >= timestamp'1990-01-01 00:00:00'", "s.x = 77", "d > 300"]


def filters_differ(session, source, copy):
    """Row groups and pages that Spark leaves out by moraine's statistics, page index and bloom filters."""
    for condition in FILTERS:
        counts = [session.read.parquet(path).where(condition).count() for path in (source, copy)]
        if counts[0] != counts[1]:
            return f"where {condition}: {counts[1]} rows instead of {counts[0]}"
    return None


def single_file(folder):
    names = [name for name in os.listdir(folder) if name.endswith(".parquet")]
    assert len(names) == 1, names
    return os.path.join(folder, names[0])


def main():
    tool = sys.argv[1]
    session = make_session()
    checked = 0
    with tempfile.TemporaryDirectory() as temporary:
        for number, options in enumerate(SPARK_WRITES):
            for int96, legacy in itertools.product(["TIMESTAMP_MICROS", "INT96"], ["false", "true"]):
                session.conf.set("spark.sql.parquet.outputTimestampType", int96)
                session.conf.set("spark.sql.parquet.writeLegacyFormat", legacy)
                source = os.path.join(temporary, f"spark-{number}-{int96}-{legacy}")
                session.sql(ROWS.format(rows=2500)).coalesce(1).write.options(**options).parquet(source)
                want = digest(session, source)
                for settings in COPIES:
                    copy = os.path.join(temporary, "copy.parquet")
                    done = subprocess.run([tool, "copy", single_file(source), copy, *settings],
                                          capture_output=True, text=True)
                    context = f"{options} {int96} legacy={legacy} {settings}"
                    if done.returncode != 0:
                        print(f"{context}: pq_tool: {done.stderr}")
                        return 1
                    for vectorised in ("true", "false"):
                        session.conf.set("spark.sql.parquet.enableVectorizedReader", vectorised)
                        session.conf.set("spark.sql.parquet.enableNestedColumnVectorizedReader", vectorised)
                        try:
                            got = digest(session, copy)
                        except Exception as error:
                            print(f"{context} vectorised={vectorised}: {str(error)[:1000]}")
                            return 1
                        # INT96 comes back as local time: the same moments under another type.
                        if (got[0], got[1]) != (want[0], want[1]) and int96 != "INT96":
                            print(f"{context} vectorised={vectorised}:\n{want}\n{got}")
                            return 1
                        checked += 1
                    session.conf.set("spark.sql.parquet.enableVectorizedReader", "true")
                    problem = int96 != "INT96" and legacy == "false" and filters_differ(session, source, copy)
                    if problem:
                        print(f"{context} {problem}")
                        return 1
    session.stop()
    print(f"{checked} readings by Spark, all equal")
    return 0


sys.exit(main())
