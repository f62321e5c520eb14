"""Reads one Iceberg table: read_iceberg.py pyiceberg|duckdb|duckdb_uncached|chdb TABLE ARROW_FILE; TABLE is a folder, for
PyIceberg also the address of a REST catalog, a blank, and the table's name in it."""

import os
import sys
import tempfile

import pyarrow


def read_pyiceberg(table):
    from pyiceberg.catalog import load_catalog
    from pyiceberg.table import StaticTable

    if table.startswith("http"):
        uri, name = table.split(" ")
        return load_catalog("rig", type="rest", uri=uri).load_table(name).scan().to_arrow()
    return StaticTable.from_metadata(table).scan().to_arrow()


def read_duckdb(table, *settings):
    import duckdb
    from duckdb_extensions import import_extension

    with tempfile.TemporaryDirectory() as folder:
        db = duckdb.connect(config={"extension_directory": folder})
        for extension in ("avro", "iceberg"):
            import_extension(extension, con=db)
            db.load_extension(extension)
        for setting in ("timezone = 'UTC'", *settings):
            db.sql(f"set {setting}")
        return db.sql(f"select * from iceberg_scan({table!r})").to_arrow_table()


def read_duckdb_uncached(table):
    """For tables with Puffin files of others: see docs/iceberg.md."""
    return read_duckdb(table, "enable_external_file_cache = false")


def read_chdb(table):
    import chdb

    os.chdir("/")  # it reads files below the working folder only
    settings = "output_format_arrow_string_as_string=0, output_format_arrow_low_cardinality_as_dictionary=0"
    data = chdb.query(f"select * from icebergLocal('{table}') settings {settings}", "ArrowStream").bytes()
    return pyarrow.ipc.open_stream(data).read_all()


if __name__ == "__main__":
    reader, table, target = sys.argv[1:]
    rows = globals()[f"read_{reader}"](table)
    with pyarrow.OSFile(target, "wb") as file, pyarrow.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(rows)
