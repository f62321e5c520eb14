"""Every way of being stuck is told within ten seconds by /readyz, /metrics, /status and `moraine status`, with the right
step, and passes by itself when its cause does: the broker gone, the registry frozen, the disk full, a flood of bad records,
slow storage, a table that another program changed, a table that another instance took over."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import data_orders as orders
import rig
from broker import Broker
from order_scenario import OrderTopic
from registry import Registry
from rig import Scenario, expect, say
from service import Service

SHOWN_SECONDS = 10
PLAIN = {"fields": [{"name": "id", "type": "long", "nullable": False}, {"name": "v", "type": "string"}]}


def told(service, topic, steps):
    """What the four faces say when all of them name the topic and one of the steps; else None."""
    code, text = service.get("/readyz")
    rows = [row for row in json.loads(text)["not_ready"] if row["topic"] == topic]
    if code != 503 or not rows or rows[0]["step"] not in steps:
        return None
    step = rows[0]["step"]
    _, metrics = service.get("/metrics")
    if (f'moraine_ready{{topic="{topic}"}} 0' not in metrics
            or not re.search(rf'moraine_stuck_seconds{{topic="{topic}",step="{step}"}} [0-9.]+', metrics)):
        return None
    _, status = service.get("/status")
    row = next(row for row in json.loads(status)["topics"] if row["topic"] == topic)
    if row["ready"] or row["stuck_step"] != step or not row["words"]:
        return None
    ended, out, _ = rig.run_moraine("status", "--url", service.url)
    if ended != 1 or "NOT READY" not in out or f"{topic}: " not in out:
        return None
    expect(rows[0]["since"], f"no time in {rows[0]}")
    return f"{row['words']}"


def is_ready(service, topic):
    try:
        _, text = service.get("/readyz")
    except rig.Failure:
        return False  # it starts
    if any(row["topic"] == topic for row in json.loads(text)["not_ready"]):
        return False
    _, metrics = service.get("/metrics")
    return f'moraine_ready{{topic="{topic}"}} 1' in metrics and f'stuck_seconds{{topic="{topic}"' not in metrics


def expect_stuck(service, topic, steps, words):
    started = time.monotonic()
    said = rig.wait_until(lambda: told(service, topic, steps), SHOWN_SECONDS + 2, f"{topic} to be shown as stuck in {steps}", 0.3)
    seconds = time.monotonic() - started
    expect(seconds <= SHOWN_SECONDS, f"shown after {seconds:.1f} s")
    for word in words:
        expect(word.lower() in said.lower(), f"not '{word}' in: {said}")
    say(f"  shown after {seconds:.1f} s: {said[:240]}")


def expect_over(service, topic, seconds):
    started = time.monotonic()
    rig.wait_until(lambda: is_ready(service, topic), seconds, f"{topic} to be ready again", 0.3)
    say(f"  over {time.monotonic() - started:.1f} s after its cause")


def lines(scenario, name, texts):
    path = scenario.folder / name
    path.write_text("\n".join(texts) + "\n")
    return path


with Scenario("stuck") as scenario:
    small = scenario.folder / "small"
    small.mkdir()
    has_small = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", small], capture_output=True).returncode == 0
    if has_small:
        scenario.stack.callback(subprocess.run, ["umount", "-l", str(small)])
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry,
                      kafka={"bootstrap.servers": broker.address, "session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"})
    fast = {"commit": {"interval": "500ms"}}
    plain = OrderTopic(scenario, broker, service, "plain", 40_000, partitions=2, lake=small if has_small else None, **fast)
    avro = OrderTopic(scenario, broker, service, "avro", 8000, partitions=2, registry=registry, **fast)
    broker.create_topic("junk", 2)
    service.topic("junk", PLAIN, {"format": "json"}, **fast)
    plain.produce(5000)
    avro.produce(4000)
    broker.produce_lines("junk", lines(scenario, "good", [json.dumps({"id": i, "v": "x"}) for i in range(500)]), 2)
    service.start()
    for topic in (plain, avro):
        service.wait_for(topic.table, topic.offsets(), 60)
    expect_over(service, "junk", 10)

    say("the broker is gone")
    broker.kill()
    for name in ("plain", "avro", "junk"):
        expect_stuck(service, name, ["fetch"], ["broker"])
    broker.start()
    for name in ("plain", "avro", "junk"):
        expect_over(service, name, 30)
    avro.produce(5000)
    service.wait_for(avro.table, avro.offsets(), 60)

    say("the registry is frozen, and a schema is new")
    number = registry.register("avro-value", {**orders.SCHEMA, "fields": orders.SCHEMA["fields"] + [
        {"name": "extra", "type": ["null", "string"], "default": None}]})
    registry.process.child.send_signal(signal.SIGSTOP)
    avro.encoder = type("Newer", (orders.Avro,), {"value": lambda self, row: orders.confluent(
        number, orders.encode(orders.SCHEMA, row) + b"\0")})(number)
    avro.produce(6000)
    expect_stuck(service, "avro", ["decode"], ["registry"])
    registry.process.child.send_signal(signal.SIGCONT)
    expect_over(service, "avro", 40)

    say("a flood of bad records")
    broker.produce_lines("junk", lines(scenario, "bad", ["{rubbish"] * 3000), 2)
    expect_stuck(service, "junk", ["decode"], ["3000 of the last", "dead letters"])
    broker.produce_lines("junk", lines(scenario, "good again", [json.dumps({"id": i, "v": "y"}) for i in range(9000)]), 2)
    expect_over(service, "junk", 10)

    if has_small:
        say("the disk is full")
        room = os.statvfs(small)
        ballast = small / "ballast"
        ballast.write_bytes(bytes(room.f_bavail * room.f_bsize - 40_000))
        plain.produce(30_000)
        expect_stuck(service, "plain", ["upload", "commit"], ["space"])
        ballast.unlink()
        expect_over(service, "plain", 40)
        service.wait_for(plain.table, plain.offsets(), 60)
    else:
        say("  skipped: the full disk (nothing can be mounted here)")

    say("another program changed the table; an operator mends it and reloads")
    properties = avro.table / ".hoodie" / "hoodie.properties"
    text = properties.read_text()
    properties.write_text(text.replace("order_id", "customer_id"))
    avro.produce(7000)
    expect_stuck(service, "avro", ["commit"], ["operator must act", "another program changed"])
    properties.write_text(text)
    service.process.child.send_signal(signal.SIGHUP)
    expect_over(service, "avro", 20)
    service.wait_for(avro.table, avro.offsets(), 60)

    say("a zombie: another instance took its partitions over; it is fenced and goes on")
    second = Service(scenario, kafka=service.settings["kafka"], name="second")
    shutil.copy(service.folder / "topics" / "plain.yaml", second.folder / "topics" / "plain.yaml")
    producer = plain.produce_slowly(1500)
    second.start()
    rig.wait_until(lambda: second.log_size() > 0 and is_ready(second, "plain"), 30, "the second instance")
    service.process.child.send_signal(signal.SIGSTOP)
    time.sleep(9)
    service.process.child.send_signal(signal.SIGCONT)
    expect_over(service, "plain", 30)
    fenced = re.search(r'moraine_fenced_total{topic="plain"} (\d+)', service.get("/metrics")[1])
    say(f"  fenced batches of the zombie: {fenced[1] if fenced else '?'}")
    expect(producer.child.wait(60) == 0, "the producer failed")
    second.wait_for(plain.table, plain.offsets(), 60)
    second.stop()
    service.stop()

    say("slow storage")
    os.environ["MORAINE_FAILPOINTS"] = "storage.fsync=delay:13000@40"
    service.start()
    rig.wait_until(lambda: is_ready(service, "plain"), 30, "the service to be ready")
    plain.sent = len(plain.orders.log)
    copies = OrderTopic(scenario, broker, service, "slow", 20_000, partitions=2, **fast)
    service.process.child.send_signal(signal.SIGHUP)
    producer = copies.produce_slowly(1000)
    expect_stuck(service, "slow", ["table", "encode", "upload", "commit"], ["since"])
    expect_over(service, "slow", 30)
    expect(producer.child.wait(60) == 0, "the producer failed")
    service.wait_for(copies.table, copies.offsets(), 60)
    service.wait_for(plain.table, plain.offsets(), 60)
    service.stop()
    plain.check_quick()
