"""From what main.py kept to the list of figures and their page: figures.py RESULTS [--state FILE]... --out FILE [--docs FOLDER]

--out gets the list of {"case","value","unit","against","ratio","goal","met","command"}; --docs also benchmarks.json,
benchmarks.md and its plots. A figure that rests on the clock is judged only when the rest of the machine was quiet.
"""

import argparse
import json
import pathlib
import statistics

import plots

QUIET = 0.25  # cores that others may have kept busy for the clock to count
COMMAND = "bench/versus/run{} --only {}"
PEER_NAMES = {"spark_hudi": "Spark to Hudi MoR", "spark_iceberg": "Spark to Iceberg", "spark_delta": "Spark to Delta",
              "connect_iceberg": "Iceberg's sink on Kafka Connect", "flink_iceberg": "Flink to Iceberg"}


def median(runs, value):
    return statistics.median(value(run) for run in runs)


def cost(run):
    """CPU microseconds a record, from the moment records could flow."""
    return run.get("cpu_steady", run["cpu"]) / run["records"] * 1e6


def rate(run):
    """Visible records a second."""
    return run.get("visible_rate") or run["records"] / run.get("seconds_steady", run["seconds"])


def busy(runs):
    """Cores that others kept busy."""
    return median(runs, lambda run: run.get("others_cores", 0))


# every case of cases.py: those without a published run are named
KNOWN = ["append_avro", "append_json", "append_avro_two", "append_json_two", "upsert_avro", "upsert_dedup", "upsert_compacting",
         "freshness", "start", "spark_hudi_append", "spark_hudi_upsert", "spark_iceberg_append", "spark_iceberg_upsert",
         "spark_delta_append", "spark_delta_upsert", "connect_iceberg_append", "flink_iceberg_append", "flink_iceberg_upsert",
         "growth_kafka_partitions", "growth_table_partitions", "growth_commits", "growth_columns", "growth_keys"]
ENGINES = {"limit": "librdkafka alone", "moraine": "moraine", "defaults": "defaults", "tuned": "tuned",
           "moraine_long": "moraine, four times the records", "tuned_long": "tuned, four times the records"}


