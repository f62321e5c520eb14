"""Event time from everywhere it may come from (a header, a text with a number, a fraction of seconds, ISO text with an offset, a
format, Kafka's own), with times that are absurd: before any calendar, centuries ahead, no time at all. The watermark is the
model's; a silent partition does not hold it back, and when it wakes with old records it does not pull it back. `moraine wait-for`
says whether a table is complete, and gives up when told."""

import json
import subprocess
import time

import hudi_timeline
import rig
from broker import Broker
from confluent_kafka import Producer
from rig import BINARY, Scenario, expect, say
from service import Service, check_ledger

BASE = 1_790_000_000_000  # 2026-09-21
LATENESS = 60_000
ABSURD = 4_102_444_800_000  # 2100
FIRST_DAY = -62_135_596_800_000  # of year 1: nothing counts as older


def iso(ms, offset=0):
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000 + offset * 3600)) + f".{ms % 1000:03d}"
    return text + (f"{offset:+03d}:00" if offset else "Z")


def german(ms):
    return time.strftime("%d.%m.%Y %H:%M:%S", time.gmtime(ms // 1000))


# topic: (schema fields, columns, event_time, ms -> (value, headers), what is absurd, what is no time at all, unit of rounding)
PLAIN = [{"name": "id", "type": "long"}]
TOPICS = {
    "header_iso": (PLAIN, [{"header": "at", "type": "timestamp_ms"}], {"field": "at"},
                   lambda i, ms: ({"id": i}, [("at", b"1970-01-01"), ("at", iso(ms, 5).encode())]), [("at", b"9999-12-31T23:59:59Z")], [("at", b"soon")], 1),
    "header_epoch": (PLAIN, [{"header": "at"}], {"field": "at", "unit": "s", "format": "epoch"},
                     lambda i, ms: ({"id": i}, [("at", f"{ms // 1000}.{ms % 1000:03d}999".encode())]), [("at", b"99999999999999999999999")], [("at", b"1e9")], 1),
    "seconds": ([*PLAIN, {"name": "at", "type": "double"}], None, {"field": "at", "unit": "s"},
                lambda i, ms: ({"id": i, "at": ms / 1000}, None), {"id": 0, "at": 1e300}, None, 1),
    "nanos": ([*PLAIN, {"name": "at", "type": "long"}], None, {"field": "at", "unit": "ns"},
              lambda i, ms: ({"id": i, "at": ms * 1_000_000 + 999_999}, None), {"id": 0, "at": 2**63 - 1}, None, 1),
    "formatted": ([*PLAIN, {"name": "at", "type": "string"}], None, {"field": "at", "format": "%d.%m.%Y %H:%M:%S"},
                  lambda i, ms: ({"id": i, "at": german(ms)}, None), {"id": 0, "at": "01.01.2100 00:00:00"}, {"id": 0, "at": iso(BASE)}, 1000),
    "date": ([*PLAIN, {"name": "at", "type": "date"}], None, {"field": "at"},
             lambda i, ms: ({"id": i, "at": iso(ms)[:10]}, None), {"id": 0, "at": "2100-01-01"}, None, 86_400_000),
    "kafka": (PLAIN, None, {}, lambda i, ms: ({"id": i}, None), ABSURD, None, 1)}


with Scenario("event_times") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
    tables, sent, dead, future = {}, {}, {}, {}
    for name, (fields, columns, event_time, *_) in TOPICS.items():
        broker.create_topic(name, 2, **{"message.timestamp.after.max.ms": 2**63 - 1})
        tables[name] = service.topic(name, {"fields": fields}, {"format": "json"}, 9, commit={"interval": "500ms"}, **({"columns": columns} if columns else {}),
                                     event_time={"max_lateness": "1m", "idle_after": "3s", "watermark_interval": "500ms", **event_time})
        sent[name], dead[name], future[name] = {0: 0, 1: 0}, 0, 0

    def send(name, partition, value, headers=None, stamp=None):
        producer.produce(name, value=value if isinstance(value, bytes) else json.dumps(value).encode(), headers=headers, partition=partition,
                         **({"timestamp": stamp} if stamp else {}))
        producer.poll(0)
        sent[name][partition] += 1

    def produce(name, partition, times):
        for ms in times:
            value, headers = TOPICS[name][3](sent[name][partition], ms)
            send(name, partition, value, headers, ms)

    def absurd(name, partition, what):
        if what is None:
            return 0
        if name == "kafka":
            send(name, partition, {"id": 0}, None, what)
        elif isinstance(what, list):
            send(name, partition, {"id": 0}, what)
        else:
            send(name, partition, what)
        return 1

    def watermark(name):
        return hudi_timeline.ledger(hudi_timeline.commits(tables[name])[-1][2])["watermark_ms"]

    def expect_watermark(name, highest, what):
        unit = TOPICS[name][6]
        wanted = highest // unit * unit - LATENESS
        try:
            rig.wait_until(lambda: watermark(name) == wanted, 40, what)
        except rig.Failure as error:
            raise rig.Failure(f"{name}: {error}: {watermark(name)}, the model {wanted}") from None

    def all_in():
        producer.flush()
        for name, table in tables.items():
            service.wait_for(table, sent[name], 60)

    service.start()
    for name in TOPICS:
        produce(name, 0, range(BASE, BASE + 100_000, 1000))
        produce(name, 1, range(BASE + 50_000, BASE + 250_000, 2000))
        future[name] += absurd(name, 0, TOPICS[name][4])
        dead[name] += absurd(name, 1, TOPICS[name][5])
    all_in()
    say("both partitions idle: the watermark is the greater one's")
    for name in TOPICS:
        expect_watermark(name, BASE + 248_000, "the watermark when all are idle")
    say("one wakes up with old records, and is read on: nothing is pulled back")
    for name in TOPICS:
        produce(name, 0, range(BASE - 500_000, BASE - 400_000, 1000))
    all_in()
    for name in TOPICS:
        expect_watermark(name, BASE + 248_000, "the watermark after old records")
    say("times before any calendar do no harm; then the other goes on")
    send("nanos", 0, {"id": 0, "at": -(2**63)})
    send("seconds", 0, {"id": 0, "at": -1e300})
    for name in TOPICS:
        produce(name, 1, [BASE + 3_000_000])
        produce(name, 0, [BASE + 2_000_000])
    all_in()
    for name in TOPICS:
        expect_watermark(name, BASE + 3_000_000, "the watermark when all are idle again")
    metrics = service.get("/metrics")[1].splitlines()
    for name in TOPICS:
        expect(f'moraine_future_records_total{{topic="{name}"}} {future[name]}' in metrics, f"{name}: {[m for m in metrics if 'future_records_total{' in m]}")
        letters = f'moraine_dead_letters_total{{topic="{name}",reason="{"decode" if name == "header_iso" else "event_time"}"}} {dead[name]}'
        expect(letters in metrics, f"{name}: {letters} is not among {[m for m in metrics if 'dead_letters_total{' in m]}")
        count = [m for m in metrics if m.startswith(f'moraine_lateness_seconds_count{{topic="{name}"}}')]
        behind = 0 if name == "date" else 100  # all of one day
        expect(count and int(count[0].split()[-1]) >= behind, f"{name}: lateness {count}")

    say("wait-for")
    def wait_for(until, timeout):
        started = time.monotonic()
        done = subprocess.run([BINARY, "wait-for", tables["kafka"], "--until", until, "--timeout", timeout], capture_output=True, text=True)
        return done.returncode, time.monotonic() - started, done.stderr

    expect(wait_for(iso(BASE + 3_000_000 - LATENESS), "5s")[0] == 0, "the table is complete up to its watermark")
    status, seconds, words = wait_for(iso(BASE + 3_000_000 - LATENESS + 1), "2s")
    expect(status == 1 and 1.5 < seconds < 4 and "not complete" in words, f"a millisecond later: {status} after {seconds:.1f} s: {words}")
    expect(wait_for("tomorrow", "2s")[0] == 2, "a time that is none is wrong usage")
    waiting = subprocess.Popen([BINARY, "wait-for", tables["kafka"], "--until", iso(BASE + 4_000_000), "--timeout", "60s"])
    time.sleep(1)
    expect(waiting.poll() is None, "it waits")
    produce("kafka", 0, [BASE + 4_000_000 + LATENESS])
    produce("kafka", 1, [BASE + 4_000_000 + LATENESS])
    producer.flush()
    expect(waiting.wait(30) == 0, "and ends when the watermark has passed the time")
    service.stop()
    for name, table in tables.items():
        check_ledger(table, sum(sent[name].values()), dead=dead[name], inserted=sum(sent[name].values()) - dead[name])
