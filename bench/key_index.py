"""What the key index costs: CPU and memory of a keyed JSON topic with `table.key_index` on or off, and how long a start takes
with and without the local state. Real Kafka, from the rig of integration/.

    MORAINE_BINARY=build/moraine MORAINE_TOOLS=build/integration PYTHONPATH=integration/lib \\
        ~/.cache/moraine/integration/venv-main/bin/python bench/key_index.py on|off KEYS UPDATES MEMORY

e.g. `on 1000000 1000000 512MiB`: a million inserts, then a million updates of random keys by a new process."""

import shutil
import sys
import time

import duckdb
from broker import Broker
from rig import Scenario, say
from service import Service

PARTITIONS = 4
mode, keys, updates, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
FIELDS = [{"name": "id", "type": "long", "nullable": False}, {"name": "version", "type": "long"},
          {"name": "delay", "type": "int"}, {"name": "distance", "type": "int"}, {"name": "origin", "type": "string"},
          {"name": "destination", "type": "string"}]
REST = """(hash(i) % 1000)::int as delay, (hash(i + 1) % 3000)::int as distance, 'A' || (hash(i) % 300) as origin,
    'B' || (hash(i + 7) % 300) as destination"""


with Scenario("key_index") as scenario:
    broker = Broker(scenario)
    broker.create_topic("t", PARTITIONS)
    service = Service(scenario, broker, memory=memory)
    table = service.topic("t", {"fields": FIELDS}, {"format": "json"}, key=["id"], ordering="version",
                          table={"buckets": 8, "key_index": mode}, commit={"interval": "10s"})
    lines = scenario.folder / "lines.jsonl"

    def run(what, query, count):
        """Sends the rows of the query (the line's number is the partition's, so ids keep theirs) and takes them in."""
        duckdb.sql(f"copy ({query}) to '{lines}' (format json)")
        sent = broker.produce_lines("t", lines, PARTITIONS)
        started = time.monotonic()
        service.start()
        service.wait_for(table, sent["offsets"], 900)
        seconds, used = time.monotonic() - started, service.process.cpu_seconds()
        say(f"{mode} {memory} {what}: {count / seconds:,.0f} rows/s, {seconds:.1f} s, CPU {used / count * 1e6:.2f} us a row "
            f"({used:.2f} s), VmHWM {service.memory_high_bytes() >> 20} MiB")
        service.stop()

    run(f"{keys} inserts", f"select i as id, 1 as version, {REST} from range({keys}) t(i)", keys)
    run(f"{updates} updates", f"""select (hash(i) % ({keys} // {PARTITIONS})) * {PARTITIONS} + i % {PARTITIONS} as id,
        2 as version, {REST} from range({updates}) t(i)""", updates)
    state = service.folder / "state" / "state" / "t"
    if state.exists():
        say(f"state: {sum(f.stat().st_size for f in state.rglob('*') if f.is_file()) >> 20} MiB on disk")
        run("state intact", f"select i as id, 3 as version from range({PARTITIONS}) t(i)", PARTITIONS)
        shutil.rmtree(state)
        run("state deleted", f"select i as id, 4 as version from range({PARTITIONS}) t(i)", PARTITIONS)
        for line in service.process.log.read_text().splitlines():
            if "key_index_rebuilt" in line or "state_ready" in line:
                say(line)
