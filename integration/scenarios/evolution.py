"""Newer schemas in the registry: fields are added, then written in another order; the table gets the columns at the end
of its own, older rows have null there, and every value stays in its column."""

import struct

import checks
import pyarrow
from avro_wire import confluent, encode
from broker import Broker
from registry import Registry
from rig import Scenario
from service import Service, check_ledger

ID = {"name": "id", "type": "long"}
A = {"name": "a", "type": ["null", "string"], "default": None}
B = {"name": "b", "type": ["null", "long"], "default": None}
C = {"name": "c", "type": ["null", "double"], "default": None}
STEPS = [[ID, A], [ID, A, B, C], [C, B, A, ID]]
COUNT = 3000


def row(number, fields):
    whole = {"id": number, "a": None if number % 7 == 0 else f"text {number}", "b": number * 3, "c": number / 4}
    return {f["name"]: whole[f["name"]] for f in fields}


with Scenario("evolution") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    tables = {}
    for version, key in ((6, ["id"]), (9, ["id"]), (6, [])):
        name = f"evolving_v{version}{'' if key else '_appended'}"
        broker.create_topic(name, 1)
        tables[name] = service.topic(name, "registry", {"format": "avro"}, version, key=key)
    rows = []
    for step, fields in enumerate(STEPS):
        schema = {"type": "record", "name": "evolving", "fields": fields}
        made = [row(number, fields) for number in range(step * COUNT, (step + 1) * COUNT)]
        for name in tables:
            schema_id = registry.register(f"{name}-value", schema)
            values = [confluent(schema_id, encode(schema, r)) for r in made]
            broker.produce(name, [struct.pack("<iqii", 0, -1, -1, len(v)) + v for v in values])
        rows += [{**r, "_kafka_partition": 0, "_kafka_offset": r["id"]} for r in made]
        service.start()
        for table in tables.values():
            service.wait_for(table, {0: len(rows)}, 60)
        service.stop()
    model = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema([
        ("id", pyarrow.int64()), ("a", pyarrow.string()), ("_kafka_partition", pyarrow.int32()),
        ("_kafka_offset", pyarrow.int64()), ("b", pyarrow.int64()), ("c", pyarrow.float64())]))
    for table in tables.values():
        check_ledger(table, len(rows), written=len(rows))
    # hudi-rs 0.4.0 shows the columns of the base files, which are older than the new ones
    checks.thorough(scenario, [(table, model, ["id"], None) for table in tables.values()], oldest=False)
