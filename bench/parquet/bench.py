"""Parquet writing and reading beside DuckDB and pyarrow: one thread, same codec, level and row groups.

    python3 bench.py PQ_BENCH FLIGHTS_PARQUET [--runs N] [--event-rows N] [--folder DIR] [--cpu N]

FLIGHTS_PARQUET is data/flights-3m.parquet of the npm package vega-datasets. The event table (15 columns
with a map) is generated here. Every engine writes the same rows from its own memory with zstd level 1 and
row groups of 122,880 rows (DuckDB's default) and reads its own file; all engines also read moraine's
file. Prints a JSON list of cases; the ratio is against the better of the two others. Needs duckdb and
pyarrow from PyPI.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 122880

EVENT_SQL = """
select
  'evt' || lpad(to_hex(hash(i * 1000)), 16, '0') as event_id,
  (1700000000000000 + i * 1250 + (hash(i * 1000 + 1) % 1000)::bigint) as ts_us,
  i as seq,
  (hash(i * 1000 + 2) % 1000000)::bigint as user_id,
  (hash(i * 1000 + 3) % 10)::int + 1 as qty,
  ['view','click','cart','order','refund'][(hash(i * 1000 + 4) % 5)::int + 1] as kind,
  ['DE','FR','US','GB','JP','BR','IN','CN'][(hash(i * 1000 + 5) % 8)::int + 1] as country,
  ['ios','android','web'][(hash(i * 1000 + 6) % 3)::int + 1] as platform,
  'https://shop.example.com/p/' || (hash(i * 1000 + 7) % 50000) || '?ref=' || (hash(i * 1000 + 8) % 100) as url,
  'sku-' || (hash(i * 1000 + 9) % 20000) as sku,
  (hash(i * 1000 + 10) % 100000)::double / 100 as amount,
  (hash(i * 1000 + 11) % 1000)::double / 1000 as discount,
  (hash(i * 1000 + 12)::double / 18446744073709551616.0) as score,
  (hash(i * 1000 + 13) % 4 = 0) as returning_customer,
  map(['campaign','channel'], ['c' || (hash(i * 1000 + 14) % 200), ['mail','ads','organic'][(hash(i * 1000 + 15) % 3)::int + 1]]) as props
