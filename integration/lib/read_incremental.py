"""Incremental queries with one Spark session: read_incremental.py BUNDLE_JAR TABLE=BEGIN=JSON_FILE...

Writes {record key: [commit time, sequence number]} of the rows that commits after BEGIN wrote.
"""

import json
import sys

from read_spark import make_session

bundle, *jobs = sys.argv[1:]
session = make_session(bundle)
for job in jobs:
    table, begin, target = job.split("=", 2)
    rows = (session.read.format("hudi").option("hoodie.datasource.query.type", "incremental")
            .option("hoodie.datasource.read.begin.instanttime", begin).load(table)
            .select("_hoodie_record_key", "_hoodie_commit_time", "_hoodie_commit_seqno").collect())
    found = {key: [time, sequence] for key, time, sequence in rows}
    assert len(found) == len(rows), f"{len(rows) - len(found)} keys twice"
    with open(target, "w") as output:
        json.dump(found, output)
session.stop()
