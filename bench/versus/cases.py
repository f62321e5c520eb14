"""The cases. Each takes (scenario, options) and returns what it measured: {"load": …, engine: [runs]}."""

from functools import partial

from attribute import attribute
from bed import Bed
from engine_connect import Connect
from engine_flink import Flink
from engine_moraine import Moraine
from engine_spark import Spark
from loads import Load
from rig import Scenario, say

ONE, TWO = "1", "0,1"
# beside JVMs, whose memory is part of the comparison: the least budget there is
SMALL, BESIDE = "64MiB", {"commit": {"interval": "2s"}}


def size(options, short, full):
    """Of a short or a full run; numbers of records (there are no other large ones) are scaled."""
    def scaled(value):
        return int(value * options.scale) if isinstance(value, int) and value >= 10_000 else value

    value = full if options.full else short
    return tuple(scaled(part) for part in value) if isinstance(value, tuple) else scaled(value)


def tell(engine, run):
    cpu = run.get("cpu_steady", run.get("cpu"))
    say(f"  {engine}: {run['records'] / run['seconds']:,.0f} rows/s, {cpu / run['records'] * 1e6:.3f} us of CPU a row, "
        f"others kept {run['others_cores']:.1f} cores busy" + (f", {run['rss'] >> 20} MiB" if "rss" in run else ""))


def drain_once(bed, load, topic, cpus, number, memory="512MiB", **options):
    """A new table of the whole topic, checked by hudi-rs. It stays until the case ends: ext4 without a journal looks for new inodes
    past those that were deleted in the last minutes, one by one, and charges it to the next run."""
    engine = Moraine(bed.scenario, bed.broker, bed.registry, load, topic, bed.avsc(load), cpus, memory=memory,
                     name=f"m{number}", **options)
    run = engine.drain(bed.sent[topic]["offsets"], bed.sent[topic]["records"])
    bed.check(load, topic, engine.form, engine.checked_table())
    return run


def interval(options):
    """Between commits, where a case does not measure just that: a run has a few of them."""
    return {"commit": {"interval": size(options, "1s", "5s")}}


def append(scenario, options, load, cpus=ONE):
    bed = Bed(scenario)
    topic = bed.send(load)
    found = {"load": describe(load), "memory": "512MiB", "settings": {"moraine": interval(options)}, "stages": bed.stages(load),
             "limit": [], "moraine": []}
    for number in range(options.runs):
        found["limit"].append(bed.consume(topic, cpus))
        tell("limit", found["limit"][-1])
        found["moraine"].append(drain_once(bed, load, topic, cpus, number, **interval(options)))
        tell("moraine", found["moraine"][-1])
    if options.perf:
        run = drain_once(bed, load, topic, cpus, "profiled", prefix=profiler(options), **interval(options))
        found |= profiled(options, run)
    return found


def profiler(options):
    """What the command of a profiled run begins with."""
    return ["perf", "record", "-q", "-F", "999", "-g", "-e", "cpu-clock", "-o", options.perf]


def profiled(options, run):
    """Of a run beside the counted ones: where its time went."""
    tell("moraine, profiled", run)
    return {"profiled": run, "shares": attribute(options.perf)}


def describe(load):
    return {"kind": load.kind, "count": load.count, "keys": load.keys, "partitions": load.partitions, "days": load.days,
            "columns": len(load.schema["fields"]), "duplicates": load.duplicates}


def append_avro(scenario, options):
    """Avro trips, append-only, one core."""
    return append(scenario, options, Load("trips_avro", "trips-avro", size(options, 1_000_000, 5_000_000)))


def append_json(scenario, options):
    """JSON trips, append-only, one core."""
    return append(scenario, options, Load("trips_json", "trips-json", size(options, 1_000_000, 5_000_000)))


def append_avro_two(scenario, options):
    """Avro trips, append-only, both cores (with the broker on them)."""
    return append(scenario, options, Load("trips_avro", "trips-avro", size(options, 1_000_000, 5_000_000)), TWO)


def append_json_two(scenario, options):
    """JSON trips, append-only, both cores (with the broker on them)."""
    return append(scenario, options, Load("trips_json", "trips-json", size(options, 1_000_000, 5_000_000)), TWO)


