"""The cases. Each takes (scenario, options) and returns what it measured: {"load": …, engine: [runs]}."""

import shutil

from attribute import attribute
from bed import Bed
from engine_connect import Connect
from engine_moraine import Moraine
from engine_spark import Spark
from loads import Load
from rig import Scenario, say

ONE, TWO = "1", "0,1"
SMALL = "128MiB"  # beside JVMs, whose memory is part of the comparison


def size(options, short, full):
    return full if options.full else short


def tell(engine, run):
    cpu = run.get("cpu_steady", run.get("cpu"))
    say(f"  {engine}: {run['records'] / run['seconds']:,.0f} rows/s, {cpu / run['records'] * 1e6:.3f} us of CPU a row, "
        f"others kept {run['others_cores']:.1f} cores busy" + (f", {run['rss'] >> 20} MiB" if "rss" in run else ""))


def drain_once(bed, load, topic, cpus, number, memory="512MiB", **options):
    """A new table of the whole topic; checked by hudi-rs, then removed."""
    engine = Moraine(bed.scenario, bed.broker, bed.registry, load, topic, bed.avsc(load), cpus, memory=memory,
                     name=f"m{number}", **options)
    run = engine.drain(bed.sent[topic]["offsets"], bed.sent[topic]["records"])
    bed.check(load, topic, "hudi", engine.table)
    shutil.rmtree(engine.table.parent)
    shutil.rmtree(engine.service.folder)
    return run


def profiler(options, number):
    """What the command of run `number` begins with."""
    last = number == options.runs - 1
    return ["perf", "record", "-q", "-F", "999", "-g", "-e", "cpu-clock", "-o", options.perf] if options.perf and last else []


def append(scenario, options, load, cpus=ONE):
    bed = Bed(scenario)
    topic = bed.send(load)
    found = {"load": describe(load), "memory": "512MiB", "stages": bed.stages(load), "limit": [], "moraine": []}
    for number in range(options.runs):
        found["limit"].append(bed.consume(topic, cpus))
        tell("limit", found["limit"][-1])
        found["moraine"].append(drain_once(bed, load, topic, cpus, number, prefix=profiler(options, number)))
        tell("moraine", found["moraine"][-1])
    return profiled(options, found)


def profiled(options, found):
    """With where the time of the last run went, when it was profiled."""
    if options.perf:
        found["shares"] = attribute(options.perf)
    return found


def describe(load):
    return {"kind": load.kind, "count": load.count, "keys": load.keys, "partitions": load.partitions, "days": load.days,
            "columns": len(load.schema["fields"]), "duplicates": load.duplicates}


def append_avro(scenario, options):
    """Avro trips, append-only, one core."""
    return append(scenario, options, Load("trips_avro", "trips-avro", size(options, 2_000_000, 10_000_000)))


def append_json(scenario, options):
    """JSON trips, append-only, one core."""
    return append(scenario, options, Load("trips_json", "trips-json", size(options, 2_000_000, 10_000_000)))


def append_avro_two(scenario, options):
    """Avro trips, append-only, both cores (with the broker on them)."""
    return append(scenario, options, Load("trips_avro", "trips-avro", size(options, 2_000_000, 10_000_000)), TWO)


def append_json_two(scenario, options):
    """JSON trips, append-only, both cores (with the broker on them)."""
    return append(scenario, options, Load("trips_json", "trips-json", size(options, 2_000_000, 10_000_000)), TWO)


