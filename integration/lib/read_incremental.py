"""Spark with Hudi that answers queries line by line: read_incremental.py BUNDLE_JAR

A line TABLE=BEGIN=JSON_FILE[=PARQUET_FOLDER] writes {record key: [commit time, sequence number]} of the rows that commits after BEGIN
wrote, and into the folder all rows; the answer is "ok", or "error: ..."."""

import json
import sys

from read_spark import make_session


def answer(session, table, begin, target, folder=None):
    if folder:
        session.read.format("hudi").load(table).write.parquet(folder)
    rows = (session.read.format("hudi").option("hoodie.datasource.query.type", "incremental")
            .option("hoodie.datasource.read.begin.instanttime", begin).load(table)
            .select("_hoodie_record_key", "_hoodie_commit_time", "_hoodie_commit_seqno").collect())
    found = {key: [time, sequence] for key, time, sequence in rows}
    assert len(found) == len(rows), f"{len(rows) - len(found)} keys twice"
    with open(target, "w") as output:
        json.dump(found, output)


session = make_session(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    try:
        answer(session, *line.strip().split("="))
        print("ok", flush=True)
    except Exception as error:  # whatever Spark throws is an answer
        print("error: " + str(error).replace("\n", " ")[:2000], flush=True)
session.stop()
