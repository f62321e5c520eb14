"""Append-only topics into Iceberg tables of versions 2 and 3, not partitioned, by day and by every other transform: every
reader sees every record once, while records arrive, over restarts and kills.

Options: events per topic (default 20000), seed (default 1)."""

import sys

import checks
import iceberg_log
from broker import Broker
from event_topic import EventTopic
from rig import Scenario, expect, say
from service import Service

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
TABLES = {
    "plain_v2": {"format_version": 2},
    "region_v2": {"format_version": 2, "partition_by": ["region"]},
    "mixed_v3": {"format_version": 3, "partition_by": ["truncate(2, region)", "bucket(3, id)"]},
    "number_v3": {"format_version": 3, "partition_by": ["truncate(500, version)"]},
}

with Scenario("iceberg_append") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topics = [EventTopic(broker, name, SEED + number, append=True) for number, name in enumerate(TABLES)]
    for topic in topics:
        topic.add_to(service, {"format": "iceberg", **TABLES[topic.name]})

    def produce_and_wait(share):
        for topic in topics:
            topic.produce(int(EVENTS * share))
        for topic in topics:
            service.wait_for(topic.table, topic.offsets, 60)

    service.start()
    for _ in range(5):
        produce_and_wait(0.1)
    for topic in topics:
        checks.quick_iceberg(scenario, topic.table, topic.model(), topic.key, " while the service runs")
    service.stop()
    for number in range(4):
        service.start()
        for topic in topics:
            topic.produce(int(EVENTS * 0.1))
        say(f"  killed after {service.kill_at_random(0.3, 3, SEED * 10 + number):.1f} s")
    service.start()
    produce_and_wait(0.1)
    service.stop()
    for topic in topics:
        topic.check_ledger()
        operations = {s["summary"]["operation"] for s in iceberg_log.snapshots(topic.table)}
        expect(operations <= {"append", "replace"}, f"{topic.name}: operations {operations}")
    checks.thorough_iceberg(scenario, [(topic.table, topic.model(), topic.key) for topic in topics])
