"""A topic gets more partitions while the service reads it: within a minute the new ones are read from their first record."""

import struct
import time

import checks
import pyarrow
import verifying
from broker import Broker
from rig import Scenario, say
from service import Service, check_ledger

with Scenario("growth") as scenario:
    broker = Broker(scenario)
    broker.create_topic("moves", 2)
    rows = []

    def send(first, last, partitions):
        """Record n goes to partition n % partitions."""
        next_offset = {p: sum(1 for row in rows if row["_kafka_partition"] == p) for p in range(partitions)}
        frames = []
        for n in range(first, last):
            p = n % partitions
            value = b'{"n":%d}' % n
            frames.append(struct.pack("<iqii", p, -1, -1, len(value)) + value)
            rows.append({"n": n, "_kafka_partition": p, "_kafka_offset": next_offset[p]})
            next_offset[p] += 1
        broker.produce("moves", frames)
        return next_offset

    service = Service(scenario, broker)
    table = service.topic("moves", {"fields": [{"name": "n", "type": "long", "nullable": False}]}, {"format": "json"})
    ends = send(0, 10_000, 2)
    service.start()
    service.wait_for(table, ends, 60)
    broker.admin("grow", "moves", 5)
    grown = time.monotonic()
    ends = send(10_000, 30_000, 5)
    service.wait_for(table, ends, 60)
    say(f"  the new partitions were taken up within {time.monotonic() - grown:.0f} s, without a restart")
    service.stop()
    ends = send(30_000, 40_000, 5)
    service.start()
    service.wait_for(table, ends, 60)
    service.stop()
    check_ledger(table, len(rows), written=len(rows))
    model = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(
        [("n", pyarrow.int64()), ("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]))
    checks.quick(scenario, table, model, ["n"])
    verifying.expect_right(table, service, "moves")
