"""Transactions, every third of them aborted: aborted records never become rows, and the offsets that they and the
markers take are accounted for as gaps. Reading ends at the high watermark although a marker is the last entry. One
append-only table, and one with a key, whose rows are the last record of each key that was not aborted."""

import struct

import checks
import hudi_timeline
import pyarrow
import verifying
from broker import Broker
from rig import Scenario, expect
from service import Service, check_ledger

PARTITIONS, COUNT, SIZE, KEYS = 3, 90_000, 700, 4_002  # a key stays in one partition: KEYS is a multiple of PARTITIONS
FIELDS = [{"name": "n", "type": "long", "nullable": False}, {"name": "text", "type": "string"}]

with Scenario("transactions") as scenario:
    broker = Broker(scenario)
    kept = [n for n in range(COUNT) if n // SIZE % 3 != 2]
    service = Service(scenario, broker)
    tables = {"moves": service.topic("moves", {"fields": FIELDS}, {"format": "json"}),
              "places": service.topic("places", {"fields": [*FIELDS, {"name": "k", "type": "long", "nullable": False}]},
                                      {"format": "json"}, key=["k"], table={"buckets": 4})}
    ends = {}
    for topic in tables:
        broker.create_topic(topic, PARTITIONS)

        def frames():
            for n in range(COUNT):
                value = b'{"n":%d,"text":"move %d","k":%d}' % (n, n, n % KEYS)
                key = b"%d" % (n % KEYS)
                yield struct.pack("<iqii", n % PARTITIONS, -1, len(key), len(value)) + key + value

        broker.produce(topic, frames(), transaction=SIZE)
        ends[topic] = {p: int(broker.admin("watermarks", topic, p).split()[1]) for p in range(PARTITIONS)}
    service.start()
    for topic, table in tables.items():
        service.wait_for(table, ends[topic], 90)
    service.stop()

    def model(rows, **more):
        return pyarrow.table({"n": rows, "text": [f"move {n}" for n in rows], **more,
                              "_kafka_partition": pyarrow.array([n % PARTITIONS for n in rows], pyarrow.int32())})

    for topic, table in tables.items():
        check_ledger(table, len(kept), written=len(kept))
        gaps = hudi_timeline.row_totals(table)["gap"]
        expected = sum(ends[topic].values()) - len(kept)
        expect(gaps == expected, f"{topic}: {gaps} gaps, expected {expected}")
        verifying.expect_right(table, service, topic)
    checks.quick(scenario, tables["moves"], model(kept), ["n"], ignore=("_kafka_offset",))
    last = list({n % KEYS: n for n in kept}.values())
    checks.quick(scenario, tables["places"], model(last, k=[n % KEYS for n in last]), ["k"], ignore=("_kafka_offset",))