def upsert(scenario, options, keys, updates, memory, **topic):
    """The keys are inserted by one process; then each run is a new process that takes in so many updates more."""
    bed = Bed(scenario)
    duplicates = 10_000 if "dedup" in topic else 0
    load = Load("orders", "orders-avro", keys, keys=keys, duplicates=duplicates)
    name = bed.send(load)
    engine = Moraine(scenario, bed.broker, bed.registry, load, name, bed.avsc(load), ONE, memory=memory, table={"buckets": 8},
                     **{"compaction": {"mode": "off"}, **topic})
    found = {"load": {**describe(load), "count": updates}, "memory": memory, "stages": bed.stages(load),
             "limit": [], "moraine": []}
    found["insert"] = [engine.drain(bed.sent[name]["offsets"], bed.sent[name]["records"])]
    tell("inserts", found["insert"][0])
    for number in range(options.runs):
        more = load.with_(count=updates, first=keys + number * updates)
        bed.send(more, name)
        engine.profile(profiler(options, number))
        found["moraine"].append(engine.drain(bed.sent[name]["offsets"], bed.sent[name]["last"]))
        tell("moraine", found["moraine"][-1])
        found["limit"].append(bed.consume(name, ONE))
        tell("limit", found["limit"][-1])
    bed.check(load, name, "hudi", engine.table)
    return profiled(options, found)


def upsert_avro(scenario, options):
    """Avro updates (Zipf) and deletes of a table's keys, one core."""
    keys, updates = size(options, (1_000_000, 2_000_000), (10_000_000, 10_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "2GiB"))


def upsert_dedup(scenario, options):
    """The same with a dedup window that holds every event id."""
    keys, updates = size(options, (1_000_000, 2_000_000), (10_000_000, 10_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "3GiB"),
                  dedup={"by": ["event_id"], "window": "24h"}, event_time={"field": "updated_at"})


def upsert_compacting(scenario, options):
    """The updates of upsert_avro with compaction beside them, as it is by default."""
    keys, updates = size(options, (1_000_000, 2_000_000), (10_000_000, 10_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "2GiB"), compaction={"mode": "auto"})


# ---- time to see ---------------------------------------------------------------------------------------


def freshness(scenario, options):
    """From Kafka's timestamp to the commit that shows the record: 1 s commits, half of the drain rate."""
    bed = Bed(scenario)
    load = Load("trips_avro", "trips-avro", size(options, 1_000_000, 5_000_000))
    topic = bed.send(load)
    drained = drain_once(bed, load, topic, ONE, 0)
    rate = drained["records"] / drained["seconds_steady"] / 2
    found = {"load": describe(load), "drain": [drained], "rate": rate, "moraine": []}
    for number in range(options.runs):
        steady = load.with_(name=f"steady{number}", count=int(rate * size(options, 20, 60)))
        name = bed.make(steady)
        engine = Moraine(scenario, bed.broker, bed.registry, steady, name, bed.avsc(steady), ONE, name=f"f{number}",
                         commit={"interval": "1s"})
        found["moraine"].append(engine.follow(bed, steady, name, rate))
        run = found["moraine"][-1]
        say(f"  freshness: p50 {run['p50']:.2f} s, p99 {run['p99']:.2f} s at {rate:,.0f} records/s in {run['commits']} commits")
    return found


def start(scenario, options):
    """From the start of the process to its first commit, with the keys in the local state."""
    bed = Bed(scenario)
    keys = size(options, 1_000_000, 10_000_000)
    load = Load("orders", "orders-avro", keys, keys=keys)
    name = bed.send(load)
    engine = Moraine(scenario, bed.broker, bed.registry, load, name, bed.avsc(load), ONE, memory=size(options, "512MiB", "2GiB"),
                     table={"buckets": 8}, commit={"interval": "1s"}, compaction={"mode": "off"})
    engine.drain(bed.sent[name]["offsets"], bed.sent[name]["records"])
    found = {"load": describe(load), "moraine": []}
    for number in range(options.runs):
        bed.send(load.with_(count=1000, first=keys + number * 1000), name)
        found["moraine"].append(engine.drain(bed.sent[name]["offsets"], 1000))
        say(f"  first commit after {found['moraine'][-1]['first_commit_s']:.2f} s, {found['moraine'][-1]['cpu']:.2f} s of CPU")
    bed.check(load, name, "hudi", engine.table)
    return found


# ---- growth --------------------------------------------------------------------------------------------


