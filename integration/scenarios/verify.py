"""`moraine verify` on tables that came from a real Kafka: right while records arrive and afterwards, compared with
every record that Kafka still has; then one damage after the other, each on a copy, each found."""

import json
import shutil
import struct

import hudi_timeline
import verifying
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service

PARTITIONS, MOVES, ORDERS = 3, 60_000, 30_000
STILL = {"compaction": {"mode": "off"}}  # a damaged file must be one that readers need; `instances` looks beside compaction


def last_commit(table):
    return max((table / ".hoodie").glob("*.deltacommit"))


def edit_ledger(table, change):
    """Changes the ledger of the newest commit (a commit of table version 6 is JSON, and so is the ledger in it)."""
    path = last_commit(table)
    commit = json.loads(path.read_text())
    ledger = json.loads(commit["extraMetadata"]["moraine"])
    change(ledger)
    commit["extraMetadata"]["moraine"] = json.dumps(ledger)
    path.write_text(json.dumps(commit))


def largest(table, pattern):
    return max(table.rglob(pattern), key=lambda p: p.stat().st_size)


with Scenario("verify") as scenario:
    broker = Broker(scenario)
    service = Service(scenario, broker)
    orders = OrderTopic(scenario, broker, service, "orders", ORDERS, table_version=6, partitions=PARTITIONS, seed=5, **STILL)
    newer = OrderTopic(scenario, broker, service, "newer", ORDERS, table_version=9, partitions=PARTITIONS, seed=6, **STILL)
    broker.create_topic("moves", PARTITIONS)
    moves = service.topic("moves", {"fields": [{"name": "n", "type": "long", "nullable": False},
                                               {"name": "text", "type": "string"}]}, {"format": "json"}, **STILL)

    def frames():
        for n in range(MOVES):
            value = b'{"n":%d,"text":"move %d"}' % (n, n)
            yield struct.pack("<iqii", n % PARTITIONS, -1, -1, len(value)) + value

    broker.produce("moves", frames(), transaction=900)
    ends = {p: int(broker.admin("watermarks", "moves", p).split()[1]) for p in range(PARTITIONS)}
    orders.produce(ORDERS // 3)
    newer.produce(ORDERS // 3)
    service.start()
    service.wait_for(orders.table, orders.offsets(), 90)
    service.wait_for(newer.table, newer.offsets(), 90)
    producers = [orders.produce_slowly(2000), newer.produce_slowly(2000)]

    say("while records arrive: a commit that lands meanwhile is no finding")
    rounds, before = 0, hudi_timeline.offsets(orders.table)
    while any(producer.running for producer in producers):
        for topic in (orders, newer):
            verifying.expect_right(topic.table, service, topic.name, " during ingestion")
            rounds += 1
    expect(rounds >= 4, f"only {rounds} looks while records arrived")
    service.wait_for(orders.table, orders.offsets(), 90)
    service.wait_for(newer.table, newer.offsets(), 90)
    service.wait_for(moves, ends, 90)
    expect(hudi_timeline.offsets(orders.table) != before, "nothing was committed while verify looked")
    service.stop()

    say("afterwards: every record of Kafka is compared")
    for table, name, sent, offsets in ((orders.table, "orders", ORDERS, ORDERS), (newer.table, "newer", ORDERS, ORDERS),
                                       (moves, "moves", MOVES - MOVES // 900 // 3 * 900, sum(ends.values()))):
        report = verifying.expect_right(table, service, name)
        found = verifying.numbers(report, "kafka")
        expect(found["records"] == sent, f"{name}: {found} of Kafka were compared, {sent} records were sent")
        expect(verifying.numbers(report, "ledger")["offsets"] == offsets, f"{name}: {report['checks'][0]}")
    rows = verifying.numbers(verifying.verify(moves), "rows")["rows"]
    expect(rows == hudi_timeline.row_totals(moves)["inserted"], f"{rows} rows of moves were looked at")

    say("damaged copies")

    def damaged(table, damage, kind, words="", **kafka):
        copy = scenario.folder / "damaged" / table.name
        shutil.copytree(table, copy)
        said = damage(copy)
        verifying.expect_finding(copy, kind, words or said or "", **kafka)
        shutil.rmtree(copy)

    def drop(pattern):
        def damage(table):
            victim = largest(table, pattern)
            victim.unlink()
            return victim.name
        return damage

    def flip(pattern):
        def damage(table):
            victim = largest(table, pattern)
            data = bytearray(victim.read_bytes())
            for i in range(len(data) // 3, len(data) // 3 + 32):
                data[i] ^= 0x5A
            victim.write_bytes(data)
            return victim.name
        return damage

    def double_log(table):
        log = largest(table, ".*.log.*")
        name, rest = log.name.split(".log.")
        copy = log.with_name(f"{name}.log.9{rest}")
        shutil.copy(log, copy)
        return copy.name

    def double_base(table):
        base = largest(table, "*.parquet")
        shutil.copy(base, base.with_name(("e" if base.name[0] == "f" else "f") + base.name[1:]))

    def delete_instant(number):
        def damage(table):
            instant = sorted(p.name.split(".")[0] for p in (table / ".hoodie").glob("*.deltacommit"))[number]
            for path in (table / ".hoodie").glob(f"{instant}.*"):
                path.unlink()
        return damage

    def add_gap(ledger):
        partition = next(iter(ledger["ranges"]))
        ledger["ranges"][partition][0] += 1

    def change_digest(ledger):
        partition = next(iter(ledger["digest"]))
        ledger["digest"][partition] = "0" * 32

    def count_more(ledger):
        ledger["rows"]["inserted"] += 1

    def lower_watermark(ledger):
        ledger["watermark_ms"] -= 10 ** 9

    for table in (orders.table, newer.table, moves):
        damaged(table, drop("*.parquet"), "files: missing file")
        damaged(table, flip("*.parquet"), "files: damaged file")
    for table in (orders.table, newer.table):
        damaged(table, drop(".*.log.*"), "files: missing file")
        damaged(table, double_log, "files: unnamed file")
    damaged(moves, drop("*.parquet"), "rows: missing rows", "are missing")
    damaged(moves, double_base, "rows: doubled row")
    damaged(orders.table, delete_instant(1), "ledger: gap")
    for change, kind in ((add_gap, "ledger: gap"), (count_more, "ledger: sums"), (lower_watermark, "ledger: watermark")):
        damaged(orders.table, lambda table, change=change: edit_ledger(table, change), kind)
    damaged(orders.table, lambda table: edit_ledger(table, change_digest), "kafka: digest", service=service, topic="orders")
    damaged(orders.table, lambda table: None, "kafka: identity", "topic 'orders'", service=service, topic="newer")

    say("what retention removed cannot be compared, and is no finding")
    at = orders.offsets()
    broker.admin("delete-records", "orders", 0, at[0] // 2)
    found = verifying.numbers(verifying.expect_right(orders.table, service, "orders", " after retention"), "kafka")
    expect(found["ranges gone from Kafka"] > 0 and found["ranges"] > 0, f"after retention: {found}")

    say("a topic that was made again is another one")
    broker.recreate_topic("newer", PARTITIONS)
    verifying.expect_finding(newer.table, "kafka: identity", "topic id", service, "newer")
