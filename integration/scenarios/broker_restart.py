"""The broker is killed and started again while orders arrive; nothing is lost or doubled, and the service lives on."""

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
    for pause in (0.5, 6):
        time.sleep(3)
        say("  broker killed")
        broker.kill()
        time.sleep(pause)
        broker.start()
        service.process.expect_running()
    expect(producer.child.wait(180) == 0, "the producer failed")
    service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_dead_letters()
    topic.check_quick()
