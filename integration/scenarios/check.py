"""`moraine check` finds what would go wrong after a deployment, says where it is written and what to do, and leaves nothing
behind: topic, rights, registry, storage, tables that are there already. Ends with 2 for what must be changed, with 1 for
what could only not be reached."""

import json
import re
import subprocess

import rig
from broker import PASSWORD, Broker
from order_scenario import OrderTopic
from registry import Registry
from rig import Scenario, expect, say
from service import Service


class GuardedBroker(Broker):
    """Whoever comes in by SASL has no right to anything."""

    def make_security(self):
        return {**super().make_security(), "super.users": "User:ANONYMOUS",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}


def check(service, status, words=(), options=()):
    """Runs the command on the service's files; every one of `words` must be in what it says."""
    rig.write_json(service.config, service.settings)
    found, out, err = rig.run_moraine("check", "--config", service.config, *options)
    said = out + err
    expect(found == status, f"check ended with {found}, not {status}:\n{said}")
    for word in words:
        expect(word in said, f"not '{word}' in:\n{said}")
    expect(PASSWORD not in said, f"the password is in:\n{said}")
    for line in err.splitlines():
        say(f"  {line[:220]}")
        expect(re.match(r"\S+\.yaml(:\d+:\d+)?: (error|not reached|warning): \S+: ", line), f"a finding without its place: {line}")
    return out


with Scenario("check") as scenario:
    broker = GuardedBroker(scenario, secured=True)
    registry = Registry(scenario)
    service = Service(scenario, broker, registry)
    topic = OrderTopic(scenario, broker, service, "orders", 4000, partitions=3)
    topic.produce(4000)
    file = service.folder / "topics" / "orders.yaml"
    good = json.loads(file.read_text())
    lake = topic.table.parent

    say("right: before anything exists, with its plan")
    out = check(service, 0, ["orders: right", "CREATE TABLE default.orders", "order_id STRING", "hoodie.bucket.index.num.buckets",
                             "3 partitions, 4000 records in Kafka, 4000 of them from the last hour", "per hour: up to"],
                ["--plan"])
    expect(not lake.exists(), "check created the table's folder")
    check(service, 0, ["orders: right"], ["--offline"])

    say("the topic does not exist")
    rig.write_json(file, {**good, "topic": "odrers"})
    check(service, 2, ["orders.yaml:2:11: error: topic: topic 'odrers' does not exist"])
    rig.write_json(file, good)

    say("this user has no rights")
    service.settings["kafka"] = broker.secured_client()
    check(service, 2, ["error: topic: topic 'orders': this user may not describe it (grant it Read and Describe)"])
    service.settings["kafka"]["sasl.password"] = PASSWORD + "-mistyped"
    check(service, 2, ["error: topic: topic 'orders': no broker answers", "uthentication"])
    service.settings["kafka"] = {"bootstrap.servers": broker.address, "enable.auto.commit": "true"}
    check(service, 2, ["moraine.yaml:", "error: kafka: kafka property 'enable.auto.commit' must stay 'false'"], ["--offline"])
    service.settings["kafka"] = {"bootstrap.servers": "127.0.0.1:1"}
    check(service, 1, ["not reached: kafka: topic 'orders': no broker answers", "Is kafka.bootstrap.servers right"])
    check(service, 0, ["orders: right"], ["--offline"])
    service.settings["kafka"] = {"bootstrap.servers": broker.address}

    say("the registry")
    avro = {**good, "value": {"format": "avro"}, "schema": "registry"}
    rig.write_json(file, avro)
    check(service, 1, ["orders.yaml", "not reached: schema: ", "'orders-value' is not registered yet"])
    registry.register("orders-value", {"type": "record", "name": "o", "fields": [{"name": "order_id", "type": "long"}]})
    check(service, 2, ["there is no column 'updated_at'"])
    url = service.settings["schema_registry"]["url"]
    service.settings["schema_registry"]["url"] = "http://127.0.0.1:1"
    check(service, 1, ["orders.yaml", "not reached: schema: "])
    service.settings["schema_registry"]["url"] = url
    rig.write_json(file, good)

    say("storage that cannot be written")
    locked = scenario.folder / "locked"
    locked.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", locked], capture_output=True)
    if mounted.returncode == 0:
        scenario.stack.callback(subprocess.run, ["umount", "-l", str(locked)])
        rig.write_json(file, {**good, "table": {**good["table"], "location": f"file://{locked}/orders"}})
        check(service, 2, ["orders.yaml:", "error: table.location: ", "cannot be written", "ReadWritePaths="], ["--offline"])
        rig.write_json(file, good)
    else:
        say("  skipped: nothing can be mounted here")

    say("a table that is there already")
    service.start()
    service.wait_for(topic.table, topic.offsets(), 60)
    service.stop()
    check(service, 0, ["orders: right"])
    table = good["table"]
    rig.write_json(file, {**good, "key": ["order_id", "customer_id"], "table": {**table, "buckets": 5, "partition_by": []}})
    check(service, 2, ["error: key: the table at", "made with 'order_id', this says 'order_id,customer_id'",
                       "error: table.buckets: ", "error: table.partition_by: "])
    rig.write_json(file, good)
    left = [path for path in scenario.folder.rglob(".moraine-check-*")]
    expect(not left, f"left behind: {left}")
