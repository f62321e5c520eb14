"""One Spark Structured Streaming job from Kafka into a table: spark_job.py SPECIFICATION.json.

SPECIFICATION: {broker, topic, format: avro|json, schema (Avro, as JSON), sink: hudi|iceberg|delta, table, checkpoint, keyed,
tuned, jars, cores, memory, per_batch}. Every record that waits is taken in (availableNow), then the job ends. Prints marks,
one JSON object a line: {"mark": "ready"} once the session stands, {"mark": "batch", "rows": n, "at": seconds} after each
micro batch, {"mark": "done"}.
"""

import json
import pathlib
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.functions import col, expr, from_json

with open(sys.argv[1], encoding="utf-8") as file:
    spec = json.load(file)


def mark(what, **more):
    print(json.dumps({"mark": what, "at": time.time(), **more}), flush=True)


def session_settings():
    settings = {
        "hudi": {"spark.serializer": "org.apache.spark.serializer.KryoSerializer",
                 "spark.kryo.registrator": "org.apache.spark.HoodieSparkKryoRegistrar",
                 "spark.sql.extensions": "org.apache.spark.sql.hudi.HoodieSparkSessionExtension",
                 "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.hudi.catalog.HoodieCatalog"},
        "iceberg": {"spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
                    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.lake.type": "hadoop",
                    "spark.sql.catalog.lake.warehouse": spec.get("warehouse", "")},
        "delta": {"spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
                  "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog"},
    }[spec["sink"]]
    # of Spark's and the formats' own pages on tuning: partitions by cores, the parallel collector
    if spec["tuned"]:
        settings |= {"spark.sql.shuffle.partitions": str(2 * spec["cores"]), "spark.default.parallelism": str(2 * spec["cores"]),
                     "spark.driver.extraJavaOptions": "-XX:+UseParallelGC", "spark.sql.parquet.compression.codec": "zstd"}
    if spec["tuned"] and spec["sink"] == "delta":  # a table's state of one machine's size
        settings["spark.databricks.delta.snapshotPartitions"] = str(2 * spec["cores"])
    return settings


def make_session():
    builder = (SparkSession.builder.master(f"local[{spec['cores']}]").appName("versus")
               .config("spark.jars", ",".join(spec["jars"]))
               .config("spark.driver.memory", spec["memory"])
               .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
               .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
               .config("spark.sql.session.timeZone", "UTC"))
    settings = session_settings()
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def records(session):
    stream = (session.readStream.format("kafka").option("kafka.bootstrap.servers", spec["broker"])
              .option("subscribe", spec["topic"]).option("startingOffsets", "earliest"))
    if spec.get("per_batch"):
        stream = stream.option("maxOffsetsPerTrigger", spec["per_batch"])
    raw = stream.load()
    schema = json.dumps(spec["schema"])
    if spec["format"] == "avro":  # behind the five bytes of the registry's format
        return raw.select(from_avro(expr("substring(value, 6)"), schema).alias("r")).select("r.*")
    kinds = session._jvm.org.apache.spark.sql.avro.SchemaConverters.toSqlType(
        session._jvm.org.apache.avro.Schema.Parser().parse(schema)).dataType().json()
    from pyspark.sql.types import LongType, StructField, StructType, TimestampType
    declared = StructType.fromJson(json.loads(kinds))
    times = [f.name for f in declared.fields if isinstance(f.dataType, TimestampType)]
    read = StructType([StructField(f.name, LongType() if f.name in times else f.dataType) for f in declared.fields])
    rows = raw.select(from_json(col("value").cast("string"), read).alias("r")).select("r.*")
    for name in times:
        rows = rows.withColumn(name, expr(f"timestamp_micros({name})"))
    return rows


