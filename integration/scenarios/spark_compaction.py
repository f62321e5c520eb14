"""Spark compacts tables of versions 6 and 9 while orders arrive (`compaction: external`). Nothing is lost, doubled or overtaken
by an older record: in version 6 a log belongs to the slice that its name says, so a commit that lands between the moment when
Spark lists the logs and the moment when its plan appears is in neither slice; the next commit mends that."""

import subprocess

import checks
import hudi_timeline
from broker import Broker
from order_scenario import OrderTopic
from rig import CACHE, HERE, VERSIONS, Scenario, expect, say
from service import Service, check_ledger


def compact(table, bundle):
    jar = CACHE / "jars" / f"hudi-spark3.5-bundle_2.12-{bundle}.jar"
    script = [CACHE / "venv-main/bin/python", HERE / "lib/spark_compact.py", jar, table, hudi_timeline.table_version(table)]
    result = subprocess.run([str(a) for a in script], capture_output=True, text=True, timeout=300)
    answers = [line for line in result.stdout.splitlines() if line.startswith(("schedule", "run"))]
    say(f"  Hudi {bundle} on {table.name}: {'; '.join(answers)[:400]}")
    causes = [line for line in result.stderr.splitlines() if "Exception" in line]
    expect(result.returncode == 0, f"compaction of {table.name} with Hudi {bundle} failed:\n" + "\n".join(causes[-5:]))
    compactions = [i for i, action, _ in hudi_timeline.commits(table) if action == "commit"]
    expect(compactions, f"{table.name}: no compaction on the timeline")


with Scenario("spark-compaction") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    options = {"commit": {"interval": "3s"}, "compaction": {"mode": "external"}}
    topics = {"HUDI_BUNDLE_OLD": OrderTopic(scenario, broker, service, "six", 150_000, table_version=6, seed=4, **options),
              "HUDI_BUNDLE_NEW": OrderTopic(scenario, broker, service, "nine", 150_000, table_version=9, seed=5, **options)}
    for topic in topics.values():
        topic.produce(60_000)
    service.start()
    for topic in topics.values():
        service.wait_for(topic.table, topic.offsets(), 60)
    for bundle, topic in topics.items():
        producer = topic.produce_slowly(1500)
        compact(topic.table, VERSIONS[bundle])
        expect(producer.child.wait(120) == 0, "the producer failed")
        service.wait_for(topic.table, topic.offsets(), 60)
    service.stop()
    for topic in topics.values():
        check_ledger(topic.table, len(topic.orders.log), dead=topic.orders.count("x"))
    checks.thorough(scenario, [topic.for_thorough() for topic in topics.values()])
