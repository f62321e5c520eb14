"""Stops with words: a recreated topic, records that Kafka deleted before they were read, changed table properties.
The topic stops, its table stays as it is, the log says what happened, and the other topics go on."""

import time

import data_orders as orders
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service

with Scenario("stops") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topics = {name: OrderTopic(scenario, broker, service, name, 4000, partitions=2, seed=n, buckets=2)
              for n, name in enumerate(["recreated", "trimmed", "tampered", "healthy"])}
    for topic in topics.values():
        topic.produce(1000)
    service.start()
    for topic in topics.values():
        service.wait_for(topic.table, topic.offsets(), 60)
    service.stop()

    def snapshot(topic):
        return sorted((str(p), p.stat().st_size) for p in topic.table.rglob("*") if p.is_file())

    say("recreated: deleted and made again with more records than before")
    broker.recreate_topic("recreated", 2)
    broker.produce("recreated", topics["recreated"].orders.frames(orders.Json(), 0, 3000))

    say("trimmed: records beyond the table's offset are deleted in Kafka")
    topics["trimmed"].produce(3000)
    at = topics["trimmed"].offsets()
    broker.admin("delete-records", "trimmed", 0, at[0] - 10)
    topics["trimmed"].sent = 1000

    say("tampered: somebody changes the key of the table")
    properties = topics["tampered"].table / ".hoodie" / "hoodie.properties"
    text = properties.read_text()
    expect("order_id" in text, f"no key in hoodie.properties:\n{text}")
    properties.write_text(text.replace("order_id", "customer_id"))
    topics["tampered"].produce(2000)
    topics["tampered"].sent = 1000

    before = {name: snapshot(topics[name]) for name in ("recreated", "trimmed", "tampered")}
    topics["healthy"].produce(2000)
    position = service.log_size()
    service.start()
    service.wait_for(topics["healthy"].table, topics["healthy"].offsets(), 60)
    for name, words in (("recreated", ["level=error", "recreated"]), ("trimmed", ["level=error", "trimmed", "offset"]),
                        ("tampered", ["level=error", "tampered", "key"])):
        line = service.wait_for_words(position, words, 60)
        say(f"  {line[:400]}")
    time.sleep(3)
    for name, files in before.items():
        now = snapshot(topics[name])
        changed = {path for path, _ in set(files) ^ set(now) if ".hoodie" not in path or "commit" in path}
        expect(not changed, f"{name}: files changed although the topic stopped: {sorted(changed)[:5]}")
    service.process.expect_running()
    topics["healthy"].produce(3000)
    service.wait_for(topics["healthy"].table, topics["healthy"].offsets(), 60)
    topics["healthy"].check_quick(" beside three stopped topics")

    say("healthy: recreated while the service reads it")
    position = service.log_size()
    broker.recreate_topic("healthy", 2)
    broker.produce("healthy", topics["healthy"].orders.frames(orders.Json(), 0, 4000))
    line = service.wait_for_words(position, ["level=error", "healthy"], 90)
    say(f"  {line[:400]}")
    topics["healthy"].check_quick(" after its topic was recreated")
    service.process.stop(seconds=60)
