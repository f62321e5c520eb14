"""3,000,000 flights of vega-datasets as Kafka records, JSON and Avro, and as the expected table."""

import duckdb
import numpy

import rig
from avro_wire import Matrix

ROWS = 3_000_000
SCHEMA = {
    "type": "record", "name": "flight", "namespace": "rig",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "date", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "delay", "type": "int"},
        {"name": "distance", "type": "int"},
        {"name": "origin", "type": "string"},
        {"name": "destination", "type": ["null", "string"], "default": None},
    ],
}
FIELDS = [
    {"name": "id", "type": "long", "nullable": False},
    {"name": "date", "type": "timestamp_ms"},
    {"name": "delay", "type": "int"},
    {"name": "distance", "type": "int"},
    {"name": "origin", "type": "string"},
    {"name": "destination", "type": "string"},
]
# id = position in the file; every thousandth destination is missing, so that a null is on the way
SOURCE = f"""select row_number() over () - 1 as id, date, delay::int as delay, distance::int as distance, origin,
    case when (row_number() over ()) % 1000 = 0 then null else destination end as destination
    from '{rig.CACHE}/flights-3m.parquet'"""


def write_model(path, rows, partitions):
    """The expected table as Parquet, Kafka coordinates included: record n is in partition n % partitions."""
    duckdb.sql(f"""copy (select *, (id % {partitions})::int as _kafka_partition, id // {partitions} as _kafka_offset
                   from ({SOURCE}) where id < {rows}) to '{path}' (format parquet)""")


def write_json(path, rows):
    """One JSON value per line; the timestamp as integer milliseconds."""
    duckdb.sql(f"""copy (select id, epoch_ms(date) as date, delay, distance, origin, destination
                   from ({SOURCE}) where id < {rows}) to '{path}' (format json)""")


def avro_frames(schema_id, rows, partitions, step=500_000):
    """Frames of tools/produce.c in Confluent's wire format."""
    columns = duckdb.sql(f"""select id, epoch_ms(date) as date, delay, distance, origin, destination
                             from ({SOURCE}) where id < {rows}""").fetchnumpy()
    for start in range(0, rows, step):
        yield encode_part({k: v[start:start + step] for k, v in columns.items()}, schema_id, partitions)


def encode_part(columns, schema_id, partitions):
    count = len(columns["id"])
    null = numpy.ma.getmaskarray(columns["destination"])
    origin = columns["origin"].astype("S")
    destination = numpy.where(null, "", numpy.ma.getdata(columns["destination"]).astype(object)).astype("S")
    body = Matrix(count)
    body.constant(b"\0" + schema_id.to_bytes(4, "big"))
    body.longs(numpy.asarray(columns["id"]))
    body.longs(numpy.asarray(columns["date"]).astype(numpy.int64))
    body.longs(numpy.asarray(columns["delay"]))
    body.longs(numpy.asarray(columns["distance"]))
    sizes = numpy.char.str_len(origin)
    body.longs(sizes)
    body.text(origin, sizes)
    sizes = numpy.char.str_len(destination)
    body.add(numpy.where(null, 0, 2).astype(numpy.uint8).reshape(-1, 1))
    body.add(numpy.where(null, 0, sizes * 2).astype(numpy.uint8).reshape(-1, 1), ~null.reshape(-1, 1))
    body.text(destination, sizes)

    frame = Matrix(count)
    frame.little(columns["id"] % partitions, "<i4")
    frame.little(numpy.full(count, -1), "<i8")
    frame.little(numpy.full(count, -1), "<i4")
    frame.little(body.sizes(), "<i4")
    frame.parts += body.parts
    frame.masks += body.masks
    return frame.join()
