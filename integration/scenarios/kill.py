"""kill -9 while orders arrive: at named places of a commit and at random moments; then every record must have
exactly one outcome.

Options: seed (default 1)."""

import random
import sys

import checks
import hudi_timeline
import rig
from broker import Broker
from order_scenario import OrderTopic
from rig import BINARY, Scenario, expect, say
from service import Service, check_ledger

PLACES = ["commit.begun", "commit.files_written", "commit.before_publish", "commit.after_publish", "storage.publish",
          "storage.put_published", "dead_letter.write", "lane.decode"]
seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
dice = random.Random(seed)

with Scenario("kill") as scenario:
    broker = Broker(scenario)
    # static membership: a successor need not wait for the session of the dead one
    service = Service(scenario, kafka={"bootstrap.servers": broker.address, "group.instance.id": "rig"})
    six = OrderTopic(scenario, broker, service, "six", 150_000, seed=seed, commit={"interval": "500ms", "max_rows": 5000})
    nine = OrderTopic(scenario, broker, service, "nine", 150_000, table_version=9, seed=seed + 1,
                      commit={"interval": "500ms", "max_rows": 5000})
    for topic in (six, nine):
        topic.produce(60_000)
    producers = [six.produce_slowly(4000), nine.produce_slowly(4000)]
    killed = 0
    rounds = [None, *PLACES, None, None, None]
    for place in rounds:
        if place is None:
            service.start()
            seconds = service.kill_at_random(0.4, 3.0, dice.random())
            say(f"  killed after {seconds:.1f} s: table offsets {hudi_timeline.offsets(six.table)}")
            killed += 1
        else:
            number = dice.randrange(1, 12)
            rig.write_json(service.config, service.settings)
            process = scenario.process("moraine", [BINARY, "run", "--config", service.config],
                                       env={"MORAINE_FAILPOINTS": f"{place}=kill@{number}"})
            try:
                rig.wait_until(lambda: not process.running, 10, place)
                expect(process.child.returncode == -9, f"status {process.child.returncode} instead of a kill at {place}")
                say(f"  killed at passing {number} of {place}: table offsets {hudi_timeline.offsets(nine.table)}")
            except rig.Failure:
                expect(process.running, f"moraine ended by itself at {place}:\n{rig.tail(process.log)}")
                process.child.kill()
                process.child.wait()
                say(f"  {place} was not passed {number} times in 10 s; killed then")
            killed += 1
    for producer in producers:
        expect(producer.child.wait(120) == 0, "a producer failed")
    service.start()
    for topic in (six, nine):
        service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    say(f"  {killed} kills")
    for topic in (six, nine):
        check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
        topic.check_dead_letters()
        left = hudi_timeline.leftovers(topic.table)
        expect(not left, f"{topic.name}: instants of dead writers are still there: {left}")
    checks.thorough(scenario, [six.for_thorough(), nine.for_thorough()])
