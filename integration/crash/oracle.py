"""The verdict over one table: how many records were lost, how many rows or records are there too often.

The model is what was sent (workload.py). lost: rows of the model that a reader does not find or finds with other values,
records in no range of the ledger. doubled: rows that a reader finds twice or that should not be there, records in the
ranges of two commits. Several readers of one table: the worst of them counts.
"""

import json
import pathlib
import subprocess

import confluent_kafka
import duckdb
import pyarrow.compute
import readers
import rig
import workload
from compare import canonical, compare
from rig import VERSIONS, Failure

NOT_OUTCOMES = ("read", "gap")
BRINGING_ROWS = ("upsert", "insert", "append", "overwrite", "delete")


class Verdict:
    def __init__(self, name):
        self.name, self.lost, self.doubled, self.notes = name, 0, 0, []

    def worst(self, lost, doubled):
        self.lost, self.doubled = max(self.lost, lost), max(self.doubled, doubled)

    def add(self, note, lost=0, doubled=0):
        self.worst(lost, doubled)
        self.notes.append(f"{self.name}: {note}")

    @property
    def good(self):
        return not self.notes and self.lost == 0 and self.doubled == 0


def difference(model, found, identity, ignore=()):
    """(lost, doubled) of a reader's rows against the model's."""
    left, right = canonical(model, ignore), canonical(found, ignore)
    db = duckdb.connect()
    db.register("l", left)
    db.register("r", right)
    keys = ", ".join(f'"{k}"' for k in identity)
    same = " and ".join(f'l."{k}" is not distinct from r."{k}"' for k in identity)
    others = [c for c in left.column_names if c in right.column_names and c not in identity]
    differs = " or ".join(f'l."{c}" is distinct from r."{c}"' for c in others) or "false"
    number = lambda query: db.sql(query).fetchone()[0] or 0
    missing = number(f"select count(*) from l where not exists (select 1 from r where {same})")
    changed = number(f"select count(*) from l join (select distinct on ({keys}) * from r) r on {same} where {differs}")
    repeated = number(f"select sum(n - 1) from (select count(*) n from r group by {keys})")
    unknown = number(f"select count(*) from (select distinct {keys} from r) r where not exists (select 1 from l where {same})")
    return missing + changed, repeated + unknown


def derived_columns(topic, model):
    """The model with the column that the table has for its partitioning and `moraine scan` does not show."""
    if topic.log.table_options["partition_by"] and not topic.is_iceberg:
        day = pyarrow.compute.strftime(model.column("created_at"), "%Y-%m-%d")
        return model.append_column("created_at_day", day)
    return model


def check_rows(verdict, reader, model, found, identity):
    if model.num_rows and not set(model.column_names) <= set(found.column_names):
        verdict.add(f"{reader}: columns {found.column_names}", lost=model.num_rows)
        return
    try:
        compare(f"{reader} on {verdict.name}", model, found, identity)
    except Failure as failure:
        lost, doubled = difference(model, found, identity)
        verdict.add(str(failure), max(lost, int(doubled == 0)), doubled)


def check_scan(verdict, scenario, topic, model):
    found = readers.moraine(scenario, topic.table, model.schema)
    check_rows(verdict, "moraine scan", model, found, topic.log.identity)
    scan = lambda output: subprocess.run([str(rig.BINARY), "scan", str(topic.table), "--output", output],
                                         capture_output=True, check=True, timeout=300).stdout
    lines = scan("json").splitlines(keepends=True)
    digest = sum(workload.hash128(line, 0) for line in lines) % (1 << 128)
    if scan("digest").split() != [f"{digest:032x}".encode(), str(len(lines)).encode()]:
        verdict.add("scan: the digest is not that of the rows", lost=1)


def letters_in_files(topic, instances):
    found = []
    for instance in instances:
        path = pathlib.Path(instance.service.settings["state_dir"]) / "dead_letters" / f"{topic.name}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            letter = json.loads(line)
            found.append((letter["partition"], letter["offset"]))
    return found


def letters_in_topic(broker, topic):
    """The coordinates in the headers of the letters, to the end of the topic as it is now."""
    found = []
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": "oracle"})
    partition = confluent_kafka.TopicPartition(topic.letter_topic, 0, 0)
    _, end = consumer.get_watermark_offsets(partition, timeout=30)
    consumer.assign([partition])
    at = 0
    while at < end:
        message = consumer.poll(30)
        if message is None or message.error():
            raise Failure(f"{topic.letter_topic}: {message.error() if message else 'no answer'}")
        at = message.offset() + 1
        headers = dict(message.headers() or [])
        found.append((int(headers["moraine.partition"]), int(headers["moraine.offset"])))
    consumer.close()
    return found


