"""Stops with words: a topic that was recreated or deleted, records that Kafka removed before they were read, a table whose
properties were changed or that was removed. The topic stops, its table stays as it is, the log, /readyz and /metrics say
what happened and what an operator can do, and the other topics go on. A table that was taken back to an earlier commit is
followed: it says where to read on."""

import json
import shutil
import time

import data_orders as orders
import hudi_timeline
import rig
import verifying
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service

NAMES = ["recreated", "trimmed", "expired", "tampered", "deleted", "removed", "back6", "back9", "healthy"]
# the broker closes segments and lets them expire within seconds
EXPIRING = {"segment_bytes": 1 << 20, "segment_ms": 500, "retention_ms": 2000}

with Scenario("stops") as scenario:
    broker = Broker(scenario, log_retention_check_interval_ms=500)
    service = Service(scenario, broker)
    topics = {}
    for n, name in enumerate(NAMES):
        topics[name] = OrderTopic(scenario, broker, service, name, 4000, partitions=2, seed=n, buckets=2,
                                  table_version=9 if name == "back9" else 6)
    for topic in topics.values():
        topic.produce(1000)
    service.start()
    for topic in topics.values():
        service.wait_for(topic.table, topic.offsets(), 60)
    service.stop()

    def snapshot(topic):
        return sorted((str(p), p.stat().st_size) for p in topic.table.rglob("*") if p.is_file())

    def expect_stopped(name, words, seconds=60):
        """The topic ends with all the words, in the log and on every face."""
        line = service.wait_for_words(position, ["event=topic_failed", f"topic={name} ", *words], seconds)
        say(f"  {line[line.index('msg='):][:330]}")

        def shown():
            code, text = service.get("/readyz")
            rows = [row for row in json.loads(text)["not_ready"] if row["topic"] == name]
            return code == 503 and rows and rows[0]["state"] == "failed" and all(
                word.lower() in rows[0]["last_error"].lower() for word in words)

        rig.wait_until(shown, 10, f"/readyz to say that {name} stopped")
        rig.wait_until(lambda: f'moraine_ready{{topic="{name}"}} 0' in service.get("/metrics")[1], 10,
                       f"/metrics to say that {name} stopped")

    def expect_going_on(last):
        topics["healthy"].produce(last)
        service.wait_for(topics["healthy"].table, topics["healthy"].offsets(), 60)
        expect(f'moraine_ready{{topic="healthy"}} 1' in service.get("/metrics")[1], "the healthy topic is not shown as ready")

    say("recreated: deleted and made again with more records than before")
    broker.recreate_topic("recreated", 2)
    broker.produce("recreated", topics["recreated"].orders.frames(orders.Json(), 0, 3000))

    say("trimmed: records beyond the table's offset are deleted in Kafka")
    topics["trimmed"].produce(3000)
    at = topics["trimmed"].offsets()
    broker.admin("delete-records", "trimmed", 0, at[0] - 10)
    topics["trimmed"].sent = 1000

    say("expired: the broker's own retention removes what was not read")
    topics["expired"].produce(3000)
    broker.configure_topic("expired", **EXPIRING)
    at = hudi_timeline.offsets(topics["expired"].table)

    def gone():
        return all(int(broker.admin("watermarks", "expired", p).split()[0]) > at[p] for p in at)

    rig.wait_until(gone, 90, "the broker's retention", pause=1)
    topics["expired"].sent = 1000

    say("tampered: somebody changes the key of the table")
    properties = topics["tampered"].table / ".hoodie" / "hoodie.properties"
    text = properties.read_text()
    expect("order_id" in text, f"no key in hoodie.properties:\n{text}")
    properties.write_text(text.replace("order_id", "customer_id"))
    topics["tampered"].produce(2000)
    topics["tampered"].sent = 1000

    before = {name: snapshot(topics[name]) for name in ("recreated", "trimmed", "expired", "tampered")}
    topics["healthy"].produce(2000)
    position = service.log_size()
    service.start()
    service.wait_for(topics["healthy"].table, topics["healthy"].offsets(), 60)
    expect_stopped("recreated", ["recreated"])
    expect_stopped("trimmed", ["offset", "retention removed", "Nothing was skipped", "start with a new table"])
    expect_stopped("expired", ["offset", "retention removed", "Nothing was skipped", "start with a new table"])
    expect_stopped("tampered", ["key"])
    time.sleep(3)
    for name, files in before.items():
        now = snapshot(topics[name])
        changed = {path for path, _ in set(files) ^ set(now) if ".hoodie" not in path or "commit" in path}
        expect(not changed, f"{name}: files changed although the topic stopped: {sorted(changed)[:5]}")
    service.process.expect_running()
    expect_going_on(2500)
    topics["healthy"].check_quick(" beside four stopped topics")

    say("removed: the table disappears while it is written")
    position = service.log_size()
    shutil.rmtree(topics["removed"].table)
    topics["removed"].produce(2000)
    expect_stopped("removed", ["the table was deleted or moved"])
    expect(not topics["removed"].table.exists(), "the removed table came back by itself")

    say("deleted: the topic disappears while it is read")
    started = time.monotonic()
    broker.admin("delete", "deleted")
    expect_stopped("deleted", ["does not exist in Kafka any more"], 75)
    say(f"  after {time.monotonic() - started:.0f} s")
    topics["deleted"].check_quick(" after its topic was deleted")

    say("back: an operator takes tables back to their first commit; they are followed from there")
    for name in ("back6", "back9"):
        topics[name].produce(2000)
        service.wait_for(topics[name].table, topics[name].offsets(), 60)
        instants = [instant for instant, _ in hudi_timeline.progress(topics[name].table)]
        expect(len(instants) > 1, f"{name} has only the commits {instants}")
        for instant in instants[1:]:
            for path in (topics[name].table / ".hoodie").glob(f"**/{instant}[._]*"):
                path.unlink()
        expect(sum(hudi_timeline.offsets(topics[name].table).values()) == 1000, f"{name} was not taken back")
        topics[name].produce(3000)
        service.wait_for(topics[name].table, topics[name].offsets(), 60)
        topics[name].check_quick(" after it was taken back")
    expect_going_on(3000)

    say("healthy: recreated while the service reads it")
    position = service.log_size()
    broker.recreate_topic("healthy", 2)
    broker.produce("healthy", topics["healthy"].orders.frames(orders.Json(), 0, 4000))
    expect_stopped("healthy", ["healthy"], 90)
    topics["healthy"].check_quick(" after its topic was recreated")
    service.stop(status=1)
    for name in ("trimmed", "expired", "back6", "back9", "healthy"):
        verifying.expect_right(topics[name].table)
