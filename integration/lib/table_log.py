"""How far a table is and what its commits state, whatever its format."""

import hudi_timeline
import iceberg_log


def progress(table):
    """[(rising number or instant, the `moraine` property)] of the commits that brought records, oldest first."""
    return (iceberg_log if iceberg_log.is_table(table) else hudi_timeline).progress(table)


def offsets(table):
    """{partition: next offset} in the newest of them."""
    states = progress(table)
    return {int(p): o[0] for p, o in states[-1][1]["offsets"].items()} if states else {}


def row_totals(table):
    """Sums of the outcomes over all of them that the table still remembers."""
    totals = {}
    for _, state in progress(table):
        for outcome, count in state["rows"].items():
            totals[outcome] = totals.get(outcome, 0) + count
    return totals
