"""The broker is killed and started again while orders arrive; nothing is lost or doubled, and the service lives on, without
spending the core that the broker needs on looking for it."""

import time

from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service, check_ledger

with Scenario("broker-restart") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topic = OrderTopic(scenario, broker, service, "orders", 100_000, commit={"interval": "1s"})
    topic.produce(20_000)
    service.start()
    producer = topic.produce_slowly(5000)
    for pause in (0.5, 6, 15):
        time.sleep(3)
        say("  broker killed")
        broker.kill()
        before = service.process.cpu_seconds()
        time.sleep(pause)
        spent = service.process.cpu_seconds() - before
        expect(spent < 0.5 + 0.1 * pause, f"{spent:.1f} s of CPU time in {pause} s without a broker")
        broker.start()
        service.process.expect_running()
    expect(producer.child.wait(180) == 0, "the producer failed")
    service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_dead_letters()
    topic.check_quick()
