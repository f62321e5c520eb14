"""Every reader against the model."""

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
    newest, old = VERSIONS["HUDI_BUNDLE_NEW"], VERSIONS["HUDI_BUNDLE_OLD"]
    for table, model, key, derived in tables:
        quick(scenario, table, model, key, derived=derived)
        expect_right(table)
        if oldest and table_version(table) == 6 and oldest_can_read(model):
            found = readers.hudi_rs(scenario, table, "old")
            compare(f"hudi-rs {VERSIONS['HUDI_RS_OLD']} on {table.name}", as_stored(model, derived), found, key)
    sixes = [t for t in tables if table_version(t[0]) == 6]
    for bundle, chosen in ((old, sixes), (newest, tables)):
        if not chosen:
            continue
        results = readers.spark(scenario, bundle, [t[0] for t in chosen])
        for (table, model, key, derived), found in zip(chosen, results):
            compare(f"Spark with Hudi {bundle} on {table.name}", as_stored(model, derived), found, key)
    say("  every reader agrees")
