"""Flink SQL into Iceberg under measurement: one job takes in a topic and ends."""

from engine_job import PEERS, Job


class Flink(Job):
    """One Iceberg table of a Hadoop catalog; drain() runs a job that takes in what waits."""

    script = "flink_job.py"

    def __init__(self, scenario, broker, registry, load, topic, cpus, tuned, memory="2g", name="flink", interval_ms=10_000):
        super().__init__(scenario, cpus, name)
        self.form = "iceberg-upserts" if load.keyed else "iceberg"
        warehouse = self.folder / "warehouse"
        self.table = warehouse / "db" / "versus"
        self.spec = {"broker": broker.address, "topic": topic, "registry": registry.url if load.format == "avro" else None,
                     "schema": load.schema, "group": name, "warehouse": str(warehouse), "key": "order_id" if load.keyed else None,
                     "tuned": tuned, "cluster": str(PEERS / "flink"), "jars": str(PEERS / "flink-jars"),
                     "cores": len(cpus.split(",")), "memory": memory, "interval_ms": interval_ms}
