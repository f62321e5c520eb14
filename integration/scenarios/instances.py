"""Three instances share a topic of six partitions and one table, under load: they join and leave, one is killed, one is
frozen for longer than its session and goes on as a zombie, the broker restarts. Three ways of assignment: cooperative,
eager, and static members. Nothing is lost or doubled, by every reader and by `moraine verify`."""

import json
import re
import shutil
import signal
import sys
import time

import checks
import hudi_timeline
import rig
import verifying
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, RATE, SESSION_MS = 6, 2_500, 6_000
ASSIGN_SECONDS = 20  # from the start of an instance until it has partitions
COUNTS = {"cooperative": 200_000}  # a restart of the broker takes its time
MODES = {
    "cooperative": {},
    "eager": {"partition.assignment.strategy": "range"},
    "static": {"group.instance.id": "{name}"},
}
NAMES = ("a", "b", "c")


class Fleet:
    """The instances of one mode, and what they did."""

    def __init__(self, scenario, broker, mode, table_version):
        self.mode, self.broker, self.members = mode, broker, {}
        for name in NAMES:
            kafka = {"bootstrap.servers": broker.address, "session.timeout.ms": str(SESSION_MS), "heartbeat.interval.ms": "1500"}
            kafka.update({key: value.format(name=name) for key, value in MODES[mode].items()})
            self.members[name] = Service(scenario, kafka=kafka, name=f"{mode}-{name}")
        self.topic = OrderTopic(scenario, broker, self.members["a"], mode, COUNTS.get(mode, 120_000), partitions=PARTITIONS, seed=len(mode),
                                table_version=table_version, commit={"interval": "500ms"})
        for name in NAMES[1:]:
            shutil.copy(self.members["a"].folder / "topics" / f"{mode}.yaml", self.members[name].folder / "topics")

    def start(self, name):
        """Starts an instance and waits until it has partitions."""
        member = self.members[name]
        position = member.log_size()
        started = time.monotonic()
        member.start()
        member.wait_for_words(position, ["event=partition_assigned"], ASSIGN_SECONDS)
        say(f"  {name} has partitions after {time.monotonic() - started:.1f} s")

    def committed(self):
        return sum(hudi_timeline.offsets(self.topic.table).values())

    def expect_progress(self, what, seconds=30):
        before = self.committed()
        rig.wait_until(lambda: self.committed() > before, seconds, f"a commit {what}")

    def instances(self):
        """Names that the ledgers of the table state."""
        return {state["instance"] for _, state in hudi_timeline.progress(self.topic.table)}

    def fenced(self, name):
        found = re.search(rf'moraine_fenced_total{{topic="{self.mode}"}} (\d+)', self.members[name].get("/metrics")[1])
        return int(found.group(1))

    def assigned(self, name):
        """Numbers of the partitions that an instance has, as of its latest snapshot."""
        topics = json.loads(self.members[name].get("/lag")[1])["topics"]
        return [partition["partition"] for topic in topics for partition in topic["partitions"]]

    def wait_assigned(self):
        """Until no assignment is under way: each instance has partitions, and together they have all."""
        def settled():
            assigned = [self.assigned(name) for name in NAMES]
            return all(assigned) and sorted(sum(assigned, [])) == list(range(PARTITIONS))
        rig.wait_until(settled, 60, "all partitions to be assigned to three instances")

    def freeze(self, name):
        """A zombie: silent for longer than its session, while the others take its partitions; then it goes on."""
        member = self.members[name]
        self.wait_assigned()
        member.wait_for_words(member.log_size(), ["event=commit_done"], 60)  # records come
        position = member.log_size()
        member.process.child.send_signal(signal.SIGSTOP)
        time.sleep(1)
        self.expect_progress(f"while {name} is frozen", 40)
        time.sleep(SESSION_MS / 1000 + 3)
        member.process.child.send_signal(signal.SIGCONT)

        def lost():
            return self.fenced(name) > 0 or "lost=1" in member.log_since(position)

        try:
            rig.wait_until(lost, 30, f"{name} to notice that it lost its partitions")
        except rig.Failure as error:
            raise rig.Failure(f"{error}; it says since it was stopped:\n{member.log_since(position)}") from None
        log = member.log_since(position)
        say(f"  {name} came back: {self.fenced(name)} batches fenced off, {log.count('lost=1')} partitions lost")
        member.wait_for_words(position, ["event=partition_assigned"], 60)
        member.process.expect_running()

    def wait_complete(self, seconds=120):
        offsets = self.topic.offsets()

        def complete():
            for name in NAMES:
                self.members[name].process.expect_running()
            return hudi_timeline.offsets(self.topic.table) == offsets

        try:
            rig.wait_until(complete, seconds, "all records", pause=0.5)
        except rig.Failure as error:
            raise rig.Failure(f"{error}: {hudi_timeline.offsets(self.topic.table)} of {offsets}") from None

    def dead_letters(self):
        found = []
        for name in NAMES:
            for path in (self.members[name].folder / "state" / "dead_letters").glob("*.jsonl"):
                found += [(letter["partition"], letter["offset"]) for letter in map(json.loads, path.read_text().splitlines())]
        return found


def run(scenario, broker, mode, table_version):
    say(f"{mode}: table version {table_version}")
    fleet = Fleet(scenario, broker, mode, table_version)
    topic = fleet.topic
    producer = topic.produce_slowly(RATE)
    fleet.start("a")
    fleet.expect_progress("of the first instance")
    fleet.start("b")
    fleet.start("c")
    rig.wait_until(lambda: len(fleet.instances()) == 3, 30, "commits by all three")
    say("  one leaves and comes back")
    fleet.members["b"].stop()
    fleet.expect_progress("after one left")
    fleet.start("b")
    if mode == "cooperative":
        say("  the broker restarts")
        broker.kill()
        broker.start()
        fleet.expect_progress("after the broker came back", 60)
    say("  one is frozen beyond its session")
    fleet.freeze("c")
    say("  one is killed and starts again")
    fleet.members["a"].kill()
    fleet.expect_progress("after one was killed", 60)
    fleet.start("a")
    expect(producer.child.wait(180) == 0, "the producer failed")
    fleet.wait_complete()
    for name in NAMES:
        fleet.members[name].stop()
    commits = hudi_timeline.progress(topic.table)
    say(f"  {len(commits)} commits by {sorted(fleet.instances())}")
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    letters = fleet.dead_letters()
    expect(set(letters) == topic.expected_broken(), f"{mode}: dead letters differ: {len(set(letters))} found")
    expect(len(letters) == len(set(letters)), f"{mode}: {len(letters) - len(set(letters))} dead letters twice")
    verifying.expect_right(topic.table, fleet.members["a"], mode)
    topic.check_quick(f" by three instances ({mode})")
    return topic


modes = sys.argv[1:] or list(MODES)
with Scenario("instances") as scenario:
    broker = Broker(scenario)
    topics = [run(scenario, broker, mode, 9 if mode == "eager" else 6) for mode in modes]
    checks.thorough(scenario, [topic.for_thorough() for topic in topics])