def grow(scenario, options, steps):
    """Each step is (its size, a load, settings of the topic): one table each, once or `runs` times in turn."""
    bed = Bed(scenario)
    found = {"steps": []}
    for step, load, settings in steps:
        topic = bed.send(load)
        runs = []
        for number in range(max(1, options.runs // 2)):
            memory = settings.get("memory", "512MiB")
            rest = {k: v for k, v in settings.items() if k != "memory"}
            runs.append(drain_once(bed, load, topic, ONE, f"{step}-{number}", memory=memory, **rest))
            tell(f"{step}", runs[-1])
        found["steps"].append({"size": step, "load": describe(load), "moraine": runs})
    return found


def growth_keys(scenario, options):
    """Cost of an update at 1, 10 and 50 million keys."""
    found = {"steps": []}
    for millions, memory in size(options, ((0.25, "512MiB"), (1, "512MiB")), ((1, "512MiB"), (10, "2GiB"), (50, "8GiB"))):
        with Scenario(f"versus-keys-{millions}") as inner:
            keys = int(millions * 1_000_000)
            run = upsert(inner, options, keys, size(options, 500_000, 5_000_000), memory)
        found["steps"].append({"size": millions, **run})
    return found


def growth_kafka_partitions(scenario, options):
    """1, 8 and 64 Kafka partitions."""
    count = size(options, 1_000_000, 5_000_000)
    return grow(scenario, options, [(n, Load(f"parts{n}", "trips-avro", count, partitions=n), {}) for n in (1, 8, 64)])


def growth_table_partitions(scenario, options):
    """10, 100 and 2,000 table partitions open at once, append-only."""
    count = size(options, 1_000_000, 5_000_000)
    return grow(scenario, options, [
        (n, Load(f"days{n}", "orders-avro", count, keys=count, days=n, appended=True),
         {"table": {"partition_by": ["day(created_at)"]}}) for n in size(options, (10, 100), (10, 100, 2000))])


def growth_commits(scenario, options):
    """1 s, 10 s and 60 s between commits."""
    count = size(options, 1_000_000, 10_000_000)
    return grow(scenario, options, [(s, Load("trips_avro", "trips-avro", count), {"commit": {"interval": f"{s}s"}})
                                    for s in size(options, (1, 10), (1, 10, 60))])


def growth_columns(scenario, options):
    """2, 29 and 290 columns."""
    return grow(scenario, options, [(n, Load(f"wide{n}", "wide-avro", size(options, cells // 10, cells) // n, columns=n), {})
                                    for n, cells in ((2, 20_000_000), (29, 60_000_000), (290, 100_000_000))])


# ---- peers ---------------------------------------------------------------------------------------------


def spark_append(scenario, options, sink):
    """Two columns: as it comes, and tuned."""
    bed = Bed(scenario)
    load = Load("trips_avro", "trips-avro", size(options, 500_000, 5_000_000))
    topic = bed.send(load)
    found = {"load": describe(load), "moraine": [], "defaults": [], "tuned": []}
    for number in range(options.runs):
        if sink == "hudi":
            found["moraine"].append(drain_once(bed, load, topic, ONE, number, memory=SMALL))
            tell("moraine", found["moraine"][-1])
        for kind in options.settings:
            engine = Spark(scenario, bed.broker, load, topic, sink, ONE, kind == "tuned", name=f"spark-{kind}{number}")
            found[kind].append(engine.drain(bed.sent[topic]["records"]))
            tell(f"Spark to {sink}, {kind}", found[kind][-1])
            bed.check(load, topic, sink, engine.checked_table())
            shutil.rmtree(engine.folder)
    return found


def spark_upsert(scenario, options, sink):
    """The keys are inserted, then updated by one job more; as it comes, and tuned."""
    bed = Bed(scenario)
    keys, updates = size(options, (300_000, 300_000), (1_000_000, 2_000_000))
    load = Load("orders", "orders-avro", keys, keys=keys)
    topic = bed.send(load)
    engines = {kind: Spark(scenario, bed.broker, load, topic, sink, ONE, kind == "tuned", name=f"spark-{kind}")
               for kind in options.settings}
    ours = Moraine(scenario, bed.broker, bed.registry, load, topic, bed.avsc(load), ONE, memory=SMALL,
                   table={"buckets": 8})
    found = {"load": {**describe(load), "count": updates}, "moraine": [], "defaults": [], "tuned": [], "insert": {}}
    ours.drain(bed.sent[topic]["offsets"], bed.sent[topic]["records"])
    for kind, engine in engines.items():
        found["insert"][kind] = engine.drain(bed.sent[topic]["records"])
        tell(f"Spark to {sink}, {kind}, inserts", found["insert"][kind])
    for number in range(options.runs):
        bed.send(load.with_(count=updates, first=keys + number * updates), topic)
        found["moraine"].append(ours.drain(bed.sent[topic]["offsets"], bed.sent[topic]["last"]))
        tell("moraine", found["moraine"][-1])
        for kind, engine in engines.items():
            found[kind].append(engine.drain(bed.sent[topic]["last"]))
            tell(f"Spark to {sink}, {kind}", found[kind][-1])
    bed.check(load, topic, "hudi", ours.table)
    for engine in engines.values():
        bed.check(load, topic, sink, engine.checked_table())
    return found


def spark_hudi_append(scenario, options):
    """Spark Structured Streaming into Hudi MoR, trips, append, one core."""
    return spark_append(scenario, options, "hudi")


def spark_hudi_upsert(scenario, options):
    """Spark Structured Streaming into Hudi MoR, orders, upserts, one core."""
    return spark_upsert(scenario, options, "hudi")


def spark_iceberg_append(scenario, options):
    """Spark Structured Streaming into Iceberg, trips, append, one core."""
    return spark_append(scenario, options, "iceberg")


def spark_delta_append(scenario, options):
    """Spark Structured Streaming into Delta, trips, append, one core."""
    return spark_append(scenario, options, "delta")


def spark_iceberg_upsert(scenario, options):
    """Spark Structured Streaming and MERGE into Iceberg (merge on read), orders, upserts, one core."""
    return spark_upsert(scenario, options, "iceberg")


def spark_delta_upsert(scenario, options):
    """Spark Structured Streaming and MERGE into Delta (deletion vectors), orders, upserts, one core."""
    return spark_upsert(scenario, options, "delta")


def connect_iceberg_append(scenario, options):
    """Iceberg's sink on Kafka Connect, JSON trips, append, one core."""
    bed = Bed(scenario)
    load = Load("trips_json", "trips-json", size(options, 300_000, 3_000_000))
    topic = bed.send(load)
    found = {"load": describe(load), "moraine": [], "defaults": [], "tuned": []}
    for number in range(options.runs):
        found["moraine"].append(drain_once(bed, load, topic, ONE, number, memory=SMALL))
        tell("moraine", found["moraine"][-1])
        for kind in options.settings:
            engine = Connect(scenario, bed.broker, load, topic, ONE, kind == "tuned", name=f"connect-{kind}{number}")
            found[kind].append(engine.drain(bed.sent[topic]["records"]))
            tell(f"Connect to Iceberg, {kind}", found[kind][-1])
            bed.check(load, topic, "iceberg", engine.checked_table())
            shutil.rmtree(engine.folder)
    return found


PEERS = [spark_hudi_append, connect_iceberg_append, spark_hudi_upsert, spark_iceberg_append, spark_delta_append,
         spark_iceberg_upsert, spark_delta_upsert]
LIMITS = [append_avro, append_json, append_avro_two, append_json_two, upsert_avro, upsert_dedup, upsert_compacting]
GROWTH = [growth_kafka_partitions, growth_table_partitions, growth_commits, growth_columns, growth_keys]
ALL = [*LIMITS, freshness, start, *PEERS, *GROWTH]
LONG = [upsert_compacting, *(case for case in PEERS if case not in (spark_hudi_append, spark_hudi_upsert)), *GROWTH]