class Report:
    def __init__(self, cases):
        self.cases, self.figures = cases, []

    def add(self, case, value, unit, against=None, ratio=None, goal=None, met=None, source=None, **more):
        command = COMMAND.format(" --full" if source and self.cases[source].get("full") else "", source) if source else None
        self.figures.append({"case": case, "value": value, "unit": unit, "against": against, "ratio": ratio, "goal": goal,
                             "met": met, "command": command, **more})

    def not_run(self, case, unit, goal, source):
        """A goal without a figure."""
        self.add(case, None, unit, goal=goal)
        self.figures[-1]["command"] = COMMAND.format("", source)

    # ---- against the limit -----------------------------------------------------------------------

    def against_limit(self, name, title, goal):
        case = self.cases.get(name)
        if not case:
            if goal:
                self.not_run(title, "rows per CPU-second", f">= {goal}", name)
            return
        ours, limit = case["moraine"], case["limit"]
        by_cpu = median(limit, cost) / median(ours, cost)
        by_clock = median(ours, rate) / median(limit, rate)
        quiet = max(busy(ours), busy(limit)) <= QUIET + (1 if name.endswith("two") else 0)
        ratio = by_clock if quiet else by_cpu
        self.add(title, round(1e6 / median(ours, cost)), "rows per CPU-second",
                 {"librdkafka alone, records per CPU-second": round(1e6 / median(limit, cost))}, round(ratio, 3),
                 f">= {goal}" if goal else None, ratio >= goal if goal else None, name, ratio_cpu=round(by_cpu, 3),
                 ratio_clock=round(by_clock, 3), judged_by="clock" if quiet else "CPU time", others_cores=round(busy(ours), 2),
                 rows_per_s=round(median(ours, rate)), rss_mib=round(median(ours, lambda r: r["rss"]) / (1 << 20)),
                 runs=len(ours))

    def two_cores(self):
        for kind in ("avro", "json"):
            one, two = self.cases.get(f"append_{kind}"), self.cases.get(f"append_{kind}_two")
            if not one or not two:
                self.not_run(f"two cores against one, append {kind}", "rows/s", ">= 1.7", f"append_{kind},append_{kind}_two")
                continue
            ratio = median(two["moraine"], rate) / median(one["moraine"], rate)
            quiet = busy(one["moraine"]) <= QUIET and busy(two["moraine"]) <= QUIET + 1
            self.add(f"two cores against one, append {kind}", round(median(two["moraine"], rate)), "rows/s",
                     {"one core": round(median(one["moraine"], rate))}, round(ratio, 2), ">= 1.7", ratio >= 1.7 if quiet else None,
                     f"append_{kind}_two", judged_by="clock" if quiet else "not judged: the machine was busy")

    # ---- peers -----------------------------------------------------------------------------------

    def peers(self, kind):
        """[(title, case, cost, memory, those of moraine in the same case)] of JVM peers, by their settings."""
        found = []
        for name, case in self.cases.items():
            if not name.endswith(f"_{kind}") or not case.get("moraine"):
                continue
            for settings in ("defaults", "tuned"):
                if case.get(settings):
                    title = f"{PEER_NAMES.get(name.removesuffix(f'_{kind}'), name)}, {settings}"
                    found.append((title, name, *(f(case[who]) for who in (settings, "moraine") for f in (
                        lambda runs: median(runs, cost), lambda runs: median(runs, lambda run: run["rss"])))))
        return found

    def against_peers(self, kind):
        rivals = self.peers(kind)
        if not rivals:
            self.not_run(f"rows per CPU-second against the best JVM peer, {kind}", "rows per CPU-second", ">= 30", f"spark_hudi_{kind}")
            self.not_run(f"peak RSS against the best JVM peer, {kind}", "MiB", "<= 0.1", f"spark_hudi_{kind}")
            return
        title, source, theirs, _, ours, _ = min(rivals, key=lambda r: r[2] / r[4])
        ratio = theirs / ours
        self.add(f"rows per CPU-second against the best JVM peer, {kind}", round(1e6 / ours), "rows per CPU-second",
                 {t: round(1e6 / c) for t, _, c, *_ in rivals}, round(ratio, 1), ">= 30", ratio >= 30, source, best=title)
        title, source, _, theirs, _, ours = min(rivals, key=lambda r: r[3] / r[5])
        self.add(f"peak RSS against the best JVM peer, {kind}", round(ours / (1 << 20)), "MiB",
                 {t: round(m / (1 << 20)) for t, _, _, m, *_ in rivals}, round(ours / theirs, 3), "<= 0.1", ours / theirs <= 0.1,
                 source, best=title)

        longer = [(f"{PEER_NAMES[name.removesuffix(f'_{kind}')]}, tuned", name, median(case["tuned_long"], cost),
                   median(case["moraine_long"], cost)) for name, case in self.cases.items()
                  if name.endswith(f"_{kind}") and case.get("tuned_long") and case.get("moraine_long")]
        if longer:
            title, source, theirs, ours = min(longer, key=lambda r: r[2] / r[3])
            self.add(f"the same, four times the records, {kind}", round(1e6 / ours), "rows per CPU-second",
                     {t: round(1e6 / c) for t, _, c, _ in longer}, round(theirs / ours, 1), None, None, source, best=title)

    # ---- the rest --------------------------------------------------------------------------------

    def rss(self):
        for name, case in self.cases.items():
            budget = case.get("memory")
            if not budget or not case.get("moraine"):
                continue
            mib = int(budget[:-3]) * (1024 if budget.endswith("GiB") else 1)
            peak = max(run["rss"] for run in case["moraine"]) / (1 << 20)
            self.add(f"peak RSS against the budget, {name}", round(peak), "MiB", {"budget": mib}, round(peak / mib, 2),
                     f"<= {mib + 64}", peak <= mib + 64, name)

    def times(self):
        title = "freshness p99, 1 s commits, half of the drain rate, 100,000 a second at most"
        case = self.cases.get("freshness")
        if case:
            p99 = median(case["moraine"], lambda r: r["p99"])
            self.add(title, round(p99, 2), "s",
                     {"p50": round(median(case["moraine"], lambda r: r["p50"]), 2), "records/s": round(case["rate"])}, None, "<= 1.5",
                     p99 <= 1.5, "freshness")
        else:
            self.not_run(title, "s", "<= 1.5", "freshness")
        case = self.cases.get("start")
        if case:
            first = median(case["moraine"], lambda r: r["first_commit_s"])
            self.add(f"start to first commit, {case['load']['keys']:,} keys in the local state", round(first, 2), "s",
                     {"CPU seconds": round(median(case["moraine"], lambda r: r["cpu"]), 2)}, None, "<= 2", first <= 2, "start")
        else:
            self.not_run("start to first commit", "s", "<= 2", "start")

    def growth(self):
        for name, title, goal in (("growth_kafka_partitions", "Kafka partitions", 1.3), ("growth_table_partitions", "open table partitions", 1.3),
                                  ("growth_commits", "seconds between commits", None), ("growth_columns", "columns", None),
                                  ("growth_keys", "million keys", None)):
            case = self.cases.get(name)
            if not case:
                if goal:
                    self.not_run(f"cost of a row by {title}", "us of CPU", f"<= {goal}", name)
                continue
            steps = [(step["size"], median(step["moraine"], cost)) for step in case["steps"]]
            least, most = steps[0], steps[-1]
            ratio = most[1] / least[1]
            self.add(f"cost of a row from {least[0]} to {most[0]} {title}", round(most[1], 3), "us of CPU",
                     {f"{size} {title}": round(us, 3) for size, us in steps}, round(ratio, 2), f"<= {goal}" if goal else None,
                     ratio <= goal if goal else None, name)

    def build(self):
        self.against_limit("append_avro", "append Avro, 1 core, against librdkafka alone", 0.45)
        self.against_limit("append_json", "append JSON, 1 core, against librdkafka alone", 0.35)
        self.against_limit("upsert_avro", "keyed upsert Avro to Hudi logs, 1 core, against librdkafka alone", 0.50)
        self.against_limit("upsert_dedup", "the same with a dedup window", 0.30)
        self.against_limit("upsert_compacting", "the same with compaction beside it", None)
        self.against_limit("append_avro_two", "append Avro, 2 cores, against librdkafka alone", None)
        self.against_limit("append_json_two", "append JSON, 2 cores, against librdkafka alone", None)
        self.two_cores()
        for kind in ("append", "upsert"):
            self.against_peers(kind)
        self.rss()
        self.times()
        self.growth()
        return self.figures


