"""Orders as Avro with a schema registry into a Hudi table of version 9; otherwise as orders_v6."""

import checks
from broker import Broker
from order_scenario import OrderTopic, run_orders
from registry import Registry
from rig import Scenario
from service import Service, check_ledger

with Scenario("orders-v9") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    topic = OrderTopic(scenario, broker, service, "orders", 200_000, registry=registry, table_version=9, seed=2)
    run_orders(scenario, service, topic)
    service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_dead_letters()
    checks.thorough(scenario, [topic.for_thorough()])
