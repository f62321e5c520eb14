"""The program as a shell sees it: exit codes, what goes to which stream, help for every command, a demo end to end."""

import collections
import decimal
import json
import pathlib
import subprocess
import sys
import tempfile

BINARY, WRITER = sys.argv[1:]
failures = []


def run(*args):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=110)
    return done.returncode, done.stdout, done.stderr


def expect(what, condition, shown=""):
    print(("ok      " if condition else "FAILED  ") + what + ("" if condition else f"\n{shown}"))
    if not condition:
        failures.append(what)


def expect_exit(what, status, *args, out="", err=""):
    code, stdout, stderr = run(*args)
    expect(what, code == status and out in stdout and err in stderr, f"exit {code}\n{stdout}\n{stderr}")
    return stdout


def usage():
    overview = expect_exit("help goes to standard output", 0, "help", out="moraine <command>")
    commands = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
    expect("every command of the contract is there",
           {"run", "check", "demo", "scan", "history", "describe", "parquet", "status", "verify"} <= set(commands), overview)
    for command in commands:
        if command != "help":
            expect_exit(f"help {command}", 0, "help", command, out=f"moraine {command}")
    expect_exit("--version names librdkafka", 0, "--version", out="librdkafka")
    expect_exit("no command is wrong usage", 2, err="Usage")
    expect_exit("an unknown command is wrong usage", 2, "frobnicate", err="no command 'frobnicate'")
    expect_exit("an unknown option is wrong usage", 2, "scan", "x", "--frob", err="unknown option '--frob'")
    expect_exit("a missing argument is wrong usage", 2, "scan", err="missing argument")
    expect_exit("a wrong number is wrong usage", 2, "scan", "x", "--limit", "-1", err="--limit")
    expect_exit("an unknown output is wrong usage", 2, "scan", "x", "--output", "xml", err="json, csv, count, digest")
    expect_exit("half of what Kafka needs is wrong usage", 2, "verify", "x", "--topic", "t", err="belong together")
    expect_exit("a table that is not there fails", 1, "scan", "/nowhere/at/all", err="/nowhere/at/all")


def configuration(folder):
    (folder / "bad.yaml").write_text("memroy: 1GiB\ntopics: none-*.yaml\n")
    expect_exit("a wrong configuration says where", 2, "check", "--config", str(folder / "bad.yaml"),
                err="bad.yaml:1:1: unknown key 'memroy', did you mean 'memory'?")
    expect_exit("run refuses it too", 2, "run", "--config", str(folder / "bad.yaml"), err="memroy")
    (folder / "good.yaml").write_text(f"state_dir: {folder}/state\nkafka: {{bootstrap.servers: \"127.0.0.1:1\"}}\ntopics: topic.yaml\n")
    (folder / "topic.yaml").write_text(
        "topic: orders\nvalue: {format: json}\nschema: {fields: [{name: id, type: long}, {name: at, type: timestamp_ms}]}\n"
        f"key: [id]\nordering: at\ntable: {{format: hudi, location: \"file://{folder}/lake\"}}\n")
    expect_exit("a right one has a plan", 0, "check", "--config", str(folder / "good.yaml"), "--plan", "--offline",
                out="at TIMESTAMP")
    expect("and nothing is made by looking", not (folder / "state").exists() and not (folder / "lake").exists())
    (folder / "topic.yaml").write_text((folder / "topic.yaml").read_text().replace("ordering: at", "ordering: when"))
    expect_exit("a column that is not there is named", 2, "check", "--config", str(folder / "good.yaml"), "--offline",
                err="there is no column 'when'")
    (folder / "topic.yaml").write_text((folder / "topic.yaml").read_text().replace(f"file://{folder}/lake", "/proc/nowhere/lake")
                                       .replace("when", "at"))
    expect_exit("a folder that cannot be written is named with its place", 2, "check", "--config", str(folder / "good.yaml"),
                "--offline", err="topic.yaml:6:33: error: table.location: '/proc/nowhere/lake' cannot be written")


def catalogs(folder):
    expect_exit("a table in a catalog needs the configuration", 2, "scan", "lake:shop.orders", err="--config or in MORAINE_CONFIG")
    (folder / "lake.yaml").write_text("kafka: {bootstrap.servers: \"127.0.0.1:1\"}\ntopics: in-lake.yaml\n"
                                      "catalogs: {lake: {type: rest, uri: \"http://127.0.0.1:1\", credential: \"me:hush-hush\"}}\n")
    (folder / "in-lake.yaml").write_text("topic: orders\nvalue: {format: json}\nschema: {fields: [{name: id, type: long}]}\n"
                                         "table: {format: iceberg, catalog: {name: lake, namespace: shop}}\n")
    config = ["--config", str(folder / "lake.yaml")]
    for command in ("scan", "history", "describe", "compact", "clean", "verify"):
        expect_exit(f"{command} says which catalog it cannot reach", 1, command, "lake:shop.orders", *config, err="catalog 'lake'")
    expect_exit("a catalog that is not configured is named", 1, "scan", "pond:shop.orders", *config, err="no catalog 'pond'")
    expect_exit("the plan names the table as its catalog does", 0, "check", *config, "--plan", "--offline",
                out="CREATE TABLE lake.shop.orders (")
    code, stdout, stderr = run("check", *config)
    said = stdout + stderr
    expect("check says that the catalog was not reached", code == 1 and "in-lake.yaml:4:" in said and "catalog 'lake'" in said, said)
    expect("and keeps its secret", "hush" not in said, said)


