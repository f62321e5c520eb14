"""Reads a Hudi table with hudi-rs and writes it as an Arrow file: read_hudi.py TABLE FILE.

Runs inside either Python environment; which release of hudi-rs that is decides the API.
"""

import sys

import hudi
import pyarrow

path, target = sys.argv[1:3]
table = hudi.HudiTableBuilder.from_base_uri(path).build()
if hasattr(hudi, "HudiReadOptions"):
    batches = table.read(hudi.HudiReadOptions())
else:
    batches = table.read_snapshot()
found = [pyarrow.record_batch(b) for b in batches]
result = pyarrow.Table.from_batches(found) if found else pyarrow.table({})  # a table without rows has no schema here
with pyarrow.OSFile(target, "wb") as sink, pyarrow.ipc.new_file(sink, result.schema) as writer:
    writer.write_table(result)
