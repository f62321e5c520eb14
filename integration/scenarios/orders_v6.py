"""Orders as JSON into a Hudi table of version 6: upserts, ties, late records, deletes, broken records;
compared with the model while they arrive and afterwards, by every reader."""

import checks
from broker import Broker
from order_scenario import OrderTopic, run_orders
from rig import Scenario
from service import Service, check_ledger

with Scenario("orders-v6") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topic = OrderTopic(scenario, broker, service, "orders", 200_000)
    run_orders(scenario, service, topic)
    service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_dead_letters()
    checks.thorough(scenario, [topic.for_thorough()])
