"""Where the time of a profiled run went: attribute.py PERF_DATA [RECORDS CPU_SECONDS]; JSON {stage: share or us a record}.

A sample belongs to the first stage of the list whose function is on its stack, or to the stage of its thread.
"""

import collections
import json
import subprocess
import sys

# (stage, functions)
STAGES = [
    ("opening the local state and the table", ("mor_pipeline_open_all", "mor_local_state_open", "open_state")),
    ("decoding", ("mor_decoder_record",)),
    ("digest", ("mor_record_digest_add",)),
    ("routing", ("mor_router_route",)),
    ("dedup of ids", ("judge_ids", "mor_state_dedup_judge", "settle_ids")),
    ("grouping rows, competing for keys", ("mor_changes_build", "settle_pool", "group_rows")),
    ("Parquet", ("mor_parquet_writer_append", "mor_parquet_writer_finish")),
    ("gathering rows", ("gather",)),
    ("writing files", ("mor_sink_write", "mor_sink_finish_deferred", "mor_sink_finish")),
    ("Avro log blocks", ("hudi_encode_log",)),
    ("base files, the rest", ("hudi_encode_base",)),
    ("local state", ("apply_state", "mor_local_state_apply", "mor_key_attachment_visit", "adopt")),
    ("commit, the rest", ("mor_committer_run",)),
    ("freeing messages", ("mor_chunk_free",)),
]
# zstd keeps no frame pointers, so who called it is not seen
LOST = "compression, and what else of a commit has no stack"
THREADS = [("rdk:", "librdkafka"), ("source", "source: polling and chunks"), ("lane", "lanes, the rest"),
           ("compact", "compaction beside it"), ("maintain", "compaction beside it"), ("encode", LOST), ("committer", LOST)]


def stage_of(thread, stack):
    if thread.startswith(("compact", "maintain")):
        return "compaction beside it"
    for stage, functions in STAGES:
        if any(function in functions for function in stack):
            return stage
    for prefix, stage in THREADS:
        if thread.startswith(prefix):
            return stage
    return "the rest"


def attribute(path):
    """{stage: share of the samples}"""
    counts = collections.Counter()
    text = subprocess.run(["perf", "script", "-i", path, "-F", "comm,ip,sym"], capture_output=True, text=True).stdout
    for sample in text.split("\n\n"):
        lines = sample.splitlines()
        if not lines:
            continue
        stack = {line.split(None, 1)[1].split("+")[0] for line in lines[1:] if len(line.split(None, 1)) > 1}
        stack = {name.split(".")[0] for name in stack}
        counts[stage_of(lines[0].strip(), stack)] += 1
    total = sum(counts.values())
    return {stage: count / total for stage, count in counts.most_common()} if total else {}


if __name__ == "__main__":
    shares = attribute(sys.argv[1])
    scale = float(sys.argv[3]) / float(sys.argv[2]) * 1e6 if len(sys.argv) > 3 else 1
    print(json.dumps({stage: round(share * scale, 4) for stage, share in shares.items()}, indent=1))
