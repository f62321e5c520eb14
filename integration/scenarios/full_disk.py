"""The disk of the table is full for a while: the service waits, says so, and goes on when there is room again."""

import os
import subprocess
import time

import hudi_timeline
import rig
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service, check_ledger

with Scenario("full-disk") as scenario:
    lake = scenario.folder / "small"
    lake.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", lake], capture_output=True, text=True)
    if mounted.returncode != 0:
        print(f"skipped: no small file system can be mounted here: {mounted.stderr.strip()}")
        os._exit(77)
    scenario.stack.callback(subprocess.run, ["umount", "-l", str(lake)])
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topic = OrderTopic(scenario, broker, service, "orders", 60_000, lake=lake, commit={"interval": "500ms"})
    topic.produce(20_000)
    service.start()
    service.wait_for(topic.table, topic.offsets(), 60)
    room = os.statvfs(lake)
    ballast = lake / "ballast"
    position = service.log_size()
    with ballast.open("wb") as filler:
        filler.write(bytes(room.f_bavail * room.f_bsize - 40_000))
    topic.produce()
    line = service.wait_for_words(position, ["orders", "space"], 60)
    say(f"  {line[:300]}")
    time.sleep(3)
    service.process.expect_running()
    topic.sent = sum(hudi_timeline.offsets(topic.table).values())
    expect(topic.sent < len(topic.orders.log), "everything was written although the disk was full")
    topic.sent = len(topic.orders.log)
    status, _, errors = rig.run_moraine("scan", topic.table, "--output", "count")
    expect(status == 0, f"the table cannot be read while the disk is full: {errors}")
    ballast.unlink()
    service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    topic.check_dead_letters()
    topic.check_quick()