from range({rows}) t(i)
"""


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work):
    wall, cpu = time.monotonic(), cpu_seconds()
    work()
    return time.monotonic() - wall, cpu_seconds() - cpu


def one_thread():
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    connection = duckdb.connect()
    connection.execute("set threads=1")
    connection.execute("set preserve_insertion_order=true")
    return connection


def duckdb_read(connection, path):
    columns = [row[0] for row in connection.execute(f"describe select * from read_parquet('{path}')").fetchall()]
    # count(x) would be answered from statistics; any_value looks at every vector and does little else
    # (it leaves dictionary values where they are, so this is DuckDB's scan alone).
    values = ", ".join(f'any_value("{name}")' for name in columns)
    return lambda: connection.execute(f"select {values} from read_parquet('{path}')").fetchall()


def duckdb_arrow(connection, path):
    """What moraine and pyarrow do: every value in Arrow layout."""
    def work():
        for batch in connection.sql(f"select * from read_parquet('{path}')").to_arrow_reader(65536):
            batch.num_rows
    return work


def pyarrow_read(path):
    def work():
        for batch in pq.ParquetFile(path).iter_batches(batch_size=65536, use_threads=False):
            batch.num_rows
    return work


def best(samples):
    """The run with the least CPU time: other work on the machine disturbs the rest."""
    return min(samples, key=lambda sample: sample[1])


def run_moraine(tool, source, target, runs, cpu, *extra):
    command = [tool, source, target, str(ROW_GROUP), str(runs), *extra]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in out.splitlines()]
    times = {what: [(float(l[1]), float(l[2])) for l in lines if l[0] == what] for what in ("write", "read")}
    size = [int(l[4]) for l in lines if l[0] == "write"][0]
    return times, size


def bench(name, source, tool, runs, folder, cpu):
    connection = one_thread()
    connection.execute(f"create table t as select * from read_parquet('{source}')")
    table = pq.read_table(source)
    rows = table.num_rows
    plain_bytes = table.nbytes
    paths = {engine: os.path.join(folder, f"{name}-{engine}.parquet") for engine in ("duckdb", "pyarrow", "moraine")}
    copy = (f"copy t to '{paths['duckdb']}' (format parquet, codec zstd, compression_level 1, "
            f"row_group_size {ROW_GROUP}, parquet_version v2)")
    writes = {
        "duckdb": lambda: connection.execute(copy),
        "pyarrow": lambda: pq.write_table(table, paths["pyarrow"], compression="zstd", compression_level=1,
                                          row_group_size=ROW_GROUP, store_schema=False),
    }
    results = {engine: {"write": [], "read": [], "scan": []} for engine in paths}
    size = 0
    for _ in range(runs):
        for engine, work in writes.items():
            results[engine]["write"].append(timed(work))
        results["duckdb"]["read"].append(timed(duckdb_arrow(connection, paths["duckdb"])))
        results["duckdb"]["scan"].append(timed(duckdb_read(connection, paths["duckdb"])))
        results["pyarrow"]["read"].append(timed(pyarrow_read(paths["pyarrow"])))
        times, size = run_moraine(tool, source, paths["moraine"], 2, cpu)
        for what in times:
            results["moraine"][what] += times[what]
    cases = []
    for what, goal in (("write", 2.0), ("read", 1.0)):
        rate = {engine: rows / best(results[engine][what])[1] / 1e6 for engine in results}
        rival = max(("duckdb", "pyarrow"), key=lambda engine: rate[engine])
        cases.append({"case": f"parquet {what} {name}", "value": round(rate["moraine"], 2), "unit": "M rows/s of CPU",
                      "mb_per_s": round(rate["moraine"] * plain_bytes / rows, 1),
                      "against": {engine: round(rate[engine], 2) for engine in ("duckdb", "pyarrow")},
                      "ratio": round(rate["moraine"] / rate[rival], 2), "goal": goal,
                      "met": rate["moraine"] / rate[rival] >= goal})
    scan = rows / best(results["duckdb"]["scan"])[1] / 1e6
    read = rows / best(results["moraine"]["read"])[1] / 1e6
    cases.append({"case": f"parquet read {name}, DuckDB without Arrow output", "value": round(read, 2),
                  "unit": "M rows/s of CPU", "against": {"duckdb": round(scan, 2)}, "ratio": round(read / scan, 2)})
    sizes = {engine: os.path.getsize(path) for engine, path in paths.items()}
    smaller = min(sizes["duckdb"], sizes["pyarrow"])
    cases.append({"case": f"parquet size {name}", "value": size, "unit": "bytes",
                  "against": {"duckdb": sizes["duckdb"], "pyarrow": sizes["pyarrow"]},
                  "ratio": round(size / smaller, 3), "goal": 1.02, "met": size / smaller <= 1.02})
    foreign = {"duckdb": best([timed(duckdb_read(connection, paths["moraine"])) for _ in range(3)])[1],
               "pyarrow": best([timed(pyarrow_read(paths["moraine"])) for _ in range(3)])[1]}
    cases.append({"case": f"parquet read of moraine's file {name}", "unit": "M rows/s of CPU",
                  "against": {engine: round(rows / seconds / 1e6, 2) for engine, seconds in foreign.items()}})
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("flights")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--event-rows", type=int, default=5_000_000)
    parser.add_argument("--folder", default=".")
    parser.add_argument("--cpu", type=int)
    arguments = parser.parse_args()
    events = os.path.join(arguments.folder, f"events-{arguments.event_rows}.parquet")
    if not os.path.exists(events):
        duckdb.connect().execute(f"copy ({EVENT_SQL.format(rows=arguments.event_rows)}) to '{events}' (format parquet)")
    cases = []
    for name, source in (("flights", arguments.flights), ("events", events)):
        cases += bench(name, source, arguments.tool, arguments.runs, arguments.folder, arguments.cpu)
    json.dump(cases, sys.stdout, indent=1)
    print()


main()
