"""The verdict over one table: how many records were lost, how many rows or records are there too often.

The model is what was sent (workload.py). lost: rows of the model that a reader does not find or finds with other values,
records in no range of the ledger. doubled: rows that a reader finds twice or that should not be there, records in the
ranges of two commits. Several readers of one table: the worst of them counts.
"""

import json
import pathlib
import subprocess

import duckdb
import pyarrow.compute
import readers
import rig
import workload
from compare import canonical, compare
from rig import VERSIONS, Failure

NOT_OUTCOMES = ("read", "gap")


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
    if topic.log.table_options["partition_by"]:
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


def check_dead_letters(verdict, topic, instances):
    """Every broken record is in the file of an instance; with one instance once. With several a line may be there whose
    commit was another's."""
    expected = {(partition, offset) for partition, offset, kind, *_ in topic.log.log if kind == "x"}
    found = []
    for instance in instances:
        path = pathlib.Path(instance.service.settings["state_dir"]) / "dead_letters" / f"{topic.name}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            letter = json.loads(line)
            found.append((letter["partition"], letter["offset"]))
    missing, repeated, foreign = expected - set(found), len(found) - len(set(found)), set(found) - expected
    if missing or foreign or (repeated and len(instances) == 1):
        verdict.add(f"dead letters: {len(missing)} missing {sorted(missing)[:3]}, {repeated} twice, {len(foreign)} not broken "
                    f"{sorted(foreign)[:3]}", len(missing), repeated + len(foreign))


def check_now(scenario, topic, instances):
    """The verdict that needs no Spark: ledger, dead letters, moraine scan, hudi-rs. Returns it with the model."""
    verdict = Verdict(topic.name)
    model = topic.log.model()
    try:
        check_ledger(verdict, topic)
        check_dead_letters(verdict, topic, instances)
        check_scan(verdict, scenario, topic, model)
        found = readers.hudi_rs(scenario, topic.table)
        check_rows(verdict, f"hudi-rs {VERSIONS['HUDI_RS']}", derived_columns(topic, model), found, topic.log.identity)
    except (Failure, subprocess.CalledProcessError, ValueError) as failure:
        verdict.add(f"cannot be read: {failure}", lost=model.num_rows)
    return verdict, model


def check_with_spark(scenario, checked):
    """Spark over [(topic, model, verdict)]; adds to the verdicts."""
    for version, bundle in ((6, VERSIONS["HUDI_BUNDLE_OLD"]), (9, VERSIONS["HUDI_BUNDLE_NEW"])):
        chosen = [one for one in checked if one[0].version == version]
        if not chosen:
            continue
        try:
            results = readers.spark(scenario, bundle, [topic.table for topic, _, _ in chosen])
        except Failure as failure:
            chosen[0][2].add(str(failure), lost=sum(model.num_rows for _, model, _ in chosen))
            continue
        for (topic, model, verdict), found in zip(chosen, results):
            check_rows(verdict, f"Spark with Hudi {bundle}", derived_columns(topic, model), found, topic.log.identity)


# ---- the ledger -----------------------------------------------------------------------------------


def check_history(verdict, topic, ledgers):
    """`moraine history` tells the commits that were seen to appear, but for the oldest, which may be archived. What rewrites
    files carries the ledger of the commit before it."""
    status, output, errors = rig.run_moraine("history", topic.table, "--output", "json")
    if status != 0:
        raise Failure(f"moraine history: {errors}")
    told = [commit["moraine"]["batch"] for commit in json.loads(output)
            if commit.get("moraine", {}).get("ranges") and commit["operation"] in ("upsert", "insert")]
    seen = [ledger["batch"] for ledger in ledgers]
    if sorted(told) != sorted(seen[len(seen) - len(told):]):
        verdict.add(f"history tells {len(told)} commits, {len(seen)} were seen; not seen: {sorted(set(told) - set(seen))[:3]}, "
                    f"not told: {sorted(set(seen) - set(told))[:3]}", lost=len(set(seen) - set(told)),
                    doubled=len(set(told) - set(seen)))


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


def check_outcomes(verdict, topic, ledgers):
    totals = {}
    for ledger in ledgers:
        rows = ledger["rows"]
        ranges = sum(end - start for start, end in ledger["ranges"].values())
        if rows["read"] + rows["gap"] != ranges or sum(v for k, v in rows.items() if k not in NOT_OUTCOMES) != rows["read"]:
            verdict.add(f"a commit's sums do not close: {rows} for {ranges} offsets", lost=1)
        for outcome, count in rows.items():
            totals[outcome] = totals.get(outcome, 0) + count
    expected = {"read": len(topic.log.log), "dead": topic.log.count("x"), "gap": 0,
                "duplicate": topic.log.duplicates() if topic.log.dedup else 0}
    for outcome, count in expected.items():
        found = totals.get(outcome, 0)
        if found != count:
            verdict.add(f"outcome {outcome}: {found}, expected {count}", max(0, count - found), max(0, found - count))


def check_ledger(verdict, topic):
    topic.timeline.poll()
    ledgers = topic.timeline.ledgers
    check_history(verdict, topic, ledgers)
    check_tiling(verdict, topic, ledgers)
    check_digests(verdict, topic, ledgers)
    check_outcomes(verdict, topic, ledgers)
    if topic.timeline.unreadable:
        verdict.add(f"commits that cannot be read: {topic.timeline.unreadable}", lost=len(topic.timeline.unreadable))
    if topic.timeline.doubled:
        verdict.add("two commits covered the same records while it ran", doubled=topic.timeline.doubled)
