"""A Spark session with Iceberg: spark_iceberg.py JAR [TABLE=PARQUET_FOLDER]... reads tables by their folders or metadata files,
or by the address of a REST catalog, a blank, and the name in it."""

import sys

from pyspark.sql import SparkSession


def make_session(jar, warehouse="/nonexistent", catalog_uri=None):
    """A local session; the catalog `lake` has the tables below `warehouse`, or those of the REST catalog."""
    if catalog_uri:
        lake = {"type": "rest", "uri": catalog_uri}
    else:
        lake = {"type": "hadoop", "warehouse": f"file://{warehouse}"}
    builder = (
        SparkSession.builder.master("local[2]").appName("rig")
        .config("spark.jars", jar)
        .config("spark.driver.memory", "2g")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.lake.cache-enabled", "false")
    )
    for name, value in lake.items():
        builder = builder.config(f"spark.sql.catalog.lake.{name}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


if __name__ == "__main__":
    jar, *pairs = sys.argv[1:]
    uris = [pair.split(" ")[0] for pair in pairs if pair.startswith("http")]
    session = make_session(jar, catalog_uri=uris[0] if uris else None)
    for pair in pairs:
        table, folder = pair.split("=", 1)
        by_name = table.startswith("http")
        rows = session.table(f"lake.{table.split(' ')[1]}") if by_name else session.read.format("iceberg").load(table)
        rows.write.parquet(folder)
    session.stop()
