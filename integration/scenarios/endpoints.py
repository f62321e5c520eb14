"""The HTTP side of a running service: every metric of the contract under its name, judged by promtool and by Prometheus
itself together with the alerts and the dashboard; answers within 100 ms while records pour in and 200 clients ask; thousands
of malformed requests do no harm; planted secrets are nowhere to be seen."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import rig
from broker import Broker
from order_scenario import OrderTopic
from registry import Registry
from rig import Scenario, expect, say
from service import Service

DOCS = rig.HERE.parent / "docs"
SECRETS = {"env": "planted-env-8c1f", "file": "planted-file-77aa", "token": "planted-token-4e2b", "registry": "planted-registry-0b9d",
           "sasl": "planted-sasl-51d3", "plain": "planted-plain-c0de", "address": "planted-address-3f60"}
METRICS = """consumed_records_total consumed_bytes_total rows_total lag_records lag_seconds watermark_seconds
watermark_lag_seconds commits_total commit_duration_seconds_bucket last_commit_timestamp_seconds freshness_seconds_bucket
files_written_total bytes_written_total memory_used_bytes memory_limit_bytes paused_partitions dead_letters_total
rebalances_total fenced_total build_info ready schema_changes_total state_entries state_bytes index_lookups_total
storage_requests_total lateness_seconds_bucket future_records_total late_records_total""".split()
UPKEEP = ["delta_files", "file_groups", "compaction_pending", "compaction_duration_seconds_bucket", "compaction_bytes_total",
          "cleaned_files_total"]


def scrape(service, accept="text/plain"):
    request = urllib.request.Request(service.url + "/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def names_in(text):
    return set(re.findall(r"^(moraine_[a-z_]+)", text, re.M))


def judge_metrics(service):
    text = scrape(service)
    missing = [name for name in METRICS if f"moraine_{name}" not in names_in(text)]
    expect(not missing, f"missing: {missing}")
    if shutil.which("promtool") is None:
        say("  skipped: promtool (package prometheus) is not here")
        return
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    expect(checked.returncode == 0, f"promtool check metrics: {checked.stdout}{checked.stderr}")
    checked = subprocess.run(["promtool", "check", "rules", DOCS / "alerts.yaml"], capture_output=True, text=True)
    expect(checked.returncode == 0, f"promtool check rules: {checked.stdout}{checked.stderr}")
    say(f"  {len(names_in(text))} names; {checked.stdout.strip().splitlines()[-1].strip()}")


def dashboard_expressions():
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [expression.replace("$instance", ".*").replace("$topic", ".*") for expression in found]


def judge_names(service, known):
    """Every metric that rules and dashboard ask for is one that the service tells, under that very name."""
    rules = re.findall(r"expr: (.*)", (DOCS / "alerts.yaml").read_text())
    asked = set().union(*(set(re.findall(r"moraine_[a-z_]+", text)) for text in rules + dashboard_expressions()))
    unknown = asked - known - {"moraine_stuck_seconds"}  # absent while all is well
    expect(not unknown, f"asked for by alerts or dashboard, but not told: {sorted(unknown)}")
    say(f"  {len(rules)} rules and {len(dashboard_expressions())} panels' expressions ask for {len(asked)} names, all told")


def judge_by_prometheus(scenario, service):
    """A real Prometheus scrapes the service, takes the rules, and evaluates every expression of the dashboard."""
    if shutil.which("prometheus") is None:
        say("  skipped: prometheus is not here")
        return
    (port,) = rig.free_ports(1)
    folder = scenario.folder / "prometheus"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(DOCS / "alerts.yaml")],
        "scrape_configs": [{"job_name": "moraine", "static_configs": [{"targets": [service.url.removeprefix("http://")]}]}]}))
    scenario.process("prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                    f"--web.listen-address=127.0.0.1:{port}"])

    def query(expression):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def scraped():
        try:
            return query('count_over_time(up{job="moraine"}[1m]) > 8') and query('up{job="moraine"} == 1')
        except (OSError, urllib.error.URLError):
            return False

    rig.wait_until(scraped, 60, "Prometheus to scrape the service")
    empty = [expression for expression in dashboard_expressions() if not query(expression) and "stuck" not in expression]
    expect(not empty, f"expressions of the dashboard without a result: {empty}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules", timeout=10) as answer:
        rules = [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]
    bad = [rule["name"] for rule in rules if rule["health"] not in ("ok", "unknown")]
    expect(rules and not bad, f"rules that Prometheus cannot evaluate: {bad}")
    say(f"  Prometheus evaluates {len(rules)} rules and {len(dashboard_expressions())} expressions")


def answer_times(service, seconds, clients=200):
    """Latencies of GETs, one per client and second, over connections that stay open."""
    end = time.monotonic() + seconds
    host = service.url.removeprefix("http://")

    def client(number):
        paths, found = ["/metrics", "/status", "/readyz", "/livez", "/lag"], []
        time.sleep(number / clients)
        connection = http.client.HTTPConnection(host, timeout=10)
        while time.monotonic() < end:
            started = time.monotonic()
            connection.request("GET", paths[number % len(paths)])
            connection.getresponse().read()
            found.append(time.monotonic() - started)
            time.sleep(max(0, 1 - found[-1]))
        connection.close()
        return found

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return sorted(t for times in pool.map(client, range(clients)) for t in times)


def fuzz(service, count):
    host, port = service.url.removeprefix("http://").split(":")
    dice = random.Random(5)
    seeds = [b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /topics/orders/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
             b"GET /topics/%00%ff/../../etc/passwd HTTP/1.1\r\n\r\n", b"HEAD /metrics HTTP/1.0\r\nAccept: text/plain\r\n\r\n"]
    for _ in range(count):
        text = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(text))
            text[at:at + dice.randint(0, 3)] = bytes(dice.randrange(256) for _ in range(dice.randint(0, 4)))
            if not text:
                text = bytearray(b"\r\n")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(bytes(text))
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.02)
            try:
                connection.recv(4096)
            except (TimeoutError, ConnectionError):
                pass


def look_for_secrets(scenario, service):
    """In the log, on every face, in error paths and in what the program says when it checks."""
    host = service.url.removeprefix("http://")
    said = {"log": service.process.log.read_text(errors="replace")}
    for path in ("/", "/status", "/metrics", "/readyz", "/lag", "/livez", "/history", "/nothing"):
        said[path] = service.get(path)[1]
    for token in ("", "wrong", SECRETS["token"][:-1]):
        request = urllib.request.Request(f"http://{host}/topics/orders/flush", method="POST", headers={"Authorization": f"Bearer {token}"})
        try:
            urllib.request.urlopen(request, timeout=10)
            raise rig.Failure("a wrong token was taken")
        except urllib.error.HTTPError as error:
            said[f"POST with '{token[:5]}'"] = error.read().decode()
    for args in (["check", "--config", service.config], ["check", "--config", service.config, "--offline", "--plan"],
                 ["status", "--url", service.url]):
        said[args[0]] = "".join(map(str, rig.run_moraine(*args)[1:]))
    for where, text in said.items():
        for name, secret in SECRETS.items():
            expect(secret not in text, f"the secret '{name}' is in {where}")
    limits = pathlib.Path(f"/proc/{service.process.child.pid}/limits").read_text()
    core = re.search(r"Max core file size\s+(\S+)", limits)[1]
    expect(core == "0", f"core files up to {core} bytes: they would hold the secrets")
    say(f"  {len(SECRETS)} secrets in none of {len(said)} texts ({sum(map(len, said.values()))} bytes); no core files")


with Scenario("endpoints") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    os.environ["PLANTED"] = SECRETS["env"]
    (scenario.folder / "secret").write_text(SECRETS["file"] + "\n")
    service = Service(scenario, broker, registry, kafka={
        "bootstrap.servers": broker.address, "sasl.password": SECRETS["sasl"], "sasl.username": "${env:PLANTED}",
        "ssl.key.password": f"${{file:{scenario.folder}/secret}}"})
    service.settings["http"]["token"] = SECRETS["token"]
    service.settings["schema_registry"].update({"username": "u", "password": SECRETS["registry"],
                                                "url": registry.url.replace("://", f"://who:{SECRETS['address']}@")})
    service.settings["log"] = {"level": "debug", "format": "json"}
    orders = OrderTopic(scenario, broker, service, "orders", 150_000, partitions=4, commit={"interval": "1s"})
    avro = OrderTopic(scenario, broker, service, "avro", 4000, partitions=2, registry=registry, commit={"interval": "1s"})
    # a topic that fails with the registry's address, and one whose table holds a secret in its name
    broker.create_topic("nobody", 1)
    service.topic("nobody", "registry", {"format": "avro"}, commit={"interval": "1s"},
                  table={"location": f"file:///proc/{SECRETS['file']}/lake"})
    orders.produce(20_000)
    avro.produce()
    service.start()
    service.wait_for(orders.table, orders.offsets(), 60)

    say("metrics")
    rig.wait_until(lambda: names_in(scrape(service)) >= {f"moraine_{name}" for name in UPKEEP}, 30, "what is told of upkeep")
    judge_metrics(service)
    known = names_in(scrape(service))
    judge_names(service, known)
    producer = orders.produce_slowly(2000)
    judge_by_prometheus(scenario, service)
    expect(producer.running, "the producer ended too soon")

    say("answers while records pour in")
    times = answer_times(service, 8)
    p50, p95, p99 = (times[len(times) * part // 100] for part in (50, 95, 99))
    busy = os.getloadavg()[0] / os.cpu_count()
    say(f"  {len(times)} answers to 200 clients: half within {p50 * 1000:.1f} ms, 95 % within {p95 * 1000:.1f} ms, "
        f"99 % within {p99 * 1000:.1f} ms; {busy:.1f} processes for each core")
    # a machine that others keep busy delays this script and the clients' threads as well
    expect(p50 < 0.02 and (p95 < 0.1 or busy > 2.5), "answers take too long")

    say("rubbish")
    fuzz(service, 3000)
    service.process.expect_running()
    expect(service.get("/livez")[0] == 200, "the service does not live any more")

    say("secrets")
    look_for_secrets(scenario, service)
    expect(producer.child.wait(180) == 0, "the producer failed")
    service.wait_for(orders.table, orders.offsets(), 60)
    for line in service.process.log.read_text().splitlines():
        json.loads(line)
    service.process.stop(seconds=90)
    orders.check_quick()