def demo(folder):
    table = str(folder / "demo" / "orders")
    expect_exit("the demo's table equals its model", 0, "demo", "--rows", "20000", "--dir", str(folder / "demo"), out=": equal")
    rows = expect_exit("scan prints a row a line", 0, "scan", table, "--limit", "7").splitlines()
    expect("each is JSON", len(rows) == 7 and all("order_id" in json.loads(row) for row in rows), rows)
    count = int(expect_exit("scan counts", 0, "scan", table, "--output", "count"))
    csv = expect_exit("scan prints CSV", 0, "scan", table, "--output", "csv", "--columns", "order_id,amount").splitlines()
    expect("with a header and every row", csv[0] == "order_id,amount" and len(csv) == count + 1, csv[:3])
    digests = {expect_exit("scan digests", 0, "scan", table, "--output", "digest") for _ in range(2)}
    expect("the digest is stable and counts rows", len(digests) == 1 and digests.pop().split()[1] == str(count))
    expect_exit("an unknown column is named", 1, "scan", table, "--columns", "nope", err="no column 'nope'")
    history = json.loads(expect_exit("history as JSON", 0, "history", table, "--output", "json"))
    read = sum(commit["moraine"]["rows"]["read"] for commit in history)
    expect("the ledger counts every record", read == 20000, read)
    described = json.loads(expect_exit("describe as JSON", 0, "describe", table, "--output", "json"))
    expect("with offsets of every partition", sum(o[0] for o in described["offsets"].values()) == 20000, described)
    expect_exit("the table is what it says it is", 0, "verify", table, out="right: 0 findings")
    report = json.loads(expect_exit("also as JSON", 0, "verify", table, "--output", "json"))
    expect_exit("a table is complete up to its watermark", 0, "wait-for", table, "--until", described["watermark"] if isinstance(
        described.get("watermark"), str) else "2020-01-01", out="20")
    expect_exit("beyond it waiting has an end", 1, "wait-for", table, "--until", "2999-01-01", "--timeout", "1s",
                err="is not complete yet: 20")
    expect_exit("a table that is not there yet is waited for, too", 1, "wait-for", str(folder / "later"), "--until", "2020-01-01",
                "--timeout", "1s", err="there is no table yet")
    expect("with what was looked at", report["right"] and report["checks"][0]["numbers"]["offsets"] == 20000, report)
    base = next(pathlib.Path(table).rglob("*.parquet"))
    expect_exit("parquet looks inside a base file", 0, "parquet", str(base), out="_hoodie_record_key")
    base.write_bytes(base.read_bytes()[:-1])
    expect_exit("a damaged table is found", 1, "verify", table, out="FINDING [files: damaged file]")


def upkeep(folder, version):
    """Changes, merging, deleting and cleaning; a dry run says what the real one does."""
    table = str(folder / f"v{version}")
    subprocess.run([WRITER, table, f"{table}.json", f"version={version}", "keyed=1", "partition=day", "types=simple", "commits=6",
                    "rows=300", "keys=500"], check=True, stdout=subprocess.DEVNULL)
    history = json.loads(expect_exit("history of a table", 0, "history", table, "--output", "json"))
    first, last = history[0]["version"], history[-1]["version"]
    count = int(expect_exit("rows of the first version", 0, "scan", table, "--version", first, "--output", "count"))
    now = int(expect_exit("and of the newest", 0, "scan", table, "--output", "count"))

    def changes(*options):
        lines = expect_exit("changes are rows", 0, "scan", table, "--changes-since", first, *options).splitlines()
        return collections.Counter(json.loads(line)["_change"] for line in lines)

    found = changes()
    expect("inserts and deletes make up for the difference", found["insert"] - found["delete"] == now - count, found)
    expect("updates are told as well", set(found) == {"insert", "update", "delete"}, found)
    expect("a version differs by nothing from itself", not changes("--version", first))
    expect_exit("a version that is gone is named", 1, "scan", table, "--changes-since", "20200101000000000",
                err="20200101000000000")
    listed = expect_exit("what is due can be listed", 0, "compact", table, "--max-delta-bytes", "1B", "--max-delta-files",
                         "1000000", "--max-delta-ratio", "1000", "--dry-run")
    expect("worst first", (order := [float(line.rsplit(" ", 1)[1]) for line in listed.splitlines()[:-1]]) and
           order == sorted(order, reverse=True), listed)
    expect_exit("a table is merged", 0, "compact", table, "--all", out="file groups rewritten")
    expect("merging is no change", changes() == found)
    key = json.loads(expect_exit("a key", 0, "scan", table, "--limit", "1"))["id"]
    (keys := pathlib.Path(table).parent / "keys").write_text(f"{key}\nno such key\n")
    expect_exit("rows to be deleted are counted", 0, "delete", table, "--keys", str(keys), "--dry-run", out="1 rows would be")
    expect_exit("and deleted", 0, "delete", table, "--keys", str(keys), out="1 rows deleted in 1 commits")
    expect_exit("which is nothing the second time", 0, "delete", table, "--keys", str(keys), out="0 rows deleted in 0 commits")
    expect_exit("old files have them still", 1, "delete", table, "--keys", str(keys), "--check", out="data files hold such rows")
    expect_exit("the deletes are merged in", 0, "compact", table, "--all")
    clean = "clean", table, "--retain", "1ms", "--min-snapshots", "1"
    before = {str(p): p.stat().st_size for p in pathlib.Path(table).rglob("*") if p.is_file()}
    planned = expect_exit("cleaning lists what would go", 0, *clean, "--dry-run").splitlines()
    files = {table + "/" + line.split("\t")[1]: int(line.split("\t")[2]) for line in planned if line.startswith("file")}
    expect("and removes nothing", {str(p) for p in pathlib.Path(table).rglob("*") if p.is_file()} == set(before))
    done = expect_exit("cleaning", 0, *clean).splitlines()
    after = {str(p) for p in pathlib.Path(table).rglob("*") if p.is_file()}
    gone = {p: size for p, size in before.items() if p not in after and ".hoodie" not in p}
    expect("what went is what was listed, byte for byte", gone == files and files, (len(gone), len(files)))
    expect("and the sums agree", [l.replace("would go", "are gone") for l in planned if not l.startswith(("file", "version"))] ==
           done, (planned[-3:], done))
    expect_exit("no file holds the key any more", 0, "delete", table, "--keys", str(keys), "--check", out="0 data files")
    expect_exit("the old version is gone", 1, "scan", table, "--version", last, err=last)
    expect_exit("and its changes", 1, "scan", table, "--changes-since", first, err=first)


