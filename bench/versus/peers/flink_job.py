"""One Flink SQL job from Kafka into an Iceberg table: flink_job.py SPECIFICATION.json.

SPECIFICATION: {broker, topic, registry (null: JSON), schema (Avro, as JSON), group, warehouse, key, tuned, cluster (a folder
with lib/ and flink-python), jars, cores, memory, interval_ms}. Takes in every record that waits, then the job ends. A key makes
it an upsert table; then records go on behind those of the group's last run. Flink runs in one JVM (a mini cluster), driven
through the gateway of its Python package. Prints marks as spark_job.py does: ready, done.
"""

import json
import pathlib
import subprocess
import sys
import time

from py4j.java_gateway import GatewayParameters, JavaGateway

OPENED = ("util", "lang", "time", "nio", "net", "io", "util.concurrent", "util.concurrent.atomic")
TYPES = {"long": "BIGINT", "int": "INT", "double": "DOUBLE", "string": "STRING", "boolean": "BOOLEAN"}

with open(sys.argv[1], encoding="utf-8") as file:
    spec = json.load(file)


def mark(what, **more):
    print(json.dumps({"mark": what, "at": time.time(), **more}), flush=True)


def start_java():
    """Flink's JVM with a gateway on a free port; (process, gateway)."""
    cluster = pathlib.Path(spec["cluster"])
    command = ["java", f"-Xmx{spec['memory']}", *(["-XX:+UseParallelGC"] if spec["tuned"] else []),
               *(f"--add-opens=java.base/java.{p}=ALL-UNNAMED" for p in OPENED),
               "-cp", ":".join([f"{cluster}/*", f"{spec['jars']}/*"]),
               "org.apache.flink.api.python.shaded.py4j.GatewayServer", "--die-on-broken-pipe", "0"]
    java = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(java.stdout.readline())
    return java, JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))


def columns():
    """(types read, types of the table, expressions between). Microseconds come as numbers: Flink makes timestamps of
    milliseconds only."""
    read, kept, between = [], [], []
    for field in spec["schema"]["fields"]:
        kind, name = field["type"], field["name"]
        optional = isinstance(kind, list)
        plain = next(k for k in kind if k != "null") if optional else kind
        timed = isinstance(plain, dict)
        sql = "BIGINT" if timed else TYPES[plain]
        suffix = "" if optional else " NOT NULL"
        read.append(f"`{name}` {sql}{suffix}")
        kept.append(f"`{name}` {'TIMESTAMP_LTZ(6)' if timed else sql}{suffix}")
        between.append(f"TO_TIMESTAMP_LTZ(`{name}` / 1000, 3)" if timed else f"`{name}`")
    return read, kept, between


def options(values):
    return ", ".join(f"'{k}' = '{v}'" for k, v in values.items())


def of_table():
    """The table's properties."""
    properties = {"format-version": "2", "write.parquet.compression-codec": "zstd"}
    if spec["key"]:
        properties |= {"write.upsert.enabled": "true"}
    if spec["tuned"]:  # one writer needs no shuffle before it
        properties |= {"write.distribution-mode": "none"}
    return properties


def of_cluster():
    settings = {"execution.target": "local", "parallelism.default": spec["cores"],
                "execution.checkpointing.interval": f"{spec['interval_ms']} ms"}
    if spec["tuned"]:  # as Flink's page on tuning its tables says: records are handed on as they are
        settings |= {"pipeline.object-reuse": "true"}
    return settings


def statements():
    read, kept, between = columns()
    source = {"connector": "kafka", "topic": spec["topic"], "properties.bootstrap.servers": spec["broker"],
              "properties.group.id": spec["group"], "properties.auto.offset.reset": "earliest",
              "scan.startup.mode": "group-offsets" if spec["key"] else "earliest-offset", "scan.bounded.mode": "latest-offset"}
    if spec["registry"]:
        source |= {"format": "avro-confluent", "avro-confluent.url": spec["registry"]}
    else:
        source |= {"format": "json"}
    if spec["key"]:
        kept = [*kept, f"PRIMARY KEY (`{spec['key']}`) NOT ENFORCED"]
    yield f"CREATE TABLE source ({', '.join(read)}) WITH ({options(source)})"
    yield f"CREATE CATALOG lake WITH ('type' = 'iceberg', 'catalog-type' = 'hadoop', 'warehouse' = 'file://{spec['warehouse']}')"
    yield "CREATE DATABASE IF NOT EXISTS lake.db"
    yield f"CREATE TABLE IF NOT EXISTS lake.db.versus ({', '.join(kept)}) WITH ({options(of_table())})"
    yield f"INSERT INTO lake.db.versus SELECT {', '.join(between)} FROM source"


def main():
    java, gateway = start_java()
    flink = gateway.jvm.org.apache.flink
    configuration = flink.configuration.Configuration()
    for name, value in of_cluster().items():
        configuration.setString(name, str(value))
    environment = flink.table.api.TableEnvironment.create(
        flink.table.api.EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build())
    *before, insert = statements()
    for statement in before:
        environment.executeSql(statement)
    mark("settings", settings={**of_cluster(), **of_table()})
    mark("ready")
    getattr(environment.executeSql(insert), "await")()
    mark("done")
    gateway.shutdown()
    java.stdin.close()
    java.wait(60)


main()
