"""Compares moraine's reading of Parquet files with pyarrow's, value by value.

    python3 golden.py PQ_TOOL FILE_OR_FOLDER...

Every file is copied by moraine (reader, then writer) and both are read by pyarrow; types that moraine reads
as another one (unsigned numbers, half floats, nanoseconds, INT96) are compared after the same conversion.
Files that pyarrow cannot read are only reported. Exits 1 when a file differs, or fails here alone.
"""
import datetime
import decimal
import math
import os
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq


def plain(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else (value, math.copysign(1, value))
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None, microsecond=value.microsecond)
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "bytes") and not isinstance(value, bytes):
        return value.bytes
    return value


def column_values(column):
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_time(kind) and kind.unit == "ns":
        column = column.cast(pa.time64("us"), safe=False)
    return [plain(value) for value in column.to_pylist()]


def compare(tool, path, folder):
    target = os.path.join(folder, "copy.parquet")
    done = subprocess.run([tool, "copy", path, target], capture_output=True, text=True)
    try:
        options = {"page_checksum_verification": True}
        want = pq.read_table(path, **options)
    except Exception as error:
        # 1 is an error with words, anything else a crash.
        return "pyarrow: " + str(error)[:80], done.returncode in (0, 1)
    if done.returncode != 0:
        return "moraine: " + done.stderr.strip()[:200], False
    got = pq.read_table(target)
    if (want.num_rows, want.num_columns) != (got.num_rows, got.num_columns):
        return f"{got.num_rows} rows, {got.num_columns} columns instead of {want.num_rows}, {want.num_columns}", False
    for index, name in enumerate(want.column_names):
        try:
            left, right = column_values(want.column(index)), column_values(got.column(index))
        except (ValueError, OverflowError, pa.ArrowInvalid) as error:
            print(f"  {os.path.basename(path)} column {name}: not compared: {str(error)[:80]}")
            continue
        if left != right:
            row = next(i for i in range(len(left)) if left[i] != right[i])
            return f"column {name} row {row}: {left[row]!r} became {right[row]!r}", False
    return f"{want.num_rows} rows equal", True


def main():
    tool, paths = sys.argv[1], []
    for path in sys.argv[2:]:
        if os.path.isdir(path):
            paths += [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".parquet")]
        else:
            paths.append(path)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            text, good = compare(tool, path, folder)
            bad += not good
            print(f"{'ok ' if good else 'BAD'} {os.path.basename(path)}: {text}")
    print(f"{len(paths)} files, {bad} bad")
    return bad > 0


sys.exit(main())
