"""A static member is killed in the middle of a rebalance, while it gives partitions up for another, and is back within its session.
The group hands it what it had been left with and sees no reason to go on rebalancing, so what it was to give up is nobody's. Within
a minute an instance notices, and every partition is read again. Nothing is lost or doubled."""

import struct
import time

import checks
import pyarrow
import rig
import verifying
from broker import Broker
from rig import Scenario, say
from service import Service, check_ledger

PARTITIONS = 4

with Scenario("static_members") as scenario:
    broker = Broker(scenario)
    broker.create_topic("moves", PARTITIONS)
    rows = []

    def send(count):
        """Record n goes to partition n % PARTITIONS; returns the next offsets."""
        frames = []
        for n in range(len(rows), len(rows) + count):
            value = b'{"n":%d}' % n
            frames.append(struct.pack("<iqii", n % PARTITIONS, -1, -1, len(value)) + value)
            rows.append({"n": n, "_kafka_partition": n % PARTITIONS, "_kafka_offset": n // PARTITIONS})
        return broker.produce("moves", frames)["offsets"]

    services = []
    for name in ("a", "b"):
        kafka = {"bootstrap.servers": broker.address, "session.timeout.ms": "20000", "heartbeat.interval.ms": "500",
                 "group.instance.id": name}
        service = Service(scenario, kafka=kafka, name=name)
        table = service.topic("moves", {"fields": [{"name": "n", "type": "long", "nullable": False}]}, {"format": "json"},
                              commit={"interval": "200ms"})
        services.append(service)
    a, b = services
    a.start({"MORAINE_FAILPOINTS": "source.revoke=kill@1"})
    a.wait_for(table, send(4000), 60)
    b.start()
    rig.wait_until(lambda: not a.process.running, 30, "a to be killed while it gives partitions up", pause=0.02)
    position = a.log_size()
    a.start()
    restarted = time.monotonic()
    a.wait_for_words(position, ["event=partition_assigned"], 30)
    ends = send(4000)
    a.wait_for(table, ends, 120)
    say(f"  every partition is read again, {time.monotonic() - restarted:.0f} s after the restart")
    for service in services:
        service.stop()
    check_ledger(table, len(rows), written=len(rows))
    model = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(
        [("n", pyarrow.int64()), ("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]))
    checks.quick(scenario, table, model, ["n"])
    verifying.expect_right(table, a, "moves")
