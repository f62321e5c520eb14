"""How long a start takes until its first commit: after kill -9 with ten million ids, or keys, in the local state, and when
that state is gone and comes back from the table. Real Kafka, from the rig of integration/.

    MORAINE_BINARY=build/moraine MORAINE_TOOLS=build/integration PYTHONPATH=integration/lib \\
        ~/.cache/moraine/integration/venv-main/bin/python bench/recovery.py [MILLIONS [ids|keys [FILE]]]

`ids`: a dedup window of an append-only table; `keys`: the key index of a keyed one. FILE gets the figures as JSON, as `make
bench` writes them. Times count from the start of the process, which has just been killed (its place in the group is free: it
comes back as the only member). The first commit tells new records from copies or updates of old ones, so it needs the state."""

import json
import os
import shutil
import struct
import sys
import time

import hudi_timeline
import rig
from broker import Broker
from rig import Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, PART, NOW_MS = 4, 100_000, int(time.time() * 1000)
KILL_GOAL_S, REBUILD_GOAL_S = 5, 60
millions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
what = sys.argv[2] if len(sys.argv) > 2 else "ids"
OPTIONS = {"ids": {"dedup": {"by": ["id"], "window": "24h"}, "event_time": {"field": "at"}},
           "keys": {"key": ["id"], "ordering": "at", "event_time": {"field": "at"}}}[what]


def outcomes(inserted, copies):
    """What the ledger must count: copies of ids are duplicates, records of known keys are updates."""
    return {"inserted": inserted, "duplicate" if what == "ids" else "updated": copies}


FRAME = struct.Struct("<iqii")


def frames(first, count):
    """Records with ids first, first + 1, ...; all of the last hours, in event time."""
    for start in range(first, first + count, PART):
        part = bytearray()
        for number in range(start, min(start + PART, first + count)):
            value = b'{"id":"event-%012d","at":%d,"amount":%d}' % (number, NOW_MS - (number % 7200) * 1000, number % 9973)
            part += FRAME.pack(number % PARTITIONS, -1, -1, len(value)) + value
        yield bytes(part)


def seconds_to_commit(service, table, offsets):
    """From the start of the process to a commit with the records that waited for it: by the clock, and of its CPU."""
    before = sum(hudi_timeline.offsets(table).values())
    started = time.monotonic()
    service.start()
    while sum(hudi_timeline.offsets(table).values()) == before:
        service.process.expect_running()
        expect(time.monotonic() - started < 600, "no commit within ten minutes")
        time.sleep(0.02)
    seconds = time.monotonic() - started
    cpu = service.process.cpu_seconds()
    service.wait_for(table, offsets, 60)
    return seconds, cpu


def figure(case, took, goal):
    seconds, cpu = took
    say(f"{case}: {seconds:.1f} s, {cpu:.1f} s of CPU (goal {goal} s); load average {os.getloadavg()[0]:.0f}")
    return {"case": case, "value": round(seconds, 2), "unit": "s", "cpu_s": round(cpu, 2), "against": None, "ratio": None, "goal": f"<= {goal}",
            "met": seconds <= goal, "command": f"bench/recovery.py {millions} {what}"}


with Scenario("recovery") as scenario:
    broker = Broker(scenario)
    broker.create_topic("events", PARTITIONS)
    count = millions * 1_000_000
    sent = broker.produce("events", frames(0, count))
    say(f"{sent['records']} records in Kafka")
    service = Service(scenario, broker, memory="2GiB", kafka={
        "bootstrap.servers": broker.address, "session.timeout.ms": "6000", "heartbeat.interval.ms": "500"})
    table = service.topic("events", {"fields": [{"name": "id", "type": "string", "nullable": False},
                                                {"name": "at", "type": "timestamp"}, {"name": "amount", "type": "long"}]},
                          {"format": "json"}, compaction={"mode": "off"}, commit={"interval": "1s"}, **OPTIONS)
    service.start()
    service.wait_for(table, sent["offsets"], 900)
    service.kill()

    more = 1000  # new ones, then copies of the oldest: the state that came back must know them
    sent = broker.produce("events", frames(count, more))
    sent = broker.produce("events", frames(0, more))
    time.sleep(7)  # the broker forgets the member that died; that is Kafka's time, not ours
    killed = seconds_to_commit(service, table, sent["offsets"])
    service.stop()
    check_ledger(table, count + 2 * more, **outcomes(count + more, more))

    shutil.rmtree(service.folder / "state")
    sent = broker.produce("events", frames(count + more, more))
    sent = broker.produce("events", frames(0, more))
    rebuilt = seconds_to_commit(service, table, sent["offsets"])
    service.stop()
    check_ledger(table, count + 4 * more, **outcomes(count + 2 * more, 2 * more))

    figures = [figure(f"recovery: first commit after kill -9, {millions} M {what}", killed, KILL_GOAL_S),
               figure(f"recovery: first commit without local state, {millions} M {what}", rebuilt, REBUILD_GOAL_S)]
    if len(sys.argv) > 3:
        with open(sys.argv[3], "w", encoding="ascii") as file:
            json.dump(figures, file, indent=1)
