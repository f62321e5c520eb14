"""Restarts: progress comes from the table, whatever the group's offsets say and whether or not the local state
still exists; what a dead writer left is rolled back."""

import shutil

import hudi_timeline
import rig
from broker import Broker
from order_scenario import OrderTopic
from rig import BINARY, Scenario, expect, say
from service import Service, check_ledger

GROUP = "moraine-orders"

with Scenario("restart") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topic = OrderTopic(scenario, broker, service, "orders", 60_000, group=GROUP)
    state = scenario.folder / "moraine" / "state"

    def run_and_check(last, what):
        offsets = topic.produce(last)
        service.start()
        service.wait_for(topic.table, offsets, 60)
        service.stop()
        check_ledger(topic.table, last)
        topic.check_dead_letters()
        topic.check_quick(f" {what}")

    run_and_check(10_000, "after the first run")

    say("group offsets point behind and ahead of the table")
    hints = dict(map(int, line.split()) for line in broker.admin("group-offsets", GROUP, "orders", 4).splitlines())
    expect(hints == topic.offsets(), f"group offsets {hints}, the table has {topic.offsets()}")
    broker.admin("set-group-offset", GROUP, "orders", 0, 17)
    broker.admin("set-group-offset", GROUP, "orders", 1, 10_000_000)
    run_and_check(20_000, "after the group's offsets were changed")

    say("the group is deleted")
    broker.admin("delete-group", GROUP)
    run_and_check(30_000, "after the group was deleted")

    say("the local state is deleted")
    letters = state / "dead_letters"
    kept = scenario.folder / "kept-letters"
    if letters.exists():
        shutil.move(letters, kept)
    shutil.rmtree(state)
    if kept.exists():
        state.mkdir()
        shutil.move(kept, letters)
    run_and_check(40_000, "after the local state was deleted")

    say("a writer dies with its files written and nothing published")
    topic.produce(50_000)
    rig.write_json(service.config, service.settings)
    process = scenario.process("moraine", [BINARY, "run", "--config", service.config],
                               env={"MORAINE_FAILPOINTS": "commit.files_written=kill"})
    rig.wait_until(lambda: not process.running, 30, "the kill at commit.files_written")
    expect(process.child.returncode == -9, f"status {process.child.returncode}:\n{rig.tail(process.log)}")
    staging = topic.table / ".hoodie/moraine/staging"
    expect(any(p.is_file() for p in staging.rglob("*")), "the dead writer left no staged files")
    expect(not hudi_timeline.leftovers(topic.table), "the dead writer left something on the timeline")
    topic.sent = 40_000
    topic.check_quick(" with a dead writer's files beside it")
    topic.sent = 50_000
    run_and_check(60_000, "after the dead writer was rolled back")
    left = hudi_timeline.leftovers(topic.table)
    expect(not left, f"instants of the dead writer are still there: {left}")
    left = [p for p in staging.rglob("*") if p.is_file()]
    expect(not left, f"staged files of the dead writer are still there: {left}")
