"""A spare with the instance name of a running service: it waits and says for whom; when the first is killed it goes on.
Nothing is lost or doubled. (Services with names of their own share the work: `instances`.)"""

import shutil

import hudi_timeline
import rig
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service, check_ledger

with Scenario("failover") as scenario:
    broker = Broker(scenario)
    kafka = {"bootstrap.servers": broker.address, "session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"}
    first = Service(scenario, kafka=kafka, name="first")
    second = Service(scenario, kafka=kafka, name="second")
    second.settings["instance"] = "first"
    topic = OrderTopic(scenario, broker, first, "orders", 100_000, commit={"interval": "500ms"})
    shutil.copy(first.folder / "topics" / "orders.yaml", second.folder / "topics" / "orders.yaml")
    topic.produce(20_000)
    first.start()
    first.wait_for(topic.table, topic.offsets(), 60)
    producer = topic.produce_slowly(5000)
    second.start()
    line = second.wait_for_words(0, ["orders", "first"], 30)
    say(f"  second: {line[:300]}")
    before = sum(hudi_timeline.offsets(topic.table).values())
    rig.wait_until(lambda: sum(hudi_timeline.offsets(topic.table).values()) > before, 30, "the first to go on")
    first.kill()
    say(f"  first killed at {sum(hudi_timeline.offsets(topic.table).values())} records")
    expect(producer.child.wait(120) == 0, "the producer failed")
    second.wait_for(topic.table, topic.offsets(), 120)
    second.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_quick()