def hudi_options():
    options = {"hoodie.table.name": "versus", "hoodie.datasource.write.table.type": "MERGE_ON_READ",
               "hoodie.datasource.write.partitionpath.field": ""}
    if spec["keyed"]:
        options |= {"hoodie.datasource.write.recordkey.field": "order_id", "hoodie.datasource.write.operation": "upsert",
                    "hoodie.datasource.write.precombine.field": "updated_at",
                    "hoodie.datasource.write.keygenerator.class": "org.apache.hudi.keygen.NonpartitionedKeyGenerator"}
    else:
        options |= {"hoodie.datasource.write.operation": "insert"}
    if spec["tuned"] and spec["keyed"]:  # Hudi's tuning page: an index that looks nothing up, parallelism by cores
        options |= {"hoodie.index.type": "BUCKET", "hoodie.bucket.index.num.buckets": "8",
                    "hoodie.storage.layout.type": "BUCKET",
                    "hoodie.storage.layout.partitioner.class":
                        "org.apache.hudi.table.action.commit.SparkBucketIndexPartitioner"}
    if spec["tuned"]:
        for name in ("insert", "upsert", "bulkinsert", "delete"):
            options[f"hoodie.{name}.shuffle.parallelism"] = str(2 * spec["cores"])
        options |= {"hoodie.metadata.enable": "false", "hoodie.parquet.compression.codec": "zstd"}
        if not spec["keyed"]:
            options["hoodie.datasource.write.operation"] = "bulk_insert"
    return options


def write_hudi(rows, batch):
    rows.write.format("hudi").options(**hudi_options()).mode("append").save(spec["table"])


def iceberg_properties():
    properties = {"write.parquet.compression-codec": "zstd"}
    if spec["keyed"]:
        properties |= {"format-version": "2", "write.merge.mode": "merge-on-read", "write.update.mode": "merge-on-read",
                       "write.delete.mode": "merge-on-read"}
    if spec["tuned"]:  # tasks are few: no shuffle before they write
        properties |= {"write.distribution-mode": "none"}
    return properties


def delta_properties():
    return {"delta.enableDeletionVectors": "true"} if spec["keyed"] else {}


def write_iceberg(rows, batch):
    if spec["keyed"]:
        rows.createOrReplaceGlobalTempView("changes")
        rows.sparkSession.sql("""merge into lake.db.versus t using (
            select * from (select *, row_number() over (partition by order_id order by updated_at desc) as nth
                           from global_temp.changes) where nth = 1) s on t.order_id = s.order_id
            when matched and s.op = 'd' then delete when matched then update set *
            when not matched and s.op <> 'd' then insert *""")
    else:
        rows.writeTo("lake.db.versus").append()


def write_delta(rows, batch):
    from pyspark.sql import functions, Window
    if not spec["keyed"]:
        rows.write.format("delta").mode("append").save(spec["table"])
        return
    newest = rows.withColumn("nth", functions.row_number().over(Window.partitionBy("order_id").orderBy(col("updated_at").desc())))
    newest.where("nth = 1").drop("nth").createOrReplaceTempView("changes")
    newest.sparkSession.sql(f"""merge into delta.`{spec['table']}` t using changes s on t.order_id = s.order_id
        when matched and s.op = 'd' then delete when matched then update set *
        when not matched and s.op <> 'd' then insert *""")


def prepare(session, rows):
    """An empty table where the format wants one to be there."""
    if spec["sink"] == "iceberg":
        session.sql("create namespace if not exists lake.db")
        empty = session.createDataFrame([], rows.schema)
        if not session.catalog.tableExists("lake.db.versus"):
            writer = empty.writeTo("lake.db.versus").using("iceberg")
            for key, value in iceberg_properties().items():
                writer = writer.tableProperty(key, value)
            writer.create()
    if spec["sink"] == "delta" and spec["keyed"] and not pathlib.Path(spec["table"]).exists():
        session.createDataFrame([], rows.schema).write.format("delta").mode("append").save(spec["table"])
        pairs = ", ".join(f"'{k}' = '{v}'" for k, v in delta_properties().items())
        session.sql(f"alter table delta.`{spec['table']}` set tblproperties ({pairs})")


def main():
    session = make_session()
    if spec["sink"] == "hudi" and spec["keyed"]:
        rows = records(session).withColumn("_hoodie_is_deleted", expr("op = 'd'"))
    else:
        rows = records(session)
    prepare(session, rows)
    write = {"hudi": write_hudi, "iceberg": write_iceberg, "delta": write_delta}[spec["sink"]]
    told = {"hudi": hudi_options, "iceberg": iceberg_properties, "delta": delta_properties}[spec["sink"]]()
    mark("settings", settings={**session_settings(), **told})
    mark("ready")

    def batch(frame, number):
        write(frame, number)
        mark("batch", number=number)

    query = (rows.writeStream.foreachBatch(batch).option("checkpointLocation", spec["checkpoint"])
             .trigger(availableNow=True).start())
    query.awaitTermination()
    mark("done")
    session.stop()


main()
