"""What every case stands on: broker, registry and topics on the first core, the limit, and readers that are not ours."""

import json
import subprocess

from broker import Broker
from registry import Registry
import loads
import rig
from account import machine
from rig import CACHE, TOOLS, Failure, say

READERS = {"hudi": "main", "iceberg": "tables", "delta": "tables", "iceberg-upserts": "iceberg"}  # Python environments


class Bed:
    """Broker, and a registry when a load is Avro; `topics` maps a load's name to (topic, sent, what the table must hold)."""

    def __init__(self, scenario):
        self.scenario, self.folder = scenario, scenario.folder
        self.broker = Broker(scenario, log_segment_bytes=1 << 28)
        self.registry = Registry(scenario)
        self.ids, self.sent, self.expected = {}, {}, {}

    def avsc(self, load):
        path = self.folder / f"{load.name}.avsc"
        path.write_text(json.dumps(load.schema))
        return path

    def make(self, load, topic=None):
        """Makes the topic when it is new; returns its name."""
        topic = topic or load.name
        if topic not in self.sent:
            self.broker.create_topic(topic, load.partitions)
            self.ids[topic] = self.registry.register(f"{topic}-value", load.schema) if load.format == "avro" else None
            self.sent[topic] = {"records": 0, "offsets": {}}
        return topic

    def send(self, load, topic=None):
        """Sends the load; returns the topic's name. A load that was sent already is not sent again."""
        topic = self.make(load, topic)
        if self.sent[topic]["records"] > 0 and load.first == 0:
            return topic
        sent, self.expected[topic] = loads.preload(self.broker, self.folder, load, topic, self.ids[topic])
        self.sent[topic] = {"records": self.sent[topic]["records"] + sent["records"],
                            "offsets": {**self.sent[topic]["offsets"], **sent["offsets"]}, "last": sent["records"]}
        say(f"  {topic}: {sent['records']:,} records, {sent['bytes'] / sent['records']:.0f} bytes each")
        return topic

    def consume(self, topic, cpus):
        """librdkafka alone reads the topic."""
        busy = machine()
        out = subprocess.run(["taskset", "-c", cpus, TOOLS / "consume", "-X", f"bootstrap.servers={self.broker.address}", "-t",
                              topic, "-n", str(self.sent[topic]["records"])], capture_output=True, text=True)
        if out.returncode != 0:
            raise Failure(f"consume: {out.stderr}")
        found = json.loads(out.stdout.splitlines()[-1])
        later = machine()
        found["others_cores"] = (later[0] - busy[0] - found["cpu_all"]) / found["seconds_all"]
        return found

    def stages(self, load):
        """What each step costs by itself, ns a record of one thread."""
        frames = self.folder / "stages.frames"
        load.with_(first=0).frames(frames, 200_000)
        keyed = ["order_id", "updated_at"] if load.keyed else []
        with open(frames, "rb") as file:
            command = ["taskset", "-c", "1", loads.BUILD / "bench" / "versus_stages", load.format, self.avsc(load), *keyed]
            out = subprocess.run(command, stdin=file, capture_output=True, text=True)
        if out.returncode != 0:
            raise Failure(f"versus_stages: {out.stderr}")
        frames.unlink()
        return json.loads(out.stdout)

    def check(self, load, topic, form, table):
        """The sums that another reader finds must be those of the records."""
        python = CACHE / f"venv-{READERS[form]}" / "bin" / "python"
        command = [python, rig.HERE.parent / "bench/versus/read_sums.py", form, table, *load.sums, *load.read_columns]
        out = subprocess.run(command, capture_output=True, text=True, timeout=900)
        if out.returncode != 0:
            raise Failure(f"read_sums: {out.stderr[-2000:]}")
        found = json.loads(out.stdout.splitlines()[-1])
        wanted = {k: v for k, v in self.expected[topic].items() if k in found}
        if load.columns:
            wanted |= {"cents": 0, "small": 0}
        if found != wanted:
            raise Failure(f"another reader finds {found} in {table}, the records say {wanted}")
        say(f"  read by another reader: {found['rows']:,} rows, as they must be")
