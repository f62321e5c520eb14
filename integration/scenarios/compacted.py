"""Compacted topics: the broker's cleaner removes superseded records before and while they are read. What is gone becomes
gaps of the ledger, exactly; a keyed table ends as the last record of each key, an append-only one has every record that
was still there. With and without transactions, every third of them aborted."""

import struct
import time

import checks
import hudi_timeline
import pyarrow
import rig
import verifying
from broker import Broker
from rig import Scenario, expect, say
from service import Service, check_ledger

PARTITIONS, COUNT, SIZE, KEYS = 2, 40_000, 700, 400
COMPACTED = {"cleanup_policy": "compact", "segment_ms": 1000, "segment_bytes": 1 << 20, "min_cleanable_dirty_ratio": 0.01,
             "delete_retention_ms": 100, "min_compaction_lag_ms": 0}
FIELDS = [{"name": "k", "type": "long", "nullable": False}, {"name": "n", "type": "long"}, {"name": "text", "type": "string"}]
# name: keyed, transactional
TOPICS = {"stock": (True, False), "visits": (False, False), "stock_tx": (True, True), "visits_tx": (False, True)}


def is_tombstone(n, keyed):
    return keyed and n % 17 == 16


with Scenario("compacted") as scenario:
    broker = Broker(scenario, log_cleaner_backoff_ms=200)
    service = Service(scenario, broker)
    tables, aborted = {}, {topic: set() for topic in TOPICS}
    for topic, (keyed, _) in TOPICS.items():
        broker.create_topic(topic, PARTITIONS, **COMPACTED)
        tables[topic] = service.topic(topic, {"fields": FIELDS}, {"format": "json"}, message_key={"format": "string"},
                                      **({"key": ["k"], "table": {"buckets": 2}} if keyed else {}))

    def send(topic, first, last):
        """Records first to last; a key (n % KEYS) stays in its partition."""
        keyed, transactional = TOPICS[topic]

        def frames():
            for n in range(first, last):
                key = b"%d" % (n % KEYS)
                value = b'{"k":%d,"n":%d,"text":"%s"}' % (n % KEYS, n, b"x" * 60)
                tombstone = is_tombstone(n, keyed)
                yield struct.pack("<iqii", n % PARTITIONS, -1, len(key), -1 if tombstone else len(value)) + key + (
                    b"" if tombstone else value)

        broker.produce(topic, frames(), transaction=SIZE if transactional else 0)
        if transactional:
            aborted[topic].update(n for n in range(first, last) if (n - first) // SIZE % 3 == 2)

    def ends(topic):
        return {p: int(broker.admin("watermarks", topic, p).split()[1]) for p in range(PARTITIONS)}

    def records(topic):
        """{(partition, offset)} of what a plain consumer sees."""
        return {(p, int(line.split()[0])) for p in range(PARTITIONS) for line in broker.admin("records", topic, p).splitlines()}

    def wait_for_cleaner(topic, sent):
        """Until the cleaner has removed most records, and nothing more."""
        def settled():
            before = records(topic)
            time.sleep(2)
            return before if len(before) < sent / 2 and before == records(topic) else None
        return rig.wait_until(settled, 90, f"the cleaner of {topic}", pause=0)

    say("what was compacted before it is read")
    for topic in TOPICS:
        send(topic, 0, COUNT)
        time.sleep(1.2)
        send(topic, COUNT, COUNT + 2 * SIZE)  # closes the segments of what came before
    left = {topic: wait_for_cleaner(topic, COUNT) for topic in TOPICS}
    for topic, found in left.items():
        say(f"  {topic}: {len(found)} records are left of {sum(ends(topic).values())} offsets")
    service.start()
    for topic, table in tables.items():
        service.wait_for(table, ends(topic), 60)
    for topic, table in tables.items():
        expect(records(topic) == left[topic], f"{topic}: the cleaner went on while the table was filled")
        check_ledger(table, len(left[topic]))
        gaps = hudi_timeline.row_totals(table)["gap"]
        expected = sum(ends(topic).values()) - len(left[topic])
        expect(gaps == expected, f"{topic}: {gaps} gaps, expected {expected}")
        keyed, _ = TOPICS[topic]
        report = verifying.expect_right(table, service, topic)
        expect(verifying.numbers(report, "kafka")["records"] == len(left[topic]), f"{topic}: {report['checks']}")
        if not keyed:
            rows = verifying.numbers(report, "rows")["rows"]
            expect(rows == len(left[topic]), f"{topic}: {rows} rows, {len(left[topic])} records were left")

    say("compacted while it is read")
    sent = COUNT + 2 * SIZE
    for first in range(sent, sent + 10 * 3 * SIZE, 3 * SIZE):
        for topic in TOPICS:
            send(topic, first, first + 3 * SIZE)
        time.sleep(1)
    sent += 10 * 3 * SIZE
    for topic, table in tables.items():
        service.wait_for(table, ends(topic), 60)
    service.stop()
    for topic, table in tables.items():
        keyed, _ = TOPICS[topic]
        totals = hudi_timeline.row_totals(table)
        expect(totals["read"] + totals["gap"] == sum(ends(topic).values()), f"{topic}: {totals} for {ends(topic)}")
        report = verifying.expect_right(table, service, topic)
        say(f"  {topic}: {verifying.numbers(report, 'kafka')}")
        last = {n % KEYS: n for n in range(sent) if n not in aborted[topic]}
        if keyed:
            rows = [(k, n) for k, n in sorted(last.items()) if not is_tombstone(n, keyed)]
            model = pyarrow.table({"k": [k for k, _ in rows], "n": [n for _, n in rows], "text": ["x" * 60] * len(rows),
                                   "_kafka_partition": pyarrow.array([k % PARTITIONS for k, _ in rows], pyarrow.int32())})
            checks.quick(scenario, table, model, ["k"], ignore=("_kafka_offset",))