def letters_in_table(verdict, topic):
    """The letters; those that were sent again and landed must be what can land, and all of it."""
    if not topic.letters.exists():
        return []
    status, output, errors = rig.run_moraine("scan", topic.letters, "--columns", "partition,offset,stage", "--output", "json")
    if status != 0:
        raise Failure(f"scan of dead letters: {errors}")
    rows = [json.loads(line) for line in output.splitlines()]
    at = lambda stages: [(row["partition"], row["offset"]) for row in rows if row["stage"] in stages]
    letters, landed = at(("decode", "key", "event_time", "late")), set(at(("redriven",)))
    waiting = set(at(("late",))) - landed
    wrong = landed - set(at(("late",)))
    if waiting or wrong:
        verdict.add(f"dead letters sent again: {len(waiting)} still wait {sorted(waiting)[:3]}, {len(wrong)} cannot have landed "
                    f"{sorted(wrong)[:3]}", len(waiting), len(wrong))
    return letters


def check_dead_letters(verdict, broker, topic, instances):
    """Every broken record is kept. In a table once; in the files of the instances once if there is one, with several a line
    may be there whose commit was another's; in a topic a letter may come twice."""
    expected = {(partition, offset) for partition, offset, kind, *_ in topic.log.log if kind == "x"}
    possible = expected | {(partition, offset) for partition, offset, kind, *_ in topic.log.log if kind == "l"}
    if topic.letters:
        found = letters_in_table(verdict, topic)
    else:
        found = letters_in_topic(broker, topic) if topic.letter_topic else letters_in_files(topic, instances)
    missing, repeated, foreign = expected - set(found), len(found) - len(set(found)), set(found) - possible
    once = topic.letters or (not topic.letter_topic and len(instances) == 1)
    if missing or foreign or (repeated and once):
        verdict.add(f"dead letters: {len(missing)} missing {sorted(missing)[:3]}, {repeated} twice, {len(foreign)} not broken "
                    f"{sorted(foreign)[:3]}", len(missing), repeated + len(foreign))
    return len(set(found))


def check_verify(verdict, scenario, topic, config):
    """`moraine verify` finds nothing wrong, Kafka's records included."""
    status, output, errors = rig.run_moraine("verify", topic.table, "--config", config, "--topic", topic.name)
    if status != 0:
        verdict.add(f"moraine verify: status {status}: {errors[-300:]} {output[-1500:]}", lost=1)


def check_with_others(verdict, scenario, topic, model):
    if topic.is_iceberg:
        for reader in ("pyiceberg", "duckdb"):
            found = readers.iceberg(scenario, reader, topic.table, model.schema)
            check_rows(verdict, readers.iceberg_name(reader), model, found, topic.log.identity)
        return
    found = readers.hudi_rs(scenario, topic.table)
    check_rows(verdict, f"hudi-rs {VERSIONS['HUDI_RS']}", derived_columns(topic, model), found, topic.log.identity)


def check_now(scenario, broker, topic, instances, config):
    """The verdict that needs no Spark: ledger, dead letters, moraine scan, readers that start fast. Returns it with the model."""
    verdict = Verdict(topic.name)
    model = topic.log.model()
    try:
        letters = check_dead_letters(verdict, broker, topic, instances)
        check_ledger(verdict, topic, letters)
        check_verify(verdict, scenario, topic, config)
        check_scan(verdict, scenario, topic, model)
        check_with_others(verdict, scenario, topic, model)
    except (Failure, subprocess.CalledProcessError, ValueError) as failure:
        verdict.add(f"cannot be read: {failure}", lost=model.num_rows)
    return verdict, model


def check_with_spark(scenario, checked):
    """Spark over [(topic, model, verdict)]; adds to the verdicts."""
    groups = [(f"Spark with Hudi {VERSIONS[bundle]}", lambda tables, bundle=bundle: readers.spark(scenario, VERSIONS[bundle], tables),
               [one for one in checked if one[0].version == version])
              for version, bundle in ((6, "HUDI_BUNDLE_OLD"), (9, "HUDI_BUNDLE_NEW"))]
    groups.append((readers.spark_iceberg_name("main"), lambda tables: readers.spark_iceberg(scenario, tables),
                   [one for one in checked if one[0].is_iceberg]))
    for reader, read, chosen in groups:
        if not chosen:
            continue
        try:
            results = read([topic.table for topic, _, _ in chosen])
        except Failure as failure:
            chosen[0][2].add(str(failure), lost=sum(model.num_rows for _, model, _ in chosen))
            continue
        for (topic, model, verdict), found in zip(chosen, results):
            check_rows(verdict, reader, derived_columns(topic, model), found, topic.log.identity)


