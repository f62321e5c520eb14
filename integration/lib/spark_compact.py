"""Compacts a Hudi table with Spark: spark_compact.py BUNDLE_JAR TABLE VERSION. Prints what the two steps answered.

Scheduling is tried again: a library refuses while a deltacommit that began earlier is not finished.
"""

import sys
import time

from read_spark import make_session

bundle, table, version = sys.argv[1:4]
session = make_session(bundle)
session.sql("set hoodie.metadata.enable=false")
session.sql("set hoodie.compact.inline.max.delta.commits=1")
if int(version) == 6:
    # a newer library must neither upgrade the table nor add a metadata table to it
    session.sql("set hoodie.write.auto.upgrade=false")
    session.sql("set hoodie.write.table.version=6")


def call(operation):
    rows = session.sql(f"call run_compaction(op => '{operation}', path => '{table}')").collect()
    print(operation, rows, flush=True)
    return rows


for attempt in range(20):
    try:
        if call("schedule"):
            break
    except Exception as error:  # py4j wraps whatever Java throws
        print(f"schedule: {str(error).splitlines()[0]}", flush=True)
    time.sleep(0.7)
call("run")
session.stop()
