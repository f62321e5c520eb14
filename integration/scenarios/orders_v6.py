"""Orders as JSON into a Hudi table of version 6: upserts, ties, late records, deletes, broken records;
compared with the model while they arrive and afterwards, by every reader. A second table has plain types and no
partitions, so that the oldest reader can read it too."""

import checks
from broker import Broker
from order_scenario import OrderTopic, run_orders
from rig import Scenario
from service import Service, check_ledger

with Scenario("orders-v6") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topic = OrderTopic(scenario, broker, service, "orders", 200_000)
    plain = OrderTopic(scenario, broker, service, "plain", 60_000, seed=8, plain=True)
    plain.produce()
    run_orders(scenario, service, topic)
    for each in (topic, plain):
        service.wait_for(each.table, each.offsets(), 120)
    service.stop()
    for each in (topic, plain):
        check_ledger(each.table, len(each.orders.log), dead=each.orders.count("x"))
        each.check_dead_letters()
    checks.thorough(scenario, [topic.for_thorough(), plain.for_thorough()])
