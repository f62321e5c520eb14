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
result = pyarrow.Table.from_batches([pyarrow.record_batch(b) for b in batches])
with pyarrow.OSFile(target, "wb") as sink, pyarrow.ipc.new_file(sink, result.schema) as writer:
    writer.write_table(result)
