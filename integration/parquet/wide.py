"""2,000 columns of five types with 1,000, one and no rows: pyarrow writes, moraine copies, pyarrow and DuckDB read.

    python3 wide.py PQ_TOOL        (pq_tool is a CMake target; needs pyarrow, numpy and duckdb)
"""
import os
import subprocess
import sys
import tempfile

import duckdb
import numpy
import pyarrow
import pyarrow.parquet

COLUMNS = 2000


def column(kind, rows, random):
    if kind == 0:
        return pyarrow.array(random.integers(-(1 << 60), 1 << 60, rows))
    if kind == 1:
        return pyarrow.array(random.random(rows), mask=random.random(rows) < 0.2)
    if kind == 2:
        return pyarrow.array([None if x % 7 == 0 else f"s{x}" for x in random.integers(0, 50, rows)], pyarrow.string())
    if kind == 3:
        return pyarrow.array(random.integers(0, 2, rows).astype(bool))
    return pyarrow.array([[int(x)] * int(x % 3) for x in random.integers(0, 9, rows)], pyarrow.list_(pyarrow.int32()))


random = numpy.random.default_rng(1)
with tempfile.TemporaryDirectory() as folder:
    written, copied = os.path.join(folder, "in.parquet"), os.path.join(folder, "out.parquet")
    for rows in (1000, 1, 0):
        table = pyarrow.table({f"c{i}": column(i % 5, rows, random) for i in range(COLUMNS)})
        pyarrow.parquet.write_table(table, written)
        subprocess.run([sys.argv[1], "copy", written, copied], check=True)
        back = pyarrow.parquet.read_table(copied)
        wrong = [name for name in table.column_names if back[name].to_pylist() != table[name].to_pylist()]
        count = duckdb.sql(f"select count(*) from '{copied}'").fetchone()[0]
        print(f"{COLUMNS} columns, {rows} rows: {len(wrong)} columns differ, DuckDB counts {count}")
        if wrong or count != rows or back.num_columns != COLUMNS:
            sys.exit(1)
