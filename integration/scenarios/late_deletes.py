"""Records that come late, deletes that come late, keys that move to another partition of the table, and tombstones: every
reader sees what the record with the highest version says, over restarts, without the local state, and with two
instances; table versions 6 and 9.

Options: events per topic (default 40000), seed (default 1)."""

import shutil
import sys

import checks
from broker import Broker
from event_topic import EventTopic
from rig import Scenario, say
from service import Service

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ROUNDS = 5


def forget_index(service, topics):
    for topic in topics:
        shutil.rmtree(service.folder / "state" / "state" / topic.name)


with Scenario("late_deletes") as scenario:
    broker = Broker(scenario)
    topics = {version: EventTopic(broker, f"late_v{version}", SEED + version) for version in (6, 9)}
    first, second = Service(scenario, broker), Service(scenario, broker, name="second")
    for service in (first, second):
        for version, topic in topics.items():
            topic.add_to(service, {"partition_by": ["region"], "buckets": 2}, version)
    topics = list(topics.values())

    def run_and_check(services, what, share):
        for service in services:
            service.start()
        for _ in range(ROUNDS):  # so many commits at least
            for topic in topics:
                topic.produce(int(EVENTS * share) // ROUNDS)
            for topic in topics:
                services[0].wait_for(topic.table, topic.offsets, 60)
        for service in services:
            service.stop()
        say(what)
        for topic in topics:
            topic.check_ledger()
            checks.quick(scenario, topic.table, topic.model(), topic.key, f" {what}")

    run_and_check([first], "after the first run", 0.3)
    run_and_check([first], "after a restart", 0.2)
    forget_index(first, topics)
    run_and_check([first], "after the local state was deleted", 0.2)
    run_and_check([first, second], "after a run of two instances", 0.2)
    run_and_check([second], "after a run of the second instance", 0.1)
    checks.thorough(scenario, [(topic.table, topic.model(), topic.key, None) for topic in topics])
