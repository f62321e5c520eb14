"""3,000,000 flights twice: as JSON into a keyed table, as Avro with a schema registry into an append-only one.

Options: rows (default 3000000)."""

import sys
import time

import checks
import data_flights as flights
import pyarrow.parquet
from broker import Broker
from registry import Registry
from rig import Scenario, say
from service import Service, check_ledger

PARTITIONS = 4
rows = int(sys.argv[1]) if len(sys.argv) > 1 else flights.ROWS

with Scenario("flights") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    model_path, lines = scenario.folder / "model.parquet", scenario.folder / "flights.jsonl"
    flights.write_model(model_path, rows, PARTITIONS)
    flights.write_json(lines, rows)
    broker.create_topic("flights_json", PARTITIONS)
    broker.create_topic("flights_avro", PARTITIONS)
    schema_id = registry.register("flights_avro-value", flights.SCHEMA)
    sent = broker.produce_lines("flights_json", lines, PARTITIONS)
    say(f"JSON: {sent}")
    say(f"Avro: {broker.produce('flights_avro', flights.avro_frames(schema_id, rows, PARTITIONS))}")
    lines.unlink()

    service = Service(scenario, broker, registry, memory="512MiB")
    keyed = service.topic("flights_json", {"fields": flights.FIELDS}, {"format": "json"}, key=["id"],
                          event_time={"field": "date"})
    appended = service.topic("flights_avro", "registry", {"format": "avro"}, event_time={"field": "date"})
    started = time.monotonic()
    service.start()
    service.wait_for(keyed, sent["offsets"], 300)
    service.wait_for(appended, sent["offsets"], 300)
    seconds = time.monotonic() - started
    say(f"  {2 * rows / seconds:,.0f} records/s, memory at most {service.memory_high_bytes() >> 20} MiB")
    service.stop()
    for table in (keyed, appended):
        check_ledger(table, rows, written=rows)
    model = pyarrow.parquet.read_table(model_path)
    checks.thorough(scenario, [(keyed, model, ["id"], None), (appended, model, ["id"], None)])