# ---- the page ------------------------------------------------------------------------------------------


def cell(value):
    return "" if value is None else f"{value:,}" if isinstance(value, (int, float)) else str(value)


def goals_table(figures):
    lines = ["| case | value | against | ratio | goal | met |", "|---|---|---|---|---|---|"]
    for f in figures:
        against = f["against"] if not isinstance(f["against"], dict) else ", ".join(f"{k} {cell(v)}" for k, v in f["against"].items())
        unmet = "not run" if f["value"] is None else "not judged"
        met = {True: "yes", False: "**no**", None: unmet if f["goal"] else ""}[f["met"]]
        lines.append(f"| {f['case']} | {cell(f['value'])} {f['unit'] if f['value'] is not None else ''} | {cell(against)} | {cell(f['ratio'])} | {cell(f['goal'])} | {met} |")
    return lines


def runs_table(cases):
    lines = ["| case | engine | runs | µs of CPU a row | rows/s by the clock | peak RSS, MiB | commits | files | bytes a row | others' cores |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for name, case in cases.items():
        rows = [(key, case[key]) for key in ENGINES if case.get(key) and "cpu" in case[key][0]
                and "seconds" in case[key][0]]
        rows += [(f"{step['size']}", step["moraine"]) for step in case.get("steps", [])]
        for engine, runs in rows:
            costs = sorted(cost(r) for r in runs)
            lines.append(
                f"| {name} | {ENGINES.get(engine, engine)} | {len(runs)} | {statistics.median(costs):.3f}"
                + (f" ({costs[0]:.3f}–{costs[-1]:.3f})" if len(costs) > 1 else "")
                + f" | {median(runs, rate):,.0f} | " + (f"{median(runs, lambda r: r['rss']) / (1 << 20):,.0f}" if "rss" in runs[0] else "")
                + " | " + (f"{median(runs, lambda r: r['commits']):.0f} | {median(runs, lambda r: r['files']):.0f} | "
                           f"{median(runs, lambda r: r['bytes'] / r['records']):.1f}" if "files" in runs[0] else " | | ")
                + f" | {busy(runs):.1f} |")
    return lines


def freshness_table(cases):
    case = cases.get("freshness")
    if not case:
        return ["No run of this case is published yet."]
    lines = ["| run | records/s asked | sent | p50, s | p99, s | longest, s | commits | CPU, cores |", "|---|---|---|---|---|---|---|---|"]
    for number, run in enumerate(case["moraine"], 1):
        cores = run["cpu"] * run["sent_rate"] / run["records"]
        lines.append(f"| {number} | {run['rate']:,.0f} | {run['sent_rate']:,.0f} | {run['p50']:.2f} | {run['p99']:.2f} | {run['max']:.2f} "
                     f"| {run['commits']} | {cores:.2f} |")
    return lines


def missing_table():
    lines = ["| peer | tried | what happened | stands for it |", "|---|---|---|---|"]
    for fact in json.loads((pathlib.Path(__file__).parent / "unavailable.json").read_text()):
        lines.append("| " + " | ".join(fact[part] or "nothing" for part in ("peer", "tried", "happened", "instead")) + " |")
    return lines


def settings_list(cases):
    lines = []
    for name, case in cases.items():
        loads = [case["load"]] if "load" in case else [step["load"] for step in case["steps"]]
        lines += ["", f"`{name}`", "", *(f"- records: `{json.dumps(load)}`" for load in loads)]
        if "memory" in case:
            lines.append(f"- memory: {case['memory']}")
        told = [case.get("settings", {}), *(step.get("settings", {}) for step in case.get("steps", []))]
        lines += [f"- {who}: `{json.dumps(what)}`" for settings in told for who, what in settings.items()]
    return lines[1:]


def stages_table(cases):
    lines = []
    for name, case in cases.items():
        stages, shares = case.get("stages"), case.get("shares")
        if stages:
            lines += ["", f"`{name}`, each step by itself, one thread, ns a record: "
                      + ", ".join(f"{k} {v}" for k, v in stages.items()) + "."]
        if shares:
            total = cost(case["profiled"])
            lines += ["", f"`{name}`, a profiled run, of {total:.2f} µs a record:", "", "| where | µs |", "|---|---|"]
            lines += [f"| {where} | {share * total:.3f} |" for where, share in shares.items() if share * total >= 0.005]
    return lines


def page(results, figures, folder):
    cases = results["cases"]
    any_case = next(iter(cases.values()))
    versions, machine = any_case["versions"], any_case["machine"]
    worst = max(case.get("load_average", 0) for case in cases.values())
    bars = []
    for name, case in cases.items():
        for engine in ENGINES:
            if case.get(engine) and "cpu" in case[engine][0] and "seconds" in case[engine][0]:
                bars.append((f"{name}: {ENGINES[engine]}", median(case[engine], cost)))
    (folder / "benchmarks-cost.svg").write_text(plots.bars("CPU microseconds a record (logarithmic)", bars))
    text = (pathlib.Path(__file__).parent / "page.md").read_text()
    growth = []
    for name, case in cases.items():
        if case.get("steps"):
            points = [(step["size"], median(step["moraine"], cost)) for step in case["steps"]]
            title = name.removeprefix("growth_").replace("_", " ")
            (folder / f"benchmarks-{name}.svg").write_text(plots.line(f"CPU microseconds a record by {title}", points))
            growth.append(f"![cost of a row by {title}](benchmarks-{name}.svg)")
    values = {
        "goals": "\n".join(goals_table(figures)), "runs": "\n".join(runs_table(cases)), "stages": "\n".join(stages_table(cases)),
        "growth": "\n".join(growth) or "No run of these cases is published yet.",
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}",
        "versions": ", ".join(f"{k} {v}" for k, v in versions.items()).replace("\n", ", "), "load": f"{worst:.0f}",
        "freshness": "\n".join(freshness_table(cases)), "unavailable": "\n".join(missing_table()),
        "settings": "\n".join(settings_list(cases)),
        "missing": ", ".join(f"`{n}`" for n in KNOWN if n not in cases) or "none",
        "partial": ", ".join(f"`{n}` ({k})" for n, c in cases.items() if "defaults" in c for k in ("defaults", "tuned") if not c[k])
                   or "none",
        "full": ", ".join(n for n, c in cases.items() if c.get("full")) or "none",
    }
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    (folder / "benchmarks.md").write_text(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results")
    parser.add_argument("--state", action="append", default=[], help="further lists of figures")
    parser.add_argument("--out", required=True)
    parser.add_argument("--docs")
    options = parser.parse_args()
    results = json.loads(pathlib.Path(options.results).read_text())
    figures = Report(results["cases"]).build()
    for path in options.state:
        figures += json.loads(pathlib.Path(path).read_text())
    text = "[\n" + ",\n".join(json.dumps(f) for f in figures) + "\n]\n"
    pathlib.Path(options.out).write_text(text)
    if options.docs:
        folder = pathlib.Path(options.docs)
        (folder / "benchmarks.json").write_text(text)
        page(results, figures, folder)


if __name__ == "__main__":
    main()
