"""Runs cases and keeps what they gave: main.py [--full] [--runs N] [--only CASE,...] [--results FILE] [--scale F]
[--settings defaults,tuned] [--perf FILE].

Every case appends to the results file (JSON), so that cases can be run one at a time; `figures.py` makes the list of figures
and the page of it. The broker, the registry and this program stay on the first core; what is measured gets the others, or all
of them where the case says so.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
import traceback

import cases
import rig
from rig import say


def versions():
    """What was measured, by name."""
    pins = rig.VERSIONS | rig.read_versions(pathlib.Path(__file__).parent / "versions")
    found = {"kafka": pins["KAFKA"], "spark": pins["PYSPARK"], "hudi": pins["HUDI_BUNDLE_NEW"], "iceberg": pins["ICEBERG"],
             "delta": pins["DELTA_PEER"], "flink": pins["FLINK"], "connect": pins["CONNECT"], "hudi_rs": pins["HUDI_RS"],
             "pyiceberg": pins["PYICEBERG"], "delta_rs": pins["DELTALAKE_READER"], "python": platform.python_version()}
    found["moraine"] = subprocess.run([rig.BINARY, "--version"], capture_output=True, text=True).stdout.strip().removeprefix("moraine ")
    commit = subprocess.run(["git", "-C", rig.HERE.parent, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    found["commit"] = commit.stdout.strip()
    java = subprocess.run(["java", "-version"], capture_output=True, text=True)
    found["java"] = java.stderr.splitlines()[0]
    return found


def machine():
    model = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    memory = next(line.split()[1] for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {"cpu": model[0], "cores": len(model), "memory_gib": round(int(memory) / (1 << 20), 1), "kernel": platform.release()}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="the sizes of the published run")
    parser.add_argument("--runs", type=int, help="repetitions of each measurement (default 5; 3 of most cases in a short run)")
    parser.add_argument("--only", default="", help="names of cases, with commas")
    parser.add_argument("--scale", type=float, default=1, help="of the number of records: 0.1 to see whether a case works")
    parser.add_argument("--results", default=str(pathlib.Path(os.environ["MORAINE_BUILD"]) / "versus.json"))
    parser.add_argument("--settings", default="defaults,tuned", help="those of peers (default: defaults,tuned)")
    parser.add_argument("--perf", help="one run more of some cases, profiled into this file (perf record)")
    parser.add_argument("--list", action="store_true", help="names the cases")
    return parser.parse_args()


def keep(path, case, options):
    """Runs a case and puts what it gave into the file."""
    started = time.monotonic()
    with rig.Scenario(f"versus-{case.__name__}") as scenario:
        found = case(scenario, options)
        found |= {"full": options.full, "machine": machine(), "versions": versions(), "load_average": os.getloadavg()[2],
                  "took_s": round(time.monotonic() - started)}
        results = json.loads(path.read_text()) if path.exists() else {"cases": {}}
        known = results["cases"].get(case.__name__, {})
        for kind in ("defaults", "tuned"):  # of another run of the case, when this one left it out
            if kind in found and not found[kind] and known.get(kind):
                found[kind] = known[kind]
        results["cases"][case.__name__] = found
        rig.write_json(path, results)


def main():
    options = arguments()
    options.settings = options.settings.split(",")
    runs = options.runs
    chosen = [case for case in cases.ALL if not options.only or
              case.__name__ in options.only.replace("-", "_").split(",")]
    if options.perf and not shutil.which("perf"):
        say("perf is not installed: no run is profiled")
        options.perf = None
    if options.list:
        for case in cases.ALL:
            print(f"{case.__name__:24} {case.__doc__.splitlines()[0]}")
        return
    os.sched_setaffinity(0, {0})
    path = pathlib.Path(options.results)
    failed = []
    for case in chosen:
        if not options.only and case in cases.LONG and not options.full:
            continue
        say(f"== {case.__name__}")
        options.runs = runs or (5 if case in cases.FIVE or options.full and case not in cases.THREE else 3)
        try:
            keep(path, case, options)
        except SystemExit:  # the scenario has said why
            failed.append(case.__name__)
        except Exception:
            traceback.print_exc()
            failed.append(case.__name__)
    if failed:
        say(f"failed: {', '.join(failed)}")
    sys.exit(1 if failed else 0)


main()
