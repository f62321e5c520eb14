"""Stopped with SIGTERM and started again while Avro orders arrive, again and again; once the schema registry freezes
meanwhile. Every stop must be clean, quick and complete: what was taken in is in the table."""

import random
import signal
import time

import hudi_timeline
from broker import Broker
from order_scenario import OrderTopic
from registry import Registry
from rig import Scenario, expect, say
from service import Service, check_ledger

with Scenario("rolling") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    topic = OrderTopic(scenario, broker, service, "orders", 150_000, registry=registry, table_version=9, seed=6)
    topic.produce(20_000)
    producer = topic.produce_slowly(8000)
    dice = random.Random(6)
    for number in range(6):
        service.start()
        if number == 3:
            registry.process.child.send_signal(signal.SIGSTOP)
            time.sleep(3)
            service.process.expect_running()
            registry.process.child.send_signal(signal.SIGCONT)
        time.sleep(dice.uniform(0.3, 3))
        started = time.monotonic()
        service.stop()
        seconds = time.monotonic() - started
        expect(seconds < 20, f"stopping took {seconds:.1f} s")
        say(f"  table offsets {hudi_timeline.offsets(topic.table)}")
        expect(not hudi_timeline.leftovers(topic.table), "a clean stop left an unfinished instant")
    expect(producer.child.wait(120) == 0, "the producer failed")
    service.start()
    service.wait_for(topic.table, topic.offsets(), 90)
    service.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_dead_letters()
    topic.check_quick()
