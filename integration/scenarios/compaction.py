"""Tables that look after themselves: the service merges file groups and removes old files while orders arrive and others
read. Every reading is the model at some commit, no reader fails, the files stay few, and kept versions stay readable."""

import json
import subprocess
import time
import urllib.request

import checks
import hudi_timeline
import readers
import rig
from broker import Broker
from order_scenario import OrderTopic
from rig import BINARY, Scenario, expect, say
from service import Service

TOKEN = "rig"
OPTIONS = {"commit": {"interval": "500ms", "max_rows": 4000}, "compaction": {"max_delta_files": 4},
           "retention": {"age": "1m", "min_snapshots": 5}}


def moraine(*args):
    result = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=300)
    expect(result.returncode == 0, f"moraine {args[0]}: status {result.returncode}: {result.stderr}")
    return result.stdout


def compactions(table):
    return [i for i, action, data in hudi_timeline.commits(table) if data.get("operationType") == "COMPACT"]


def post(service, path):
    request = urllib.request.Request(service.url + path, method="POST", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def metric(service, name, topic):
    for line in service.get("/metrics")[1].splitlines():
        if line.startswith(f"moraine_{name}{{") and f'topic="{topic}"' in line:
            return float(line.rsplit(" ", 1)[1])
    return None


def keep_version(service, topic):
    """Reads a version before and after its file groups were merged; returns it."""
    version = hudi_timeline.progress(topic.table)[-1][0]
    digest = moraine("scan", topic.table, "--version", version, "--output", "digest")
    expect(post(service, f"/topics/{topic.name}/compact") == 202, "POST compact was refused")
    rig.wait_until(lambda: any(i > version for i in compactions(topic.table)), 60, "a compaction")
    expect(moraine("scan", topic.table, "--version", version, "--output", "digest") == digest,
           f"{topic.name}: version {version} changed")
    say(f"  {topic.name}: version {version} reads the same when its file groups are merged")
    return version


with Scenario("compaction") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    service.settings["http"]["token"] = TOKEN
    six = OrderTopic(scenario, broker, service, "six", 240_000, seed=7, **OPTIONS)
    nine = OrderTopic(scenario, broker, service, "nine", 240_000, table_version=9, seed=8, **OPTIONS)
    topics = (six, nine)
    for topic in topics:
        topic.produce(40_000)
    service.start()
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
    producers = [topic.produce_slowly(2500) for topic in topics]

    rounds = 0
    while any(p.running for p in producers):
        for topic in topics:
            topic.compare_while_running(lambda t=topic: readers.hudi_rs(scenario, t.table), "hudi-rs", topic.derived)
            topic.compare_while_running(lambda t=topic: readers.moraine(scenario, t.table, t.model().schema), "scan")
        rounds += 1
        if rounds == 1:
            kept = {topic.name: keep_version(service, topic) for topic in topics}
        if rounds == 2:
            for topic in topics:  # of this process: the next one may find nothing to merge
                rig.wait_until(lambda t=topic: metric(service, "compaction_bytes_total", t.name) > 0, 60, "a compaction is counted")
            service.kill()
            say("  killed")
            service.start()
    for producer in producers:
        expect(producer.child.wait(120) == 0, "a producer failed")
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
        expect(len(compactions(topic.table)) >= 2, f"{topic.name}: {len(compactions(topic.table))} compactions")
        say(f"  {topic.name}: {len(compactions(topic.table))} compactions")

    # on demand: nothing is left to merge
    for topic in topics:
        expect(post(service, f"/topics/{topic.name}/compact") == 202, "POST compact was refused")
        rig.wait_until(lambda t=topic: metric(service, "delta_files", t.name) == 0, 60, "no delta files left")
    # after the retention's age the files of merged slices go, and their commits
    rig.wait_until(lambda: all(metric(service, "cleaned_files_total", t.name) > 0 for t in topics), 200, "files removed")
    service.stop()
    for topic in topics:
        moraine("compact", topic.table, "--all")
        time.sleep(1.5)
        say("  " + moraine("clean", topic.table, "--retain", "1s", "--min-snapshots", "1").replace("\n", "; "))
        bases = sum(1 for p in topic.table.rglob("*.parquet"))
        groups = json.loads(moraine("describe", topic.table, "--output", "json"))["file_groups"]
        expect(bases == groups, f"{topic.name}: {bases} base files for {groups} file groups")
    checks.thorough(scenario, [topic.for_thorough() for topic in topics])
    # the version that was kept is gone now, and that is said
    gone = subprocess.run([str(BINARY), "scan", str(six.table), "--version", kept["six"], "--output", "count"],
                          capture_output=True, text=True)
    expect(gone.returncode == 1 and kept["six"] in gone.stderr, f"a version that is gone: {gone.stderr}")
    say(f"  {gone.stderr.strip()}")
