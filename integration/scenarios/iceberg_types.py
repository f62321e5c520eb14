"""Every type, required and optional, with extreme values, in Iceberg tables of versions 2 and 3: JSON and Avro, keyed and
append-only."""

import checks
import data_alltypes as alltypes
import rig
from broker import Broker
from registry import Registry
from rig import Scenario
from service import Service, check_ledger

PARTITIONS, COUNT = 3, 600

with Scenario("iceberg_types") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    rig.write_json(service.folder / "topics" / "alltypes.avsc", alltypes.SCHEMA)
    tables = []
    for form, version, key in (("json", 2, ["id"]), ("avro", 2, []), ("json", 3, []), ("avro", 3, ["id"])):
        made = alltypes.rows(COUNT, seed=5, special=form == "avro")
        name = f"types_{form}_v{version}"
        broker.create_topic(name, PARTITIONS)
        if form == "avro":
            schema = "registry"
            to_bytes = alltypes.avro_bytes(registry.register(f"{name}-value", alltypes.SCHEMA))
        else:
            schema, to_bytes = {"file": "alltypes.avsc"}, alltypes.json_text
        sent = broker.produce(name, alltypes.frames(made, PARTITIONS, to_bytes))
        table = service.topic(name, schema, {"format": form}, key=key, table={"format": "iceberg", "format_version": version})
        tables.append((table, alltypes.model(made, PARTITIONS), ["id"], sent["offsets"]))
    service.start()
    for table, _, _, offsets in tables:
        service.wait_for(table, offsets, 60)
    service.stop()
    for table, *_ in tables:
        check_ledger(table, COUNT, written=COUNT)
    checks.thorough_iceberg(scenario, [(table, model, key) for table, model, key, _ in tables])
