"""The cases. Each takes (scenario, options) and returns what it measured: {"load": …, engine: [runs]}."""

import shutil

from bed import Bed
from engine_moraine import Moraine
from loads import Load
from rig import say

ONE, TWO = "1", "0,1"


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
    found = {"load": describe(load), "limit": [], "moraine": []}
    for number in range(options.runs):
        found["limit"].append(bed.consume(topic, cpus))
        tell("limit", found["limit"][-1])
        found["moraine"].append(drain_once(bed, load, topic, cpus, number, prefix=profiler(options, number)))
        tell("moraine", found["moraine"][-1])
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
                     **topic)
    found = {"load": {**describe(load), "count": updates}, "memory": memory, "limit": [], "moraine": []}
    found["insert"] = [engine.drain(bed.sent[name]["offsets"], bed.sent[name]["records"])]
    tell("inserts", found["insert"][0])
    for number in range(options.runs):
        more = load.with_(count=updates, first=keys + number * updates)
        bed.send(more, name)
        found["moraine"].append(engine.drain(bed.sent[name]["offsets"], bed.sent[name]["last"]))
        tell("moraine", found["moraine"][-1])
        found["limit"].append(bed.consume(name, ONE))
        tell("limit", found["limit"][-1])
    bed.check(load, name, "hudi", engine.table)
    return found


def upsert_avro(scenario, options):
    """Avro updates (Zipf) and deletes of a table's keys, one core."""
    keys, updates = size(options, (1_000_000, 2_000_000), (10_000_000, 10_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "2GiB"))


def upsert_dedup(scenario, options):
    """The same with a dedup window that holds every event id."""
    keys, updates = size(options, (1_000_000, 2_000_000), (10_000_000, 10_000_000))
    return upsert(scenario, options, keys, updates, size(options, "512MiB", "3GiB"),
                  dedup={"by": ["event_id"], "window": "24h"}, event_time={"field": "updated_at"})


ALL = [append_avro, append_json, append_avro_two, append_json_two, upsert_avro, upsert_dedup]
LONG = []
