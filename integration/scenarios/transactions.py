"""Transactions, every third of them aborted: aborted records never become rows, and the offsets that they and the
markers take are accounted for as gaps. Reading ends at the high watermark although a marker is the last entry."""

import struct

import checks
import hudi_timeline
import pyarrow
from broker import Broker
from rig import Scenario, expect
from service import Service, check_ledger

PARTITIONS, COUNT, SIZE = 3, 90_000, 700

with Scenario("transactions") as scenario:
    broker = Broker(scenario)
    broker.create_topic("moves", PARTITIONS)

    def frames():
        for n in range(COUNT):
            value = b'{"n":%d,"text":"move %d"}' % (n, n)
            yield struct.pack("<iqii", n % PARTITIONS, -1, -1, len(value)) + value

    broker.produce("moves", frames(), transaction=SIZE)
    ends = {p: int(broker.admin("watermarks", "moves", p).split()[1]) for p in range(PARTITIONS)}
    kept = [n for n in range(COUNT) if n // SIZE % 3 != 2]
    service = Service(scenario, broker)
    table = service.topic("moves", {"fields": [{"name": "n", "type": "long", "nullable": False},
                                               {"name": "text", "type": "string"}]}, {"format": "json"})
    service.start()
    service.wait_for(table, ends, 90)
    service.stop()
    check_ledger(table, len(kept), inserted=len(kept))
    gaps = hudi_timeline.row_totals(table)["gap"]
    expect(gaps == sum(ends.values()) - len(kept), f"{gaps} gaps, expected {sum(ends.values()) - len(kept)}")
    model = pyarrow.table({"n": kept, "text": [f"move {n}" for n in kept],
                           "_kafka_partition": pyarrow.array([n % PARTITIONS for n in kept], pyarrow.int32())})
    checks.quick(scenario, table, model, ["n"], ignore=("_kafka_offset",))
