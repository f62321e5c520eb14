"""Iceberg tables in a real REST catalog, append-only and with a key, versions 2 and 3: made by the service, written over a
restart, while the catalog is killed and comes back, and while the service is killed. Read by name through the catalog by moraine,
PyIceberg and Spark.

Options: events per topic (default 12000), seed (default 1)."""

import json
import subprocess
import sys

import readers
from broker import Broker
from compare import compare
from event_topic import EventTopic
from rest_catalog import RestCatalog
from rig import BINARY, Failure, Scenario, expect, say, wait_until
from service import Service

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
NAMESPACE = "shop.eu"
TABLES = {
    "events": {"format_version": 2, "partition_by": ["region"]},
    "orders_v2": {"format_version": 2, "partition_by": ["bucket(2, id)"]},
    "orders_v3": {"format_version": 3, "partition_by": ["region"]},
}

with Scenario("iceberg_rest") as scenario:
    broker = Broker(scenario)
    catalog = RestCatalog(scenario)
    service = Service(scenario, broker, catalogs={"lake": {"type": "rest", "uri": catalog.uri}})
    topics = [EventTopic(broker, name, SEED + number, append=name == "events") for number, name in enumerate(TABLES)]
    for topic in topics:
        topic.add_to(service, {"format": "iceberg", "catalog": {"name": "lake", "namespace": NAMESPACE}, **TABLES[topic.name]},
                     lake=catalog.warehouse / "shop" / "eu")

    def moraine(command, topic, *options):
        name = f"lake:{NAMESPACE}.{topic.name}"
        result = subprocess.run([str(BINARY), command, name, "--config", str(service.config), *options], capture_output=True,
                                text=True, timeout=300)
        if result.returncode != 0:
            raise Failure(f"moraine {command} {name}: status {result.returncode}: {result.stdout}{result.stderr}")
        return result.stdout

    def check(what):
        for topic in topics:
            topic.check_ledger()
            model = topic.model()
            found = readers.moraine(scenario, f"lake:{NAMESPACE}.{topic.name}", model.schema, "--config", service.config)
            compare(f"moraine scan of {topic.name} {what}", model, found, topic.key)
            found = readers.iceberg(scenario, "pyiceberg", f"{catalog.uri} {NAMESPACE}.{topic.name}", model.schema)
            count = compare(f"{readers.iceberg_name('pyiceberg')} on {topic.name} {what}", model, found, topic.key)
            report = json.loads(moraine("verify", topic, "--output", "json"))
            expect(report["right"], f"{topic.name} {what}: moraine verify: {report}")
            say(f"  {topic.name} {what}: {count} rows equal the model, the audit finds nothing")

    def produce(share):
        for topic in topics:
            topic.produce(int(EVENTS * share))

    def complete(seconds=90):
        for topic in topics:
            service.wait_for(topic.table, topic.offsets, seconds)

    service.start()
    for _ in range(3):
        produce(0.1)
        complete()
    service.stop()
    check("after the first run")

    service.start()
    produce(0.1)
    complete()
    say("the catalog is killed while records arrive")
    catalog.kill()
    produce(0.2)

    def stuck_steps():
        return {row["step"] for row in json.loads(service.get("/readyz")[1])["not_ready"]}

    wait_until(lambda: stuck_steps() == {"catalog"}, 20, "the step 'catalog' on /readyz")
    catalog.start()
    complete()
    service.stop()
    check("after the catalog was away")

    for number in range(4):
        service.start()
        produce(0.05)
        say(f"  killed after {service.kill_at_random(0.3, 4, SEED * 10 + number):.1f} s")
    service.start()
    produce(0.1)
    complete()
    service.stop()
    check("after four kills")

    for spark in readers.SPARKS:
        results = readers.spark_iceberg(scenario, [f"{catalog.uri} {NAMESPACE}.{topic.name}" for topic in topics], spark)
        for topic, found in zip(topics, results):
            compare(f"{readers.spark_iceberg_name(spark)} on {topic.name}", topic.model(), found, topic.key)
    for topic in topics:
        document = catalog.metadata(NAMESPACE, topic.name)
        expect(document["format-version"] == TABLES[topic.name]["format_version"], f"{topic.name}: {document['format-version']}")
        commits = moraine("history", topic).splitlines()
        expect(len(commits) == len(document["snapshots"]), f"{topic.name}: {len(commits)} commits in the history")
        facts = json.loads(moraine("describe", topic, "--output", "json"))
        expect(facts["format"] == "iceberg" and facts["name"] == topic.name, f"{topic.name}: {facts}")
    say("every reader agrees")