# ---- the ledger -----------------------------------------------------------------------------------


def check_history(verdict, topic, ledgers):
    """`moraine history` tells the commits that were seen to appear, the newest among them, and all of them before any was
    archived; of the older ones those stay that files name. What rewrites files carries the ledger of the commit before it."""
    status, output, errors = rig.run_moraine("history", topic.table, "--output", "json")
    if status != 0:
        raise Failure(f"moraine history: {errors}")
    told = [commit["moraine"]["batch"] for commit in json.loads(output)
            if commit.get("moraine", {}).get("ranges") and commit["operation"] in BRINGING_ROWS]
    seen = [ledger["batch"] for ledger in ledgers]
    # an Iceberg table forgets a snapshot together with its files
    archived = topic.is_iceberg or (topic.table / ".hoodie/moraine/archived").exists()
    unknown, missing = set(told) - set(seen), set(seen if not archived else seen[-1:]) - set(told)
    if len(set(told)) != len(told) or unknown or missing:
        verdict.add(f"history tells {len(told)} commits, {len(seen)} were seen; not seen: {sorted(unknown)[:3]}, "
                    f"not told: {sorted(missing)[:3]}", lost=len(missing), doubled=len(unknown))


def check_tiling(verdict, topic, ledgers):
    """Every offset that was sent is in exactly one range, and nothing else is."""
    lost = doubled = 0
    for partition, sent in topic.log.offsets().items():
        ranges = sorted(ledger["ranges"][str(partition)] for ledger in ledgers if str(partition) in ledger["ranges"])
        reached = 0
        for start, end in ranges:
            lost += max(0, start - reached)
            doubled += max(0, min(reached, end) - start)
            reached = max(reached, end)
        lost += max(0, sent - reached)
        doubled += max(0, reached - sent)
    if lost or doubled:
        verdict.add(f"the ledger's ranges: {lost} records in none, {doubled} in two or never sent", lost, doubled)


def check_digests(verdict, topic, ledgers):
    for ledger in ledgers:
        for partition, (start, end) in ledger["ranges"].items():
            stated = ledger["digest"].get(partition)
            if start < end and end < len(topic.log.digests[int(partition)]):
                sent = topic.log.digest(int(partition), start, end)
                if stated != f"{sent:032x}":
                    verdict.add(f"partition {partition} [{start}, {end}): digest {stated}, of what was sent {sent:032x}", lost=1)


def check_outcomes(verdict, topic, ledgers, letters):
    totals = {}
    for ledger in ledgers:
        rows = ledger["rows"]
        ranges = sum(end - start for start, end in ledger["ranges"].values())
        if rows["read"] + rows["gap"] != ranges or sum(v for k, v in rows.items() if k not in NOT_OUTCOMES) != rows["read"]:
            verdict.add(f"a commit's sums do not close: {rows} for {ranges} offsets", lost=1)
        for outcome, count in rows.items():
            totals[outcome] = totals.get(outcome, 0) + count
    expected = {"read": len(topic.log.log), "dead": letters, "gap": 0,
                "duplicate": topic.log.duplicates() if topic.log.dedup else 0}
    for outcome, count in expected.items():
        found = totals.get(outcome, 0)
        if found != count:
            verdict.add(f"outcome {outcome}: {found}, expected {count}", max(0, count - found), max(0, found - count))


def check_ledger(verdict, topic, letters):
    topic.timeline.poll()
    ledgers = topic.timeline.ledgers
    check_history(verdict, topic, ledgers)
    check_tiling(verdict, topic, ledgers)
    check_digests(verdict, topic, ledgers)
    check_outcomes(verdict, topic, ledgers, letters)
    if topic.timeline.unreadable:
        verdict.add(f"commits that cannot be read: {topic.timeline.unreadable}", lost=len(topic.timeline.unreadable))
    if topic.timeline.doubled:
        verdict.add("two commits covered the same records while it ran", doubled=topic.timeline.doubled)