def upsert(scenario, options, keys, updates, memory, **topic):
    """The keys are inserted by one process; then each run is a new process that takes in so many updates more. The limit reads
    the whole topic."""
    bed = Bed(scenario)
    duplicates = 10_000 if "dedup" in topic else 0
    load = Load("orders", "orders-avro", keys, keys=keys, duplicates=duplicates)
    name = bed.send(load)
    engine = Moraine(scenario, bed.broker, bed.registry, load, name, bed.avsc(load), ONE, memory=memory, table={"buckets": 8},
                     **{"compaction": {"mode": "off"}, **interval(options), **topic})
    found = {"load": {**describe(load), "count": updates}, "memory": memory,
             "settings": {"moraine": {"table": {"buckets": 8}, "compaction": {"mode": "off"}, **interval(options), **topic}},
             "stages": bed.stages(load), "limit": [], "moraine": []}
    found["insert"] = [engine.drain(bed.sent[name]["offsets"], bed.sent[name]["records"])]
    tell("inserts", found["insert"][0])

    def drain(number):
        bed.send(load.with_(count=updates, first=keys + number * updates), name)
        return engine.drain(bed.sent[name]["offsets"], bed.sent[name]["last"])

    for number in range(options.runs):
        found["moraine"].append(drain(number))
        tell("moraine", found["moraine"][-1])
        found["limit"].append(bed.consume(name, ONE))
        tell("limit", found["limit"][-1])
    if options.perf:
        engine.profile(profiler(options))
        found |= profiled(options, drain(options.runs))
    if options.full:  # hudi-rs takes more than ten minutes to merge thirty million log records
        engine.compact()
    bed.check(load, name, "hudi", engine.table)
    return found


def upsert_avro(scenario, options):
    """Avro updates (Zipf) and deletes of a table's keys, one core."""
    keys, updates = size(options, (1_000_000, 1_000_000), (10_000_000, 5_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "2GiB"))


def upsert_dedup(scenario, options):
    """The same with a dedup window that holds every event id."""
    keys, updates = size(options, (1_000_000, 1_000_000), (10_000_000, 5_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "3GiB"),
                  dedup={"by": ["event_id"], "window": "24h"}, event_time={"field": "updated_at"})


def upsert_compacting(scenario, options):
    """The updates of upsert_avro with compaction beside them, as it is by default."""
    keys, updates = size(options, (1_000_000, 1_000_000), (10_000_000, 5_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "2GiB"), compaction={"mode": "auto"})


# ---- time to see ---------------------------------------------------------------------------------------

# What the sender manages beside the broker on the first core, with room: above it, records wait there, which says nothing of us.
SENT_MOST = 100_000


def freshness(scenario, options):
    """From when a record is made and sent to the commit that shows it: 1 s commits, half of the drain rate, 100,000 a second at most."""
    bed = Bed(scenario)
    load = Load("trips_avro", "trips-avro", size(options, 1_000_000, 5_000_000))
    topic = bed.send(load)
    drained = drain_once(bed, load, topic, ONE, 0, **interval(options))
    rate = min(drained["visible_rate"] / 2, SENT_MOST)
    found = {"load": describe(load), "settings": {"moraine": {"commit": {"interval": "1s"}}}, "drain": [drained], "rate": rate,
             "moraine": []}
    for number in range(options.runs):
        steady = load.with_(name=f"steady{number}", count=int(rate * size(options, 10, 20)))
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
    found = {"load": describe(load), "settings": {"moraine": {"commit": {"interval": "1s"}, "compaction": {"mode": "off"}}},
             "moraine": []}
    for number in range(options.runs):
        bed.send(load.with_(count=1000, first=keys + number * 1000), name)
        found["moraine"].append(engine.drain(bed.sent[name]["offsets"], 1000))
        say(f"  first commit after {found['moraine'][-1]['first_commit_s']:.2f} s, {found['moraine'][-1]['cpu']:.2f} s of CPU")
    bed.check(load, name, "hudi", engine.table)
    return found


# ---- growth --------------------------------------------------------------------------------------------


def grow(scenario, options, steps):
    """Each step is (its size, a load, settings of the topic): one table each, `runs` times, in turn, so that whatever else the
    machine does meanwhile meets all of them."""
    bed = Bed(scenario)
    found = {"steps": [{"size": step, "load": describe(load), "settings": {"moraine": {**interval(options), **settings}},
                        "moraine": []} for step, load, settings in steps]}
    topics = [bed.send(load) for _, load, _ in steps]
    for number in range(options.runs):
        for (step, load, settings), topic, at in zip(steps, topics, found["steps"]):
            at["moraine"].append(drain_once(bed, load, topic, ONE, f"{step}-{number}", **{**interval(options), **settings}))
            tell(f"{step}", at["moraine"][-1])
    if options.perf:  # the last step
        run = drain_once(bed, load, topic, ONE, "profiled", prefix=profiler(options), **{**interval(options), **settings})
        found |= profiled(options, run)
    return found


def growth_keys(scenario, options):
    """Cost of an update at 1, 10 and 50 million keys."""
    found = {"steps": []}
    for millions, memory in size(options, ((0.25, "512MiB"), (1, "512MiB")), ((1, "512MiB"), (10, "2GiB"), (50, "8GiB"))):
        with Scenario(f"versus-keys-{millions}") as inner:
            keys = int(millions * 1_000_000 * options.scale)
            run = upsert(inner, options, keys, size(options, 500_000, 2_000_000), memory)
        found["steps"].append({"size": millions, **run})
    return found


