"""What Flink's sink writes in upsert mode, with the same classes of Iceberg's Java library, in a running Spark session: data files,
and equality deletes of the keys of their rows, in one row delta. The rows come from a staging table, whose records are handed over
as they are."""

import itertools

TASKS = itertools.count(1)


def array(session, kind, values):
    result = session.sparkContext._gateway.new_array(kind, len(values))
    for i, value in enumerate(values):
        result[i] = value
    return result


def upsert(session, table, staging, keys, by=None, values=(None,), replace=True, file_format="PARQUET"):
    """Every row of `staging` removes the older rows of `table` with the same values of `keys`, and takes their place unless not
    `replace`. `by`, `values`: the partition column (identity), and the partitions that the rows are in."""
    jvm = session._jvm
    iceberg = jvm.org.apache.iceberg
    target, staged = (iceberg.spark.Spark3Util.loadIcebergTable(session._jsparkSession, f"lake.{name}") for name in (table, staging))
    schema, spec = target.schema(), target.spec()
    key_names = array(session, jvm.java.lang.String, keys)
    key_schema = schema.select(key_names)
    ids = array(session, jvm.int, [schema.findField(name).fieldId() for name in keys])
    factory = iceberg.data.GenericAppenderFactory(schema, spec, ids, key_schema, None)
    kind = iceberg.FileFormat.fromString(file_format)
    files = iceberg.io.OutputFileFactory.builderFor(target, 1, next(TASKS)).format(kind).build()
    delta = target.newRowDelta()
    for value in values:
        partition = iceberg.DataFiles.data(spec, f"{by}={value}") if by else None

        def records(columns=None):
            builder = iceberg.data.IcebergGenerics.read(staged)
            if columns is not None:
                builder = builder.select(columns)
            if by:
                builder = builder.where(iceberg.expressions.Expressions.equal(by, value))
            return builder.build()

        def write(writer, found):
            rows = found.iterator()
            while rows.hasNext():
                writer.write(rows.next())
            found.close()
            writer.close()
            return writer

        def output():
            return files.newOutputFile(spec, partition) if by else files.newOutputFile()

        if replace:
            delta = delta.addRows(write(factory.newDataWriter(output(), kind, partition), records()).toDataFile())
        delta = delta.addDeletes(write(factory.newEqDeleteWriter(output(), kind, partition), records(key_names)).toDeleteFile())
    delta.commit()