def conditions(folder):
    """Conditions on columns of every type, nulls among them, against what the same rows say here."""
    table = str(folder / "types")
    for commits in ("commits=4", "commits=2", "start=7"):
        subprocess.run([WRITER, table, f"{table}.json", "version=9", "keyed=1", "partition=two", "types=all", "rows=150",
                        "keys=300", commits], check=True, stdout=subprocess.DEVNULL)
        if commits == "commits=4":
            expect_exit("base files to prune", 0, "compact", table, "--all")
    rows = [json.loads(line) for line in expect_exit("all rows", 0, "scan", table).splitlines()]
    columns = json.loads(expect_exit("the schema", 0, "describe", table, "--output", "json"))["schema"]
    for column in columns:
        name, kind = column["name"], column["type"].split("(")[0]
        if kind.split("<")[0] in ("struct", "list", "map", "bytes"):
            tests = {f"{name} is null": lambda v: v is None, f"{name} is not null": lambda v: v is not None}
        else:
            tests = comparisons(name, kind, [row[name] for row in rows])
        for text, test in tests.items():
            wanted = sum(test(row[name]) is True for row in rows)
            found = int(expect_exit(text, 0, "scan", table, "--where", text, "--output", "count") or -1)
            expect(f"has {wanted} rows", found == wanted, f"{found} for {text}")


def comparisons(name, kind, values):
    read = decimal.Decimal if kind == "decimal" else float if kind in ("float", "double") else lambda v: v
    known = sorted({read(v) for v in values if v is not None and v == v and v not in ("NaN", "Infinity", "-Infinity")})
    low, high = known[len(known) // 3], known[2 * len(known) // 3]

    def literal(value):
        if kind in ("string", "date", "timestamp_us"):
            return "'" + value.replace("'", "''") + "'"
        return str(value).lower() if kind == "boolean" else f"{value!r}" if kind in ("float", "double") else str(value)

    def on(test):
        return lambda v: None if v is None else test(float("inf") if v == "NaN" else read(v))

    a, b = literal(low), literal(high)
    if kind == "string":  # bytes decide, as in files
        return {f"{name} = {a}": on(lambda v: v == low), f"{name} > {a}": on(lambda v: v.encode() > low.encode()),
                f"{name} in ({a}, {b})": on(lambda v: v in (low, high)), f"{name} is null": lambda v: v is None,
                f"not {name} <= {b}": on(lambda v: v.encode() > high.encode())}
    return {f"{name} = {a}": on(lambda v: v == low), f"{name} < {b}": on(lambda v: v < high),
            f"{name} in ({a}, {b})": on(lambda v: v in (low, high)), f"{name} is null": lambda v: v is None,
            f"not {name} between {a} and {b}": on(lambda v: not low <= v <= high),
            f"{name} <> {a} or {name} is null": lambda v: v is None or read(v) != low}


with tempfile.TemporaryDirectory() as name:
    usage()
    configuration(pathlib.Path(name))
    catalogs(pathlib.Path(name))
    demo(pathlib.Path(name))
    for version in (6, 9):
        upkeep(pathlib.Path(name), version)
    conditions(pathlib.Path(name))
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
