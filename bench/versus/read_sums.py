"""Sums of a table as a reader that is not ours sees them: read_sums.py FORMAT TABLE SQL SQL SQL COLUMN...

Prints JSON {rows, ids, cents, small}. hudi: hudi-rs; iceberg: PyIceberg (a metadata file); delta: delta-rs; iceberg-upserts:
DuckDB, which knows equality deletes (a metadata file); each for the rows, DuckDB for the sums. Of upserts that keep deleted
orders, marked in `op`, those are left out.
"""

import json
import sys
import tempfile

import duckdb
import pyarrow

form, table, ids, cents, small, *columns = sys.argv[1:]


def batches():
    if form == "hudi":
        import hudi
        options = hudi.HudiReadOptions().with_projection(columns)
        return [pyarrow.record_batch(b) for b in hudi.HudiTableBuilder.from_base_uri(table).build().read(options)]
    if form == "iceberg":
        from pyiceberg.table import StaticTable
        return StaticTable.from_metadata(table).scan(selected_fields=tuple(columns)).to_arrow().to_batches()
    if form == "delta":
        from deltalake import DeltaTable, QueryBuilder  # its way over pyarrow knows no deletion vectors
        query = QueryBuilder().register("t", DeltaTable(table)).execute(f"select {', '.join(columns)} from t")
        return pyarrow.table(query.read_all()).to_batches()
    if form == "iceberg-upserts":
        import duckdb_extensions
        with tempfile.TemporaryDirectory() as folder:
            db = duckdb.connect(config={"extension_directory": folder})
            for extension in ("avro", "iceberg"):
                duckdb_extensions.import_extension(extension, con=db)
                db.load_extension(extension)
            found = db.sql(f"select {', '.join(columns)} from iceberg_scan({table!r}) where op <> 'd'").to_arrow_table()
        return found.to_batches()
    raise SystemExit(f"read_sums: no reader for {form}")


found = batches()
rows = pyarrow.Table.from_batches(found) if found else None
answer = (0, 0, 0, 0)
if rows is not None:
    answer = duckdb.sql(f"select count(*), sum({ids})::bigint, sum({cents})::bigint, sum({small})::bigint from rows").fetchone()
print(json.dumps(dict(zip(("rows", "ids", "cents", "small"), (int(a or 0) for a in answer)))))
