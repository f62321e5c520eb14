"""Snapshots and incremental queries while file groups are merged and old files removed. The merging is held at
work, while the service goes on writing, and where its plan and its new files are there and the completed instant is not; the
cleaning where it is decided and nothing is removed yet. In each of these every reader sees the model at a commit, and every row
that `moraine scan --changes-since` gives with the commit that wrote it."""

import json
import pathlib
import signal
import subprocess
import time

import hudi_timeline
import readers
from broker import Broker
from order_scenario import OrderTopic
from pyarrow import parquet
from rig import BINARY, CACHE, VERSIONS, Scenario, expect, say, wait_until
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


def ask(scenario, session, table, since):
    """{key: [commit, sequence]} of Spark's incremental query, and all rows."""
    target, folder = (scenario.folder / f"{what}-{next(readers.COUNTER)}" for what in ("incremental", "snapshot"))
    session.ask("=".join(map(str, (table, begin_of(table, since), target, folder))))
    return json.loads(target.read_text()), parquet.read_table(folder)


def changes(table, version, until):
    """{change: {key: [commit, sequence]}} of our own."""
    found = {"insert": {}, "update": {}, "delete": {}}
    for line in moraine("scan", table, "--changes-since", version, "--version", until, "--columns", ",".join(COLUMNS)).splitlines():
        row = json.loads(line)
        found[row["_change"]][row[COLUMNS[0]]] = [row[COLUMNS[1]], row[COLUMNS[2]]]
    return found


def look(scenario, sessions, topics, since, until):
    """All rows, of every reader, are the model's at a commit, and what we say of those between two commits, which is returned, is
    what Spark's queries say, by the same commit or a later one. (They merge only what the commits since then wrote, and so also give
    late records that lost against older ones.)"""
    seen = {}
    for topic in topics:
        table = topic.table
        seen[table] = ours = changes(table, since[table], until[table])
        expect(ours["insert"] and ours["update"] and ours["delete"], f"{table.name}: {[len(v) for v in ours.values()]} changes")
        topic.compare_while_running(lambda: readers.hudi_rs(scenario, table), "hudi-rs", topic.derived)
        topic.compare_while_running(lambda: readers.moraine(scenario, table, topic.model().schema), "scan")
        for bundle in BUNDLES[hudi_timeline.table_version(table)]:
            before = hudi_timeline.progress(table)
            commits, rows = ask(scenario, sessions[bundle], table, since[table])
            topic.compare_seen(before, rows, f"Hudi {VERSIONS[bundle]}", topic.derived)
            ours = seen[table]["insert"] | seen[table]["update"]
            # what was deleted since, though it may have come back after the query, can be in none
            gone = topic.deleted_since(hudi_timeline.offsets(table, until[table]))
            differ = [k for k, commit in ours.items() if k not in gone and
                      (k not in commits or commits[k] != commit and commits[k][0] <= until[table])]
            expect(not differ, f"{table.name}: of {len(ours)} rows since {since[table]} Hudi {VERSIONS[bundle]} has {len(differ)} "
                   f"not, or by another commit: {[(k, ours[k], commits.get(k)) for k in differ[:3]]}")
            say(f"  {table.name}: Hudi {VERSIONS[bundle]} has {rows.num_rows} rows; of {len(commits)} new ones all {len(ours)} of ours with "
                "the commits that wrote them")
    return seen


