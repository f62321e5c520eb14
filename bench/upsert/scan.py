"""Spark adds a table up: scan.py iceberg|hudi JAR TABLE SQL SQL SQL. Prints JSON {seconds: [three], sums: {rows, ids, cents, small}};
a first time, which is not counted, warms the session."""

import json
import sys
import time

form, jar, table, ids, cents, small = sys.argv[1:]
if form == "iceberg":
    from spark_iceberg import make_session
else:
    from read_spark import make_session
session = make_session(jar)
seconds = []
for _ in range(4):
    began = time.monotonic()
    rows = session.read.format(form).load(table)
    found = rows.selectExpr("count(*)", f"sum({ids})", f"sum({cents})", f"sum({small})").collect()[0]
    seconds.append(time.monotonic() - began)
print(json.dumps({"seconds": seconds[1:], "sums": dict(zip(("rows", "ids", "cents", "small"), (int(v or 0) for v in found)))}))
session.stop()
