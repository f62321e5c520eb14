"""More than 1 GiB of payload waits in Kafka; the process stays within 192 MiB.

Options: MiB of payload (default 1088)."""

import base64
import hashlib
import random
import struct
import sys

import duckdb
import numpy
import pyarrow
import readers
import rig
from broker import Broker
from compare import compare
from rig import Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, PAD, MEMORY = 4, 1000, 192
count = int(sys.argv[1] if len(sys.argv) > 1 else 1088) * (1 << 20) // (PAD + 40)
sums = []
pool = base64.b64encode(random.Random(3).randbytes(12 << 20))


def pad(number):
    start = number * (PAD + 9) % (len(pool) - PAD)
    return pool[start:start + PAD]


def frames():
    for number in range(count):
        text = pad(number)
        sums.append(hashlib.md5(text).hexdigest())
        value = b'{"id":%d,"kind":"k%d","pad":"%s"}' % (number, number % 7, text)
        yield struct.pack("<iqii", number % PARTITIONS, -1, -1, len(value)) + value


with Scenario("memory") as scenario:
    broker = Broker(scenario)
    broker.create_topic("wide", PARTITIONS)
    sent = broker.produce("wide", frames())
    say(f"{sent['records']} records, {sent['bytes'] >> 20} MiB")
    expect(sent["bytes"] >= 1 << 30 or len(sys.argv) > 1, "less than 1 GiB of payload")
    service = Service(scenario, broker, memory=f"{MEMORY}MiB")
    table = service.topic("wide", {"fields": [{"name": "id", "type": "long", "nullable": False},
                                              {"name": "kind", "type": "string"}, {"name": "pad", "type": "string"}]},
                          {"format": "json"}, key=["id"], commit={"interval": "10s"})
    service.start()
    service.wait_for(table, sent["offsets"], 400)
    high = service.memory_high_bytes()
    say(f"  memory: VmHWM {high / (1 << 20):.1f} MiB of {MEMORY}")
    service.stop()
    expect(high <= MEMORY << 20, f"VmHWM is {high / (1 << 20):.1f} MiB, the budget {MEMORY} MiB")
    check_ledger(table, count, written=count)
    status, output, errors = rig.run_moraine("scan", table, "--output", "count")
    expect(status == 0 and output.strip() == str(count), f"scan counts {output!r} of {count}: {errors}")
    found = readers.hudi_rs(scenario, table)
    found = duckdb.sql("select id, kind, md5(pad) as pad, _kafka_partition, _kafka_offset from found").fetch_arrow_table()
    numbers = numpy.arange(count)
    model = pyarrow.table({"id": numbers, "kind": [f"k{n % 7}" for n in range(count)], "pad": sums,
                           "_kafka_partition": (numbers % PARTITIONS).astype("int32"),
                           "_kafka_offset": numbers // PARTITIONS})
    say(f"  {compare('hudi-rs', model, found, ['id'])} rows equal the model")