class Held:
    """`moraine` at work on a table, stopped where it passes a failpoint until it is told to go on."""

    def __init__(self, scenario, points, command, topic, *options):
        self.name = f"{command} of {topic.name}"
        self.process = scenario.process(f"{command}-{topic.name}", [BINARY, command, topic.table, *options],
                                        env={"MORAINE_FAILPOINTS": ";".join(f"{point}=stop@1" for point in points)})
        self.wait()

    def wait(self):
        def is_stopped():
            self.process.expect_running()
            return pathlib.Path(f"/proc/{self.process.child.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        wait_until(is_stopped, 60, f"{self.name} to come to its failpoint", pause=0.05)

    def go_on(self, ends=False):
        self.process.child.send_signal(signal.SIGCONT)
        if ends:
            expect(self.process.child.wait(60) == 0, f"{self.name} failed")
        else:
            self.wait()


def pending(table):
    """Instants of compactions and cleanings that are announced and not completed."""
    root = table / ".hoodie" / ("timeline" if hudi_timeline.table_version(table) >= 8 else "")
    names = {path.name for path in root.iterdir()}
    begun = {(n.split(".")[0], n.split(".")[1]) for n in names if n.endswith(".inflight")}
    done = {(n.split(".")[0].split("_")[0], n.split(".")[1]) for n in names if n.count(".") == 1}
    ends = {"compaction": "commit"}
    return [(instant, action) for instant, action in begun if (instant, ends.get(action, action)) not in done]


with Scenario("incremental") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    options = {"commit": {"interval": "500ms", "max_rows": 3000}, "compaction": {"mode": "off"}}
    topics = [OrderTopic(scenario, broker, service, name, 80_000, table_version=version, seed=version, **options)
              for name, version in (("six", 6), ("nine", 9))]
    for topic in topics:
        topic.produce(15_000)
    service.start()
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
        moraine("compact", topic.table, "--all")  # what is merged here is cleaned in the end
        topic.produce(20_000)
        service.wait_for(topic.table, topic.offsets(), 120)
    since = {t.table: hudi_timeline.progress(t.table)[-1][0] for t in topics}
    for topic in topics:
        topic.produce(60_000)
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
    until = {t.table: hudi_timeline.progress(t.table)[-1][0] for t in topics}

    sessions = {bundle: readers.LineSession(scenario, f"Spark with Hudi {VERSIONS[bundle]}", "read_incremental.py",
                                            [CACHE / "jars" / f"hudi-spark3.5-bundle_2.12-{VERSIONS[bundle]}.jar"]) for bundle in BUNDLES[6]}
    say("file groups are being merged, nothing is published, and orders arrive")
    merging = [Held(scenario, ("maintain.merged", "hudi.announced"), "compact", topic, "--all", "--threads", "1") for topic in topics]
    producers = [topic.produce_slowly(400, 70_000) for topic in topics]
    before = look(scenario, sessions, topics, since, until)
    for producer in producers:
        expect(producer.child.wait(120) == 0, "a producer failed")
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)

    say("the compaction is inflight, its files are there")
    service.process.child.send_signal(signal.SIGSTOP)  # or its next commit would complete what was decided
    for held, topic in zip(merging, topics):
        held.go_on()
        expect([action for _, action in pending(topic.table)] == ["compaction"], f"{topic.name}: pending are {pending(topic.table)}")
    expect(look(scenario, sessions, topics, since, until) == before, "a compaction that is inflight changed what is new")
    service.process.child.send_signal(signal.SIGCONT)
    for held in merging:
        held.go_on(ends=True)

    say("a cleaning is decided, nothing is removed yet, and orders arrive")
    # what is older than a second goes, but for the commits since then
    time.sleep(1.5)
    cleaning = []
    for topic in topics:
        kept = sum(1 for i, *_ in hudi_timeline.commits(topic.table) if i >= since[topic.table])
        cleaning.append(Held(scenario, ("hudi.renamed",), "clean", topic, "--retain", "1s", "--min-snapshots", kept))
    producers = [topic.produce_slowly(1000) for topic in topics]
    for topic in topics:
        expect(changes(topic.table, since[topic.table], until[topic.table]) == before[topic.table],
               f"{topic.name}: changes differ while files are removed")
        topic.compare_while_running(lambda t=topic: readers.hudi_rs(scenario, t.table), "hudi-rs", topic.derived)
    for held in cleaning:
        held.go_on(ends=True)
        say("  " + held.process.log.read_text().strip().replace("\n", "; "))
    for producer in producers:
        expect(producer.child.wait(120) == 0, "a producer failed")
    for topic in topics:
        service.wait_for(topic.table, topic.offsets(), 120)
    expect(look(scenario, sessions, topics, since, until) == before, "merging and cleaning changed what is new")
    service.stop()
    for topic in topics:
        topic.check_quick()
