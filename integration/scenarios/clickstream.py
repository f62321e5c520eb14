"""Clicks over 8 Kafka partitions, 2 of which fall silent: 1 % of the events come twice, 2 % come up to hours late. The ledger's
sums and the watermark are the model's, with late events merged, dropped and kept aside; killed and restarted in between; and
`moraine wait-for` holds a scheduler back until the table is complete."""

import datetime
import json
import random
import struct
import subprocess

import checks
import hudi_timeline
import pyarrow
from broker import Broker
from rig import BINARY, Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, SILENT, EVENTS = 8, (3, 6), 120_000
LATENESS = 10 * 60 * 1000
BEGIN = 1_790_000_000_000
FIELDS = [{"name": "event_id", "type": "string"}, {"name": "user", "type": "long"}, {"name": "page", "type": "string"},
          {"name": "at", "type": "long"}]


def make_events(seed):
    """Events in the order in which they are produced: (partition, event)."""
    chance = random.Random(seed)
    events = []
    for number in range(EVENTS):
        user = chance.randrange(5000)
        partition = user % PARTITIONS
        if partition in SILENT and number > EVENTS // 10:
            partition = next(p for p in range(PARTITIONS) if p not in SILENT and p >= user % 3)
        at = BEGIN + number * 100 + chance.randrange(-2000, 2000)
        if chance.random() < 0.02:
            at -= chance.randrange(LATENESS // 2, 5 * 3600 * 1000)
        event = {"event_id": f"e{number:07d}", "user": user, "page": f"/p/{chance.randrange(200)}", "at": at}
        events.append((partition, event))
        if chance.random() < 0.01:  # sent again, a little later
            events.append((partition, event))
    return events


def judge(events, late_policy):
    """What becomes of each event: rows, counts, and the watermark of each partition."""
    highest, seen, offsets = {}, set(), dict.fromkeys(range(PARTITIONS), 0)
    rows, counts = [], {"read": 0, "inserted": 0, "duplicate": 0, "late": 0, "late_dropped": 0, "dead": 0}
    for partition, event in events:
        offset, offsets[partition] = offsets[partition], offsets[partition] + 1
        counts["read"] += 1
        late = partition in highest and event["at"] < highest[partition] - LATENESS
        highest[partition] = max(highest.get(partition, event["at"]), event["at"])
        counts["late"] += late
        if late and late_policy != "merge":
            counts["late_dropped" if late_policy == "drop" else "dead"] += 1
        elif event["event_id"] in seen:
            counts["duplicate"] += 1
        else:
            seen.add(event["event_id"])
            counts["inserted"] += 1
            rows.append({**event, "_kafka_partition": partition, "_kafka_offset": offset})
    watermarks = {p: at - LATENESS for p, at in highest.items()}
    return rows, counts, watermarks, offsets


def totals(table):
    sums = dict.fromkeys(("read", "inserted", "duplicate", "late_dropped", "dead", "late"), 0)
    last = None
    for _, _, metadata in hudi_timeline.commits(table):
        ledger = hudi_timeline.ledger(metadata)
        if ledger is None:
            continue
        last = ledger
        for name in sums:
            sums[name] += ledger["late"] if name == "late" else ledger["rows"][name]
    return sums, last


with Scenario("clickstream") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker, memory="192MiB")
    events = make_events(7)
    tables = {}
    for policy in ("merge", "drop", "dead_letter"):
        name = f"clicks_{policy}"
        broker.create_topic(name, PARTITIONS)
        tables[policy] = service.topic(
            name, {"fields": FIELDS}, {"format": "json"}, 9 if policy == "merge" else 6,
            dedup={"by": ["event_id"], "window": "24h"},
            event_time={"field": "at", "unit": "ms", "max_lateness": "10m", "idle_after": "3s", "late": policy,
                        "max_future": "3650d", "watermark_interval": "1s"})

    def produce(part):
        for policy in tables:
            values = [(p, json.dumps(e).encode()) for p, e in part]
            broker.produce(f"clicks_{policy}", [struct.pack("<iqii", p, -1, -1, len(v)) + v for p, v in values])

    half = len(events) // 2
    service.start()
    produce(events[:half])
    service.kill_at_random(1.0, 4.0, 11)
    service.start()
    produce(events[half:])
    rows, counts, watermarks, offsets = judge(events, "merge")
    for table in tables.values():
        service.wait_for(table, offsets, 240)

    complete = min(at for p, at in watermarks.items() if p not in SILENT)
    until = datetime.datetime.fromtimestamp(complete / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")
    for table in tables.values():
        waited = subprocess.run([BINARY, "wait-for", table, "--until", until.replace("+00:00", "Z"), "--timeout", "60s"],
                                capture_output=True, text=True)
        expect(waited.returncode == 0, f"wait-for: {waited.stdout}{waited.stderr}{service.get('/lag')[1]}")
    say(f"every table is complete up to {until}")
    early = subprocess.run([BINARY, "wait-for", tables["merge"], "--until", "2099-01-01", "--timeout", "1s"],
                           capture_output=True, text=True)
    expect(early.returncode == 1 and "not complete" in early.stderr, f"wait-for the far future: {early}")
    service.stop()

    judged = []
    for policy, table in tables.items():
        rows, counts, watermarks, offsets = judge(events, policy)
        sums, last = totals(table)
        expect(sums == counts, f"{policy}: the ledger has {sums}, the model {counts}")
        expect({int(p): at for p, at in last["watermarks_ms"].items()} == watermarks,
               f"{policy}: watermarks {last['watermarks_ms']}, the model {watermarks}")
        # when nothing comes any more, the others turn idle one after the other, too
        expect(complete <= last["watermark_ms"] <= max(watermarks.values()),
               f"{policy}: watermark {last['watermark_ms']}, the model {complete}")
        expect(set(last["idle"]) >= set(SILENT), f"{policy}: idle {last['idle']}")
        say(f"  {policy}: {sums}")
        model = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema([
            ("event_id", pyarrow.string()), ("user", pyarrow.int64()), ("page", pyarrow.string()), ("at", pyarrow.int64()),
            ("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]))
        judged.append((table, model, ["event_id"], None))
    checks.thorough(scenario, judged)
