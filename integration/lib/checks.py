"""Every reader against the model."""

import iceberg_log
import pyarrow
import readers
from compare import compare
from hudi_timeline import table_version
from rig import VERSIONS, say
from verifying import expect_right


def as_stored(model, derived):
    """The model with the columns that the table has for its partitioning and `moraine scan` does not show."""
    for name, make in (derived or {}).items():
        model = model.append_column(name, make(model))
    return model


def quick(scenario, table, model, key, what="", derived=None, ignore=()):
    """moraine scan and the current hudi-rs."""
    found = readers.moraine(scenario, table, model.schema)
    count = compare(f"moraine scan of {table.name}{what}", model, found, key, ignore)
    found = readers.hudi_rs(scenario, table)
    compare(f"hudi-rs {VERSIONS['HUDI_RS']} on {table.name}{what}", as_stored(model, derived), found, key, ignore)
    say(f"  {table.name}{what}: {count} rows equal the model")


def oldest_can_read(model):
    """hudi-rs 0.4.0 knows neither decimals nor nested types in log files, and gives timestamps another type there than
    in base files."""
    types = pyarrow.types
    return not any(types.is_timestamp(f.type) or types.is_decimal(f.type) or types.is_nested(f.type) for f in model.schema)


def thorough(scenario, tables, oldest=True):
    """Every reader that knows the table's version and types, and `moraine verify`. tables: [(folder, model, key, derived
    columns)]."""
    for table, model, key, derived in tables:
        quick(scenario, table, model, key, derived=derived)
        expect_right(table)
        if oldest and table_version(table) == 6 and oldest_can_read(model):
            found = readers.hudi_rs(scenario, table, "old")
            compare(f"hudi-rs {VERSIONS['HUDI_RS_OLD']} on {table.name}", as_stored(model, derived), found, key)
    spark(scenario, tables)
    say("  every reader agrees")


def spark(scenario, tables, what=""):
    """Spark with the bundles that know the tables' versions. tables: as in thorough."""
    sixes = [t for t in tables if table_version(t[0]) == 6]
    for bundle, chosen in ((VERSIONS["HUDI_BUNDLE_OLD"], sixes), (VERSIONS["HUDI_BUNDLE_NEW"], tables)):
        if not chosen:
            continue
        results = readers.spark(scenario, bundle, [t[0] for t in chosen])
        for (table, model, key, derived), found in zip(chosen, results):
            compare(f"Spark with Hudi {bundle} on {table.name}{what}", as_stored(model, derived), found, key)


# ---- Iceberg --------------------------------------------------------------------------------------------


def iceberg_readers(table, duckdb="duckdb"):
    """Those that read the table as it is: chDB knows no deletion vectors."""
    vectors = iceberg_log.format_version(table) >= 3 and iceberg_log.total(table, "delete-files") > 0
    return ["pyiceberg", duckdb] if vectors else ["pyiceberg", duckdb, "chdb"]


def quick_iceberg(scenario, table, model, key, what="", chosen=("pyiceberg",)):
    """moraine scan and the chosen readers."""
    found = readers.moraine(scenario, table, model.schema)
    count = compare(f"moraine scan of {table.name}{what}", model, found, key)
    for reader in chosen:
        found = readers.iceberg(scenario, reader, table, model.schema)
        # ClickHouse has no null of a nested type
        ignored = [f.name for f in model.schema if pyarrow.types.is_nested(f.type) and model.column(f.name).null_count]
        compare(f"{readers.iceberg_name(reader)} on {table.name}{what}", model, found, key, ignored if reader == "chdb" else ())
    say(f"  {table.name}{what}: {count} rows equal the model")


def thorough_iceberg(scenario, tables, duckdb="duckdb"):
    """Every reader that knows the table's version. tables: [(folder, model, key)]."""
    for table, model, key in tables:
        quick_iceberg(scenario, table, model, key, chosen=iceberg_readers(table, duckdb))
    for spark in readers.SPARKS:
        for (table, model, key), found in zip(tables, readers.spark_iceberg(scenario, [t[0] for t in tables], spark)):
            compare(f"{readers.spark_iceberg_name(spark)} on {table.name}", model, found, key)
    say("  every reader agrees")