def growth_kafka_partitions(scenario, options):
    """1, 8 and 64 Kafka partitions."""
    count = size(options, 500_000, 2_000_000)
    return grow(scenario, options, [(n, Load(f"parts{n}", "trips-avro", count, partitions=n), {}) for n in (1, 8, 64)])


def growth_table_partitions(scenario, options):
    """10, 100 and 2,000 table partitions open at once, append-only."""
    count = size(options, 500_000, 4_000_000)
    return grow(scenario, options, [
        (n, Load(f"days{n}", "orders-avro", count, keys=count, days=n, appended=True),
         {"table": {"partition_by": ["day(created_at)"]}}) for n in (10, 100, 2000)])


def growth_commits(scenario, options):
    """1 s, 10 s and 60 s between commits, without limits that would end a batch earlier."""
    count = size(options, 1_000_000, 5_000_000)
    return grow(scenario, options, [
        (s, Load("trips_avro", "trips-avro", count),
         {"commit": {"interval": f"{s}s", "max_rows": 100_000_000, "max_bytes": "4GiB"}, "memory": "2GiB"})
        for s in size(options, (1, 10), (1, 10, 60))])


def growth_columns(scenario, options):
    """2, 29 and 290 columns."""
    return grow(scenario, options, [(n, Load(f"wide{n}", "wide-avro", size(options, cells // 5, cells) // n, columns=n), {})
                                    for n, cells in ((2, 4_000_000), (29, 30_000_000), (290, 50_000_000))])


# ---- peers ---------------------------------------------------------------------------------------------


def against(scenario, options, load, engine, ours=None):
    """New tables of the whole topic, by a peer with its settings and by us. `engine`: (bed, topic, kind of settings, name) to
    the peer's; `ours`: the table of moraine's topic file, None for a format that it does not write. A full run has one of four
    times the records beside them: a JVM gets faster while it runs."""
    bed = Bed(scenario)
    found = {"load": describe(load), "settings": {"moraine": {"memory": SMALL, "table": ours, **BESIDE}} if ours else {},
             "moraine": [], "defaults": [], "tuned": []}

    def by_us(load, topic, name):
        run = drain_once(bed, load, topic, ONE, name, memory=SMALL, table=ours, **BESIDE)
        tell("moraine", run)
        return run

    def by_peer(load, topic, kind, name):
        peer = engine(bed, topic, kind, name)
        run = peer.drain(bed.sent[topic]["records"], bed.sent[topic]["records"])
        tell(kind, run)
        found["settings"][kind] = peer.settings()
        bed.check(load, topic, peer.form, peer.checked_table())
        return run

    topic = bed.send(load)
    for number in range(options.runs):
        if ours:
            found["moraine"].append(by_us(load, topic, number))
        for kind in options.settings:
            found[kind].append(by_peer(load, topic, kind, f"{kind}{number}"))
    if options.full and ours:
        load = load.with_(name=f"{load.name}_long", count=4 * load.count)
        topic = bed.send(load)
        found["moraine_long"] = [by_us(load, topic, "long")]
        found["tuned_long"] = [by_peer(load, topic, "tuned", "long")]
    return found


def against_updates(scenario, options, load, updates, engine, ours=None):
    """The keys are inserted by one process, then each run takes in so many updates more; arguments as of against()."""
    bed = Bed(scenario)
    topic = bed.send(load)
    engines = {kind: engine(bed, topic, kind, kind) for kind in options.settings}
    found = {"load": {**describe(load), "count": updates}, "settings": {"moraine": {"memory": SMALL, "table": ours, **BESIDE}} if ours else {},
             "moraine": [], "defaults": [], "tuned": [], "insert": {}}
    if ours:
        service = Moraine(scenario, bed.broker, bed.registry, load, topic, bed.avsc(load), ONE, memory=SMALL, table=ours,
                          **BESIDE)
        found["insert"]["moraine"] = service.drain(bed.sent[topic]["offsets"], bed.sent[topic]["records"])
    for kind, peer in engines.items():
        found["insert"][kind] = peer.drain(bed.sent[topic]["records"], bed.sent[topic]["records"])
        found["settings"][kind] = peer.settings()
        tell(f"{kind}, inserts", found["insert"][kind])
    for number in range(options.runs):
        bed.send(load.with_(count=updates, first=load.count + number * updates), topic)
        if ours:
            found["moraine"].append(service.drain(bed.sent[topic]["offsets"], bed.sent[topic]["last"]))
            tell("moraine", found["moraine"][-1])
        for kind, peer in engines.items():
            found[kind].append(peer.drain(bed.sent[topic]["last"], bed.sent[topic]["records"]))
            tell(kind, found[kind][-1])
    if ours:
        bed.check(load, topic, service.form, service.checked_table())
    for peer in engines.values():
        bed.check(load, topic, peer.form, peer.checked_table())
    return found


HUDI, ICEBERG = {"format": "hudi"}, {"format": "iceberg"}
BUCKETS = {**HUDI, "buckets": 8}


def trips(options, form, short, full):
    return Load(f"trips_{form}", f"trips-{form}", size(options, short, full))


def orders(options, form, keys):
    return Load("orders", f"orders-{form}", keys, keys=keys)


def spark(sink):
    return lambda bed, topic, kind, name, load: Spark(bed.scenario, bed.broker, load, topic, sink, ONE, kind == "tuned", name=name)


def spark_append(scenario, options, sink, ours):
    load = trips(options, "avro", 300_000, 500_000)
    return against(scenario, options, load, partial(spark(sink), load=load), ours)


def spark_upsert(scenario, options, sink, ours):
    load = orders(options, "avro", size(options, 300_000, 500_000))
    return against_updates(scenario, options, load, size(options, 200_000, 250_000), partial(spark(sink), load=load), ours)


def spark_hudi_append(scenario, options):
    """Spark Structured Streaming into Hudi MoR, Avro trips, append, one core."""
    return spark_append(scenario, options, "hudi", HUDI)


def spark_hudi_upsert(scenario, options):
    """Spark Structured Streaming into Hudi MoR, Avro orders, upserts, one core."""
    return spark_upsert(scenario, options, "hudi", BUCKETS)


def spark_iceberg_append(scenario, options):
    """Spark Structured Streaming into Iceberg, Avro trips, append, one core."""
    return spark_append(scenario, options, "iceberg", ICEBERG)


def spark_iceberg_upsert(scenario, options):
    """Spark Structured Streaming and MERGE into Iceberg (merge on read), Avro orders, upserts, one core."""
    return spark_upsert(scenario, options, "iceberg", ICEBERG)


def spark_delta_append(scenario, options):
    """Spark Structured Streaming into Delta, Avro trips, append, one core; the peer alone."""
    return spark_append(scenario, options, "delta", None)


def spark_delta_upsert(scenario, options):
    """Spark Structured Streaming and MERGE into Delta (deletion vectors), Avro orders, upserts, one core; the peer alone."""
    return spark_upsert(scenario, options, "delta", None)


def connect_iceberg_append(scenario, options):
    """Iceberg's sink on Kafka Connect, JSON trips, append, one core."""
    load = trips(options, "json", 300_000, 500_000)
    return against(scenario, options, load, lambda bed, topic, kind, name: Connect(
        bed.scenario, bed.broker, load, topic, ONE, kind == "tuned", name=f"connect-{name}"), ICEBERG)


def flink(load):
    return lambda bed, topic, kind, name: Flink(bed.scenario, bed.broker, bed.registry, load, topic, ONE, kind == "tuned",
                                                name=f"flink-{name}")


def flink_iceberg_append(scenario, options):
    """Flink SQL into Iceberg, Avro trips, append, one core."""
    load = trips(options, "avro", 300_000, 500_000)
    return against(scenario, options, load, flink(load), ICEBERG)


def flink_iceberg_upsert(scenario, options):
    """Flink SQL into Iceberg, Avro orders, upserts by equality deletes (deleted orders stay, marked), one core."""
    load = orders(options, "avro", size(options, 300_000, 500_000))
    return against_updates(scenario, options, load, size(options, 200_000, 250_000), flink(load), ICEBERG)


PEERS = [spark_hudi_append, spark_hudi_upsert, spark_iceberg_append, spark_iceberg_upsert, spark_delta_append,
         spark_delta_upsert, connect_iceberg_append, flink_iceberg_append, flink_iceberg_upsert]
LIMITS = [append_avro, append_json, append_avro_two, append_json_two, upsert_avro, upsert_dedup, upsert_compacting]
# the one that leaves most files comes last
GROWTH = [growth_kafka_partitions, growth_commits, growth_columns, growth_keys, growth_table_partitions]
ALL = [*LIMITS, freshness, start, *PEERS, *GROWTH]
FIVE = [append_avro, append_json, upsert_avro, upsert_dedup, start]  # runs, also when the run is short
THREE = [growth_commits, growth_columns, growth_keys]  # runs, also when it is full: no goal rests on these
# of the full run only; without them every goal still has a figure
LONG = [upsert_compacting, *(case for case in PEERS if case not in (spark_hudi_append, spark_hudi_upsert)), growth_commits,
        growth_columns, growth_keys]
