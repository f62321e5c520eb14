#!/usr/bin/env python3
"""What merging costs and whether a table that is looked after stays small; beside Spark when it is installed.

    bench/compaction/bench.py BENCH_BINARY MORAINE_BINARY [--day FILE] [--out FOLDER]

BENCH_BINARY is compaction_bench. Prints one JSON object per case. --day takes the lines of a `compaction_bench day` that ran
before instead of running it (an hour). --out writes compaction.svg there. Spark merges a copy of the same table with Hudi's own
compactor; its CPU seconds are those of planning and running the compaction in a session that stands already.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("MORAINE_CACHE", pathlib.Path.home() / ".cache/moraine")) / "integration"
SPARK = """
import os
import sys
from read_spark import make_session
bundle, table = sys.argv[1:]
session = make_session(bundle)
session.sql("set hoodie.metadata.enable=false")
session.sql("set hoodie.compact.inline.max.delta.commits=1")
session.read.format("hudi").load(table).schema


def cpu():
    with open(f"/proc/{session.sparkContext._gateway.proc.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


before = cpu()
for step in ("schedule", "run"):
    rows = session.sql(f"call run_compaction(op => '{step}', path => '{table}')").collect()
    assert rows, step
print("cpu", cpu() - before)
session.stop()
"""


def lines(command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{command}: {result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def cpu_of(command, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode != 0:
        sys.exit(f"{command[0]}: {result.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def spark_cpu(jar, table):
    """CPU seconds of Spark's own process for planning and running the compaction, its start not counted."""
    scripts = HERE.parents[1] / "integration/lib"
    result = subprocess.run([str(CACHE / "venv-main/bin/python"), "-c", SPARK, str(jar), str(table)], capture_output=True,
                            text=True, cwd=scripts)
    for line in result.stdout.splitlines():
        if line.startswith("cpu "):
            return float(line.split()[1])
    sys.exit(f"Spark: {result.stderr[-2000:]}")


def beside_spark(binary, moraine, folder):
    jars = sorted((CACHE / "jars").glob("hudi-spark3.5-bundle*-0.15*.jar"))
    if not jars:
        print("skipped: Spark is not installed (integration/setup)", file=sys.stderr)
        return
    table = folder / "table"
    lines([binary, "fill", table, 2_000_000, 10, 60_000])
    copy = folder / "copy"
    shutil.copytree(table, copy)
    ours = cpu_of([moraine, "compact", table, "--all", "--threads", "1"], folder)
    theirs = spark_cpu(jars[0], copy)
    same = [subprocess.run([str(moraine), "scan", str(t), "--output", "digest"], capture_output=True, text=True).stdout
            for t in (table, copy)]
    print(json.dumps({"case": "beside spark", "rows": 2_000_000, "cpu_s": round(ours, 2), "spark_cpu_s": round(theirs, 2),
                      "ratio": round(theirs / ours, 1), "same_rows": same[0] == same[1]}))


# ---- drawing ------------------------------------------------------------------------------------

PANELS = [("files", "data files"), ("timeline_objects", "objects of the timeline"), ("bytes", "bytes of data files"),
          ("plan_ms", "time to list and plan, ms"), ("scan_ms", "time to scan, ms"), ("own_objects", "objects below .hoodie/moraine")]
WIDTH, HEIGHT, GAP, LEFT = 420, 150, 46, 64


def nice_number(value):
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def panel(facts, name, title, x, y):
    values = [fact[name] for fact in facts]
    top, last = max(values) * 1.1 or 1, facts[-1]["commit"]
    points = " ".join(f"{x + fact['commit'] / last * WIDTH:.1f},{y + HEIGHT - fact[name] / top * HEIGHT:.1f}" for fact in facts)
    tenth = x + WIDTH / 10
    return (f'<text x="{x}" y="{y - 8}" font-weight="bold">{title}</text>'
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="#f7f8fa" stroke="#c8ccd4"/>'
            f'<line x1="{tenth}" y1="{y}" x2="{tenth}" y2="{y + HEIGHT}" stroke="#c8ccd4" stroke-dasharray="4 3"/>'
            f'<polyline points="{points}" fill="none" stroke="#2563a8" stroke-width="1.5"/>'
            f'<text x="{x - 6}" y="{y + 10}" text-anchor="end">{nice_number(top)}</text>'
            f'<text x="{x - 6}" y="{y + HEIGHT}" text-anchor="end">0</text>'
            f'<text x="{x + WIDTH}" y="{y + HEIGHT + 14}" text-anchor="end">{last} commits</text>')


def draw(facts, target):
    width, height = 2 * (WIDTH + LEFT) + 30, 3 * (HEIGHT + GAP) + 40
    panels = "".join(panel(facts, name, title, LEFT + i % 2 * (WIDTH + LEFT), 34 + i // 2 * (HEIGHT + GAP))
                     for i, (name, title) in enumerate(PANELS))
    target.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                      f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>{panels}</svg>\n')


def mean(facts, name):
    return sum(fact[name] for fact in facts) / len(facts)


def summary(facts):
    """Means of the second tenth and of the last one."""
    tenth = max(1, len(facts) // 10)
    early, late = facts[tenth:2 * tenth], facts[-tenth:]
    result = {"case": "day", "commits": facts[-1]["commit"], "cleaned_files": facts[-1]["cleaned_files"],
              "compactions": facts[-1]["compactions"]}
    for name, _ in PANELS:
        result[name] = [round(mean(early, name), 1), round(mean(late, name), 1)]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("moraine", type=pathlib.Path)
    parser.add_argument("--day", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    binary, moraine = options.binary.resolve(), options.moraine.resolve()
    with tempfile.TemporaryDirectory(prefix="moraine-bench-") as name:
        folder = pathlib.Path(name)
        runs = sorted((lines([binary, "merge", folder / f"merge{i}"])[0] for i in range(3)), key=lambda r: r["of_floor_cpu"])
        print(json.dumps(runs[1]))
        for line in lines([binary, "ingest", folder / "ingest"]):
            print(json.dumps(line))
        if options.day:
            facts = [json.loads(line) for line in options.day.read_text().splitlines() if line]
        else:
            facts = lines([binary, "day", folder / "day"])
        print(json.dumps(summary(facts)))
        if options.out:
            draw(facts, options.out / "compaction.svg")
        beside_spark(binary, moraine, folder)


if __name__ == "__main__":
    main()
