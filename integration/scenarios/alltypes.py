"""Every type, required and optional, with extreme values: JSON and Avro, table versions 6 and 9."""

import data_alltypes as alltypes
import checks
import rig
from broker import Broker
from registry import Registry
from rig import Scenario
from service import Service, check_ledger

PARTITIONS, COUNT = 3, 600

with Scenario("alltypes") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    rig.write_json(service.folder / "topics" / "alltypes.avsc", alltypes.SCHEMA)
    tables = []
    for form in ("json", "avro"):
        made = alltypes.rows(COUNT, seed=5, special=form == "avro")
        for version in (6, 9):
            name = f"alltypes_{form}_v{version}"
            broker.create_topic(name, PARTITIONS)
            if form == "avro":
                schema = "registry"
                to_bytes = alltypes.avro_bytes(registry.register(f"{name}-value", alltypes.SCHEMA))
            else:
                schema, to_bytes = {"file": "alltypes.avsc"}, alltypes.json_text
            sent = broker.produce(name, alltypes.frames(made, PARTITIONS, to_bytes))
            table = service.topic(name, schema, {"format": form}, version, key=["id"] if version == 6 else [])
            tables.append((table, alltypes.model(made, PARTITIONS), ["id"], sent["offsets"]))
    service.start()
    for table, _, _, offsets in tables:
        service.wait_for(table, offsets, 60)
    service.stop()
    for table, *_ in tables:
        check_ledger(table, COUNT, written=COUNT)
    checks.thorough(scenario, [(table, model, key, None) for table, model, key, _ in tables])
