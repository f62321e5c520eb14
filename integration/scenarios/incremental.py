"""Incremental queries of Spark have every row that `moraine scan --changes-since` gives, with the commit that wrote it, before and
after file groups were merged and old files were removed; ours stay the same, also while orders arrive."""

import json
import subprocess
import time

import hudi_timeline
import readers
from broker import Broker
from order_scenario import OrderTopic
from rig import BINARY, CACHE, VERSIONS, Scenario, expect, say
from service import Service

BUNDLES = {6: ("HUDI_BUNDLE_OLD", "HUDI_BUNDLE_NEW"), 9: ("HUDI_BUNDLE_NEW",)}
COLUMNS = ("_hoodie_record_key", "_hoodie_commit_time", "_hoodie_commit_seqno")


def moraine(*args):
    result = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=300)
    expect(result.returncode == 0, f"moraine {args[0]}: status {result.returncode}: {result.stderr}")
    return result.stdout


def begin_of(table, instant):
    """Where a reader begins after the instant: version 9 counts by completion."""
    if hudi_timeline.table_version(table) < 8:
        return instant
    return next((table / ".hoodie/timeline").glob(f"{instant}_*.deltacommit")).name.split("_")[1].split(".")[0]


def spark(scenario, bundle, tables, since):
    """{table: {key: [commit, sequence]}} of an incremental query."""
    jar = CACHE / "jars" / f"hudi-spark3.5-bundle_2.12-{VERSIONS[bundle]}.jar"
    targets = {t: scenario.folder / f"incremental-{next(readers.COUNTER)}.json" for t in tables}
    readers.run_reader(f"Spark with Hudi {VERSIONS[bundle]}, incremental,", "main", "read_incremental.py",
                       [jar, *(f"{t}={begin_of(t, since[t])}={path}" for t, path in targets.items())])
    return {t: json.loads(path.read_text()) for t, path in targets.items()}


def changes(table, version, until):
    """{change: {key: [commit, sequence]}} of our own."""
    found = {"insert": {}, "update": {}, "delete": {}}
    for line in moraine("scan", table, "--changes-since", version, "--version", until, "--columns", ",".join(COLUMNS)).splitlines():
        row = json.loads(line)
        found[row["_change"]][row[COLUMNS[0]]] = [row[COLUMNS[1]], row[COLUMNS[2]]]
    return found


def look(scenario, topics, since, until):
    """What we say of the rows since a commit. Spark's queries must have each of them, with the same commit. (They merge only what
    the commits since then wrote, and so also give late records that lost against older ones.)"""
    seen = {}
    for topic in topics:
        table = topic.table
        seen[table] = ours = changes(table, since[table], until[table])
        expect(ours["insert"] and ours["update"] and ours["delete"], f"{table.name}: {[len(v) for v in ours.values()]} changes")
    for bundle in ("HUDI_BUNDLE_OLD", "HUDI_BUNDLE_NEW"):
        tables = [t.table for t in topics if bundle in BUNDLES[hudi_timeline.table_version(t.table)]]
        for table, rows in spark(scenario, bundle, tables, since).items():
            ours = seen[table]["insert"] | seen[table]["update"]
            differ = [key for key, commit in ours.items() if rows.get(key) != commit]
            expect(not differ, f"{table.name}: of {len(ours)} rows since {since[table]} Hudi {VERSIONS[bundle]} has {len(differ)} "
                   f"not, or by another commit: {[(k, ours[k], rows.get(k)) for k in differ[:3]]}")
            say(f"  {table.name}: Hudi {VERSIONS[bundle]} has all {len(ours)} rows with the commits that wrote them, "
                f"{len(rows) - len(ours)} more")
    return seen


with Scenario("incremental") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    options = {"commit": {"interval": "500ms", "max_rows": 3000}, "compaction": {"mode": "off"}}
    topics = [OrderTopic(scenario, broker, service, name, 60_000, table_version=version, seed=version, **options)
              for name, version in (("six", 6), ("nine", 9))]
    for topic in topics:
        topic.produce(20_000)
    service.start()
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
    since = {t.table: hudi_timeline.progress(t.table)[-1][0] for t in topics}
    for topic in topics:
        topic.produce(40_000)
        service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    until = {t.table: hudi_timeline.progress(t.table)[-1][0] for t in topics}
    before = look(scenario, topics, since, until)
    for topic in topics:
        moraine("compact", topic.table, "--all")
    # what is older than a second goes, but for the commits since then
    time.sleep(1.5)
    for topic in topics:
        kept = sum(1 for i, *_ in hudi_timeline.commits(topic.table) if i >= since[topic.table])
        say("  " + moraine("clean", topic.table, "--retain", "1s", "--min-snapshots", kept).replace("\n", "; "))
    expect(look(scenario, topics, since, until) == before, "merging and cleaning changed what is new")
    # with writers on top of the merged files
    service.start()
    producers = [topic.produce_slowly(1000) for topic in topics]
    for topic in topics:
        expect(changes(topic.table, since[topic.table], until[topic.table]) == before[topic.table],
               f"{topic.name}: changes differ while orders arrive")
    for producer in producers:
        expect(producer.child.wait(120) == 0, "a producer failed")
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
    service.stop()
    for topic in topics:
        topic.check_quick()
