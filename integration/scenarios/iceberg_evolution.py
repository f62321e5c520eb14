"""A producer's schema changes while the service runs: fields are added, int becomes long and float double, records of the old and
the new schema alternate. Iceberg tables of versions 2 and 3 follow, keyed ones also when rows of the old schema are replaced
later; every value is in its column for every reader."""

import struct

import checks
import pyarrow
import rig
from avro_wire import confluent, encode
from broker import Broker
from registry import Registry
from rig import Scenario, expect
from service import Service, check_ledger

OLD = [{"name": "id", "type": "long"}, {"name": "n", "type": "int"}, {"name": "f", "type": ["null", "float"], "default": None}]
NEW = [{"name": "id", "type": "long"}, {"name": "n", "type": "long"}, {"name": "f", "type": ["null", "double"], "default": None},
       {"name": "note", "type": ["null", "string"], "default": None}]
COUNT = 2000


def schema_of(fields):
    return {"type": "record", "name": "evolving", "fields": fields}


def row(number, new):
    return {"id": number, "n": number * (10_000_000_000 if new else 1), "f": None if number % 5 == 0 else number / 4,
            **({"note": f"note {number}"} if new else {})}


with Scenario("iceberg_evolution") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    tables = {}
    for version, key in ((2, ["id"]), (3, ["id"]), (2, [])):
        name = f"live_v{version}{'' if key else '_appended'}"
        broker.create_topic(name, 1)
        tables[name] = service.topic(name, "registry", {"format": "avro"}, key=key,
                                     table={"format": "iceberg", "format_version": version})
    ids = {name: registry.register(f"{name}-value", schema_of(OLD)) for name in tables}

    def produce(name, numbers, new, schema_id):
        values = [confluent(schema_id, encode(schema_of(NEW if new else OLD), row(n, new))) for n in numbers]
        broker.produce(name, [struct.pack("<iqii", 0, -1, -1, len(v)) + v for v in values])

    for name in tables:
        produce(name, range(COUNT), False, ids[name])
    service.start()
    for table in tables.values():
        service.wait_for(table, {0: COUNT}, 60)

    rig.say("the schema changes under the running service")
    new_ids = {name: registry.register(f"{name}-value", schema_of(NEW)) for name in tables}
    for name, new_id in new_ids.items():
        for start in range(COUNT, 2 * COUNT, 100):  # old and new by turns
            new = start // 100 % 2 == 1
            produce(name, range(start, start + 100), new, new_id if new else ids[name])
    for name in new_ids:
        service.wait_for(tables[name], {0: 2 * COUNT}, 90)
    metrics = service.get("/metrics")[1]
    followed = [line for line in metrics.splitlines() if line.startswith("moraine_schema_changes_total") and line.endswith(" 1")]
    expect(len(followed) == 3, "three topics followed one change each:\n" + "\n".join(followed))

    rig.say("rows of the old schema are replaced and some of the new one again")
    for name in tables:
        if "appended" not in name:
            produce(name, range(0, COUNT * 2, 7), True, new_ids[name])
            service.wait_for(tables[name], {0: 2 * COUNT + len(range(0, COUNT * 2, 7))}, 60)
    service.stop()

    rows = [row(n, n >= COUNT and n // 100 % 2 == 1) for n in range(2 * COUNT)]
    rows = [{**r, "_kafka_partition": 0, "_kafka_offset": r["id"]} for r in rows]
    replaced = list(rows)
    for offset, n in enumerate(range(0, COUNT * 2, 7), 2 * COUNT):
        replaced[n] = {**row(n, True), "_kafka_partition": 0, "_kafka_offset": offset}
    schema = pyarrow.schema([
        ("id", pyarrow.int64()), ("n", pyarrow.int64()), ("f", pyarrow.float64()), ("_kafka_partition", pyarrow.int32()),
        ("_kafka_offset", pyarrow.int64()), ("note", pyarrow.string())])
    models = {name: pyarrow.Table.from_pylist(rows if "appended" in name else replaced, schema=schema) for name in tables}
    for name, table in tables.items():
        check_ledger(table, 2 * COUNT + (0 if "appended" in name else len(range(0, COUNT * 2, 7))))
    checks.thorough_iceberg(scenario, [(table, models[name], ["id"]) for name, table in tables.items()])
