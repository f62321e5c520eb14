"""Reads Hudi tables with one Spark session: read_spark.py BUNDLE_JAR TABLE=PARQUET_FOLDER..."""

import sys

from pyspark.sql import SparkSession


def make_session(bundle):
    """A local session with a Hudi bundle."""
    session = (
        SparkSession.builder.master("local[2]").appName("rig")
        .config("spark.jars", bundle)
        .config("spark.driver.memory", "2g")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        # the files have the calendar of today throughout; Spark asks for that to be said once a date is old
        .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .config("spark.sql.avro.datetimeRebaseModeInRead", "CORRECTED")
        .config("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
        .config("spark.kryo.registrator", "org.apache.spark.HoodieSparkKryoRegistrar")
        .config("spark.sql.extensions", "org.apache.spark.sql.hudi.HoodieSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.hudi.catalog.HoodieCatalog")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session


if __name__ == "__main__":
    bundle, *pairs = sys.argv[1:]
    session = make_session(bundle)
    for pair in pairs:
        table, folder = pair.split("=", 1)
        session.read.format("hudi").load(table).write.parquet(folder)
    session.stop()
