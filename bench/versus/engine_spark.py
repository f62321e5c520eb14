"""Spark Structured Streaming under measurement."""

from engine_job import PEERS, Job
from rig import CACHE, VERSIONS

JARS = PEERS / "spark-jars"


def jars(sink):
    """What the job loads: the Kafka source and Avro, and the bundle of one table format."""
    beside = [p for p in sorted(JARS.glob("*.jar"))
              if not p.name.startswith(("iceberg", "delta", "hudi", "scala-library", "spark-tags"))]
    bundle = {"hudi": [CACHE / "jars" / f"hudi-spark3.5-bundle_2.12-{VERSIONS['HUDI_BUNDLE_NEW']}.jar"],
              "iceberg": sorted(JARS.glob("iceberg*.jar")), "delta": sorted(JARS.glob("delta*.jar"))}[sink]
    return [str(p) for p in beside + bundle]


class Spark(Job):
    """One table and its checkpoint."""

    script = "spark_job.py"

    def __init__(self, scenario, broker, load, topic, sink, cpus, tuned, memory="2g", name="spark", per_batch=None):
        super().__init__(scenario, cpus, name)
        warehouse = self.folder / "warehouse"
        self.table = warehouse / "db" / "versus" if sink == "iceberg" else self.folder / "table"
        self.form = sink
        self.spec = {"broker": broker.address, "topic": topic, "format": load.format, "schema": load.schema, "sink": sink,
                     "table": f"{self.table}", "warehouse": str(warehouse), "checkpoint": str(self.folder / "checkpoint"),
                     "keyed": load.keyed, "tuned": tuned, "jars": jars(sink), "cores": len(cpus.split(",")), "memory": memory,
                     "per_batch": per_batch}
