"""Spark with Iceberg that runs SQL statements line by line: spark_session.py JAR WAREHOUSE [CATALOG_URI]

Reads one statement a line, answers each with one line: "ok" or "error: ...". A line that begins with "{" are the arguments of
spark_flink.upsert as JSON. The catalog is called `lake`: the tables below the
folder WAREHOUSE, or those of the REST catalog at CATALOG_URI."""

import json
import sys

import spark_flink
import spark_iceberg

if __name__ == "__main__":
    session = spark_iceberg.make_session(*sys.argv[1:])
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            if line.startswith("{"):
                spark_flink.upsert(session, **json.loads(line))
            else:
                session.sql(line.strip()).collect()
            print("ok", flush=True)
        except Exception as error:  # whatever Spark throws is an answer
            print("error: " + str(error).replace("\n", " ")[:2000], flush=True)
    session.stop()
