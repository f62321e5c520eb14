"""Readers of a table that are not ours, and `moraine scan`: each returns an Arrow table."""

import subprocess
import time

import duckdb
import pyarrow
import pyarrow.parquet

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
