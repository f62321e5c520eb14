"""SIGHUP while topics run: one is added, one removed, one changed, the rest goes on without a pause; a bad file is refused
whole and said on the status page; the log level follows; a topic that failed is tried again. The supervisor hears of it all
(systemd's notification protocol, spoken by a socket of this scenario)."""

import json
import os
import signal
import socket
import threading
import time

import hudi_timeline
import rig
from broker import Broker
from order_scenario import OrderTopic
from rig import Scenario, expect, say
from service import Service, check_ledger


class Supervisor:
    """Listens where NOTIFY_SOCKET points."""

    def __init__(self, scenario, watchdog_seconds):
        path = str(scenario.folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.heard = []
        threading.Thread(target=self.listen, daemon=True).start()
        os.environ["NOTIFY_SOCKET"] = path
        os.environ["WATCHDOG_USEC"] = str(watchdog_seconds * 1_000_000)

    def listen(self):
        while True:
            text = self.socket.recv(4096).decode()
            self.heard.append((time.monotonic(), text))

    def wait_for(self, word, since, seconds):
        return rig.wait_until(lambda: next((text for at, text in list(self.heard) if at >= since and word in text), None),
                              seconds, f"the notification {word}")


def states(service):
    _, text = service.get("/status")
    return {topic["topic"]: topic for topic in json.loads(text)["topics"]}


def reload(service, supervisor):
    position, since = service.log_size(), time.monotonic()
    service.process.child.send_signal(signal.SIGHUP)
    supervisor.wait_for("RELOADING=1", since, 10)
    supervisor.wait_for("READY=1", since, 10)
    return position


with Scenario("reload") as scenario:
    supervisor = Supervisor(scenario, watchdog_seconds=4)
    broker = Broker(scenario)
    service = Service(scenario, broker)
    topics = {name: OrderTopic(scenario, broker, service, name, 30_000, partitions=2, seed=n, buckets=2,
                               commit={"interval": "500ms"})
              for n, name in enumerate(["steady", "changed", "removed", "added"])}
    files = {name: service.folder / "topics" / f"{name}.yaml" for name in topics}
    kept_back = files["added"].read_text()
    files["added"].unlink()
    for topic in topics.values():
        topic.produce(5000)
    service.start()
    supervisor.wait_for("READY=1", 0, 30)
    for name in ("steady", "changed", "removed"):
        service.wait_for(topics[name].table, topics[name].offsets(), 60)

    say("one added, one removed, one changed, while the first goes on")
    steady = topics["steady"].produce_slowly(3000)
    before = states(service)["steady"]
    files["added"].write_text(kept_back)
    files["removed"].unlink()
    settings = json.loads(files["changed"].read_text())
    settings["commit"] = {"interval": "1s"}
    rig.write_json(files["changed"], settings)
    topics["changed"].produce(10_000)
    position = reload(service, supervisor)
    line = service.wait_for_words(position, ["reload_done"], 10)
    for words in ("added=1", "removed=1", "restarted=1", "kept=1"):
        expect(words in line, f"not '{words}' in: {line}")
    for name in ("added", "changed"):
        service.wait_for(topics[name].table, topics[name].offsets(), 60)
    found = states(service)
    expect(set(found) == {"steady", "changed", "added"}, f"topics after the reload: {sorted(found)}")
    expect(found["changed"]["commits"]["interval_seconds"] == 1, "the changed topic runs by its old file")
    expect(found["steady"]["step_since_ms"] is not None and found["steady"]["consumed_records"] >= before["consumed_records"],
           "the topic that nobody touched was started again")
    expect(not [line for line in service.log_since(position).splitlines() if "event=partition_" in line and "topic=steady" in line],
           "the topic that nobody touched was assigned again")

    say("a bad file is refused whole")
    good = files["steady"].read_text()
    files["steady"].write_text(good.replace('"topic"', '"tropic"'))
    files["added"].unlink()
    position = reload(service, supervisor)
    line = service.wait_for_words(position, ["level=error", "tropic"], 10)
    say(f"  {line[:200]}")
    service.wait_for_words(position, ["level=error", "reload_refused"], 10)
    rig.wait_until(lambda: "tropic" in json.loads(service.get("/status")[1])["config"]["trouble"], 5,
                   "the refused reload on the status page")
    expect('config_reloads_total{result="refused"} 1' in service.get("/metrics")[1], "the refused reload is not counted")
    expect(set(states(service)) == {"steady", "changed", "added"}, "a refused reload changed the topics")
    expect(service.get("/readyz")[0] == 200, "a refused reload is no reason not to be ready")
    files["steady"].write_text(good)
    files["added"].write_text(kept_back)
    position = reload(service, supervisor)
    line = service.wait_for_words(position, ["reload_done"], 10)
    expect("kept=3" in line, f"nothing has changed: {line}")
    rig.wait_until(lambda: json.loads(service.get("/status")[1])["config"]["trouble"] == "", 5, "the trouble to be over")

    say("what needs a restart is named, and keeps its value")
    service.settings["memory"] = "200MiB"
    rig.write_json(service.config, service.settings)
    limit = json.loads(service.get("/status")[1])["memory"]["limit_bytes"]
    position = reload(service, supervisor)
    service.wait_for_words(position, ["restart_needed", "memory"], 10)
    expect(json.loads(service.get("/status")[1])["memory"]["limit_bytes"] == limit, "memory changed without a restart")

    say("a topic that failed is tried again")
    properties = topics["added"].table / ".hoodie" / "hoodie.properties"
    text = properties.read_text()
    properties.write_text(text.replace("order_id", "customer_id"))
    settings = json.loads(kept_back)
    settings["commit"] = {"interval": "700ms"}
    rig.write_json(files["added"], settings)
    reload(service, supervisor)
    rig.wait_until(lambda: states(service)["added"]["state"] == "failed", 20, "the topic to fail")
    properties.write_text(text)
    topics["added"].produce(8000)
    reload(service, supervisor)
    service.wait_for(topics["added"].table, topics["added"].offsets(), 60)

    expect(steady.child.wait(60) == 0, "the producer failed")
    service.wait_for(topics["steady"].table, topics["steady"].offsets(), 60)

    say("the log level follows")
    service.settings["log"]["level"] = "warn"
    rig.write_json(service.config, service.settings)
    position = reload(service, supervisor)
    topics["changed"].produce(12_000)
    service.wait_for(topics["changed"].table, topics["changed"].offsets(), 60)
    expect("level=info" not in service.log_since(position), "lines below the new log level are written")

    beats = [at for at, text in supervisor.heard if "WATCHDOG=1" in text]
    gaps = [b - a for a, b in zip(beats, beats[1:])]
    expect(len(beats) > 5 and max(gaps) < 4, f"the watchdog was fed {len(beats)} times, gaps up to {max(gaps, default=0):.1f} s")
    say(f"  the watchdog was fed {len(beats)} times, at most {max(gaps):.1f} s apart")
    since = time.monotonic()
    service.stop()
    expect("EXTEND_TIMEOUT_USEC=" in supervisor.wait_for("STOPPING=1", since, 1), "no time was asked for")
    for name in ("steady", "changed", "added"):
        topic = topics[name]
        check_ledger(topic.table, topic.sent, dead=len(topic.expected_broken()))
        topic.check_quick()
    expect(sum(hudi_timeline.offsets(topics["removed"].table).values()) == 5000, "a removed topic was read on")
