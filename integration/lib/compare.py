"""Brings rows of different readers into one canonical form and compares them with the model row by row."""

import datetime
import decimal
import json

import duckdb
import pyarrow
import pyarrow.compute

from rig import Failure

HIDDEN = "_hoodie_"


def plain(value):
    """A nested value as JSON sees it, whatever reader it comes from."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in sorted(value.items())}
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    return value


def nested_text(column, kind):
    is_map = pyarrow.types.is_map(kind)
    texts = []
    for value in column.to_pylist():
        if value is not None and is_map:
            value = dict(value)
        texts.append(None if value is None else json.dumps(plain(value), sort_keys=True, ensure_ascii=False))
    return pyarrow.array(texts, pyarrow.string())


def canonical_column(column):
    kind = column.type
    types = pyarrow.types
    if types.is_dictionary(kind):
        return canonical_column(column.cast(kind.value_type))
    if isinstance(kind, pyarrow.UuidType):
        texts = [None if v is None else str(v) for v in column.to_pylist()]
        return pyarrow.array(texts, pyarrow.string())
    if types.is_timestamp(kind):
        return column.cast(pyarrow.timestamp("us", kind.tz)).cast(pyarrow.int64())
    if types.is_decimal(kind):
        return pyarrow.array([None if v is None else format(v, "f") for v in column.to_pylist()], pyarrow.string())
    if types.is_nested(kind):
        return nested_text(column, kind)
    if types.is_integer(kind):
        return column.cast(pyarrow.int64())
    if types.is_floating(kind):
        return column.cast(pyarrow.float64())
    if types.is_fixed_size_binary(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        return column.cast(pyarrow.binary())
    if types.is_string(kind) or types.is_large_string(kind):
        return column.cast(pyarrow.string())
    return column


def canonical(table, ignore=()):
    """Timestamps become microseconds, integers 64 bits, decimals and nested values text; Hudi's own
    columns and those in `ignore` go."""
    columns = {name: canonical_column(table.column(name)) for name in table.column_names
               if not name.startswith(HIDDEN) and name not in ignore}
    return pyarrow.table(columns)


def show(value):
    text = repr(value)
    return text if len(text) < 90 else text[:87] + "..."


def compare(name, expected, found, key, ignore=(), examples=5):
    """Failure with a readable difference unless `found` is exactly `expected` (both Arrow tables), each key
    once. `key` names the identifying columns. Returns the number of rows."""
    if expected.num_rows == 0 and found.num_rows == 0:
        return 0
    left, right = canonical(expected, ignore), canonical(found, ignore)
    report = []
    missing = [c for c in left.column_names if c not in right.column_names]
    extra = [c for c in right.column_names if c not in left.column_names]
    if missing:
        report.append(f"columns missing: {', '.join(missing)}; found {', '.join(right.column_names)}")
    if extra:
        report.append(f"columns nobody expects: {', '.join(extra)}")
    shared = [c for c in left.column_names if c in right.column_names]
    for column in shared:
        if left.column(column).type != right.column(column).type:
            report.append(f"column {column}: type {found.column(column).type}, expected {expected.column(column).type}")
    if any(column in missing for column in key) or any("type" in line for line in report):
        raise Failure(f"{name}: " + "\n  ".join(report))
    report += compare_rows(left, right, key, shared, examples)
    if report:
        raise Failure(f"{name}: {right.num_rows} rows, expected {left.num_rows}\n  " + "\n  ".join(report))
    return right.num_rows


def compare_rows(left, right, key, shared, examples):
    db = duckdb.connect()
    db.execute("set preserve_insertion_order = false")
    db.register("l", left)
    db.register("r", right)
    keys = ", ".join(f'"{k}"' for k in key)
    same_key = " and ".join(f'l."{k}" is not distinct from r."{k}"' for k in key)
    report = []
    doubled = db.sql(f"select {keys}, count(*) from r group by {keys} having count(*) > 1")
    count = db.sql("select count(*), coalesce(sum(\"count_star()\" - 1), 0) from doubled").fetchone()
    if count[0]:
        some = "; ".join(show(row) for row in doubled.limit(examples).fetchall())
        report.append(f"{count[0]} keys more than once ({count[1]} rows too many), e.g. {some}")
    for what, one, other in (("missing", "l", "r"), ("too many", "r", "l")):
        anti = f"from {one} where not exists (select 1 from {other} where {same_key})"
        number = db.sql(f"select count(*) {anti}").fetchone()[0]
        if number:
            rows = db.sql(f"select {one}.* {anti} limit {examples}")
            lines = "".join(f"\n    {show(dict(zip(rows.columns, row)))}" for row in rows.fetchall())
            report.append(f"{number} rows {what}, e.g.{lines}")
    for column in shared:
        joined = f'from l join r on {same_key} where l."{column}" is distinct from r."{column}"'
        number = db.sql(f"select count(*) {joined}").fetchone()[0] if column not in key else 0
        if number:
            rows = db.sql(f'select {", ".join(f"l.{k}" for k in key)}, l."{column}", r."{column}" {joined} limit {examples}')
            lines = "".join(f"\n    key {show(row[:-2])}: {show(row[-1])}, expected {show(row[-2])}" for row in rows.fetchall())
            report.append(f"column {column} differs in {number} rows, e.g.{lines}")
    return report
