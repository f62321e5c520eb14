"""Every reader against the model."""

import readers
from compare import compare
from hudi_timeline import table_version
from rig import VERSIONS, say


def quick(scenario, table, model, key, what="", ignore=()):
    """moraine scan and the current hudi-rs."""
    expected = model() if callable(model) else model
    count = compare(f"moraine scan of {table.name}{what}", expected, readers.moraine(scenario, table, expected.schema), key,
                    ignore)
    compare(f"hudi-rs {VERSIONS['HUDI_RS']} on {table.name}{what}", expected, readers.hudi_rs(scenario, table), key, ignore)
    say(f"  {table.name}{what}: {count} rows equal the model")


def thorough(scenario, tables, old_hudi_rs=True):
    """Every reader that knows the table's version. tables: [(folder, model, key)]."""
    newest, old = VERSIONS["HUDI_BUNDLE_NEW"], VERSIONS["HUDI_BUNDLE_OLD"]
    for table, model, key in tables:
        quick(scenario, table, model, key)
        if table_version(table) == 6 and old_hudi_rs:
            compare(f"hudi-rs {VERSIONS['HUDI_RS_OLD']} on {table.name}", model, readers.hudi_rs(scenario, table, "old"), key)
    sixes = [t for t in tables if table_version(t[0]) == 6]
    for bundle, chosen in ((old, sixes), (newest, tables)):
        if not chosen:
            continue
        for (table, model, key), found in zip(chosen, readers.spark(scenario, bundle, [t[0] for t in chosen])):
            compare(f"Spark with Hudi {bundle} on {table.name}", model, found, key)
    say("  every reader agrees")
