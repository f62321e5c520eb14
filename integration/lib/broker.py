"""A real Apache Kafka: one KRaft node on loopback, its data in the scenario's folder."""

import json
import subprocess

import rig
from rig import CACHE, TOOLS, VERSIONS, run_tool

PASSWORD = "not-a-secret"


class Broker:
    """Starts on construction and is ready when that returns. secured=True adds a SASL_SSL listener; proxied=PORT adds one
    (its port: proxied_port) that sends its clients to PORT; further settings with _ for dots."""

    def __init__(self, scenario, secured=False, proxied=None, **more):
        self.scenario = scenario
        self.folder = scenario.folder / "kafka"
        self.folder.mkdir()
        self.port, controller_port, self.secured_port, self.proxied_port = rig.free_ports(4)
        self.address = f"127.0.0.1:{self.port}"
        listeners = [f"PLAINTEXT://{self.address}"]
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 2,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 2,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "message.max.bytes": 16 << 20,
            **{name.replace("_", "."): value for name, value in more.items()},
        }
        if secured:
            listeners.append(f"SASL_SSL://127.0.0.1:{self.secured_port}")
            settings.update(self.make_security())
        advertised = list(listeners)
        if proxied:
            listeners.append(f"PROXIED://127.0.0.1:{self.proxied_port}")
            advertised.append(f"PROXIED://127.0.0.1:{proxied}")
        settings["advertised.listeners"] = ",".join(advertised)
        settings["listeners"] = ",".join([*listeners, f"CONTROLLER://127.0.0.1:{controller_port}"])
        settings["listener.security.protocol.map"] = (
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,PROXIED:PLAINTEXT")
        self.properties = self.folder / "server.properties"
        self.properties.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        format_args = ["kafka.tools.StorageTool", "format", "-t", "bW9yYWluZS1yaWctMDAwMA", "-c", self.properties]
        subprocess.run(self.java("64m") + [str(a) for a in format_args], check=True, capture_output=True)
        self.process = None
        self.start()

    def java(self, heap):
        classes = CACHE / f"kafka-{VERSIONS['KAFKA']}" / "*"
        return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1" if heap == "64m" else "-Xss512k",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", str(classes)]

    def start(self):
        self.launch()
        self.wait_ready()

    def launch(self):
        self.process = self.scenario.process("broker", self.java("512m") + ["kafka.Kafka", self.properties])

    def wait_ready(self):
        def ready():
            self.process.expect_running()
            return subprocess.run([str(TOOLS / "kafka_admin"), "-X", f"bootstrap.servers={self.address}", "-X",
                                   "log_level=0", "group-offsets", "nobody", "nothing", "1"],
                                  capture_output=True, timeout=60).returncode == 0

        rig.wait_until(ready, 60, "the broker", pause=0.3)

    def kill(self):
        self.process.child.kill()
        self.process.child.wait()

    def admin(self, *args):
        return run_tool("kafka_admin", "-X", f"bootstrap.servers={self.address}", *args)

    def create_topic(self, topic, partitions, **config):
        self.admin("create", topic, partitions, *(f"{k.replace('_', '.')}={v}" for k, v in config.items()))

    def configure_topic(self, topic, **config):
        self.admin("configure", topic, *(f"{k.replace('_', '.')}={v}" for k, v in config.items()))

    def recreate_topic(self, topic, partitions):
        """Deletes a topic and makes it again: the same name with a new id."""
        self.admin("delete", topic)

        def made_again():
            try:
                self.create_topic(topic, partitions)
                return True
            except rig.Failure:
                return False

        rig.wait_until(made_again, 30, f"{topic} to be gone")

    def produce(self, topic, frames, transaction=0):
        """Sends frames (see tools/produce.c) from an iterable of bytes or a file; returns the summary."""
        args = [str(TOOLS / "produce"), "-X", f"bootstrap.servers={self.address}", "-t", topic, "-T", str(transaction)]
        if hasattr(frames, "fileno"):
            return self.finish(subprocess.run(args, stdin=frames, capture_output=True))
        child = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for part in frames:
            child.stdin.write(part)
        output, errors = child.communicate()
        return self.finish(subprocess.CompletedProcess(args, child.returncode, output, errors))

    def produce_lines(self, topic, path, partitions):
        """Sends every line of a file as a value; key = line number, partition = line number modulo."""
        args = [str(TOOLS / "produce"), "-X", f"bootstrap.servers={self.address}", "-t", topic, "-l", str(partitions)]
        with open(path, "rb") as lines:
            return self.finish(subprocess.run(args, stdin=lines, capture_output=True))

    @staticmethod
    def finish(result):
        rig.expect(result.returncode == 0, f"produce: {result.stderr.decode(errors='replace')}")
        summary = json.loads(result.stdout.splitlines()[-1])
        summary["offsets"] = {int(p): o for p, o in summary["offsets"].items()}
        return summary

    def start_producer(self, topic, frames_path, rate):
        """Produces from a file in the background; the returned process ends by itself."""
        return self.scenario.process("producer", [TOOLS / "produce", "-X", f"bootstrap.servers={self.address}", "-t",
                                                  topic, "-r", rate], stdin=open(frames_path, "rb"))

    # ---- TLS and SASL ---------------------------------------------------------------------------

    def make_security(self):
        """A certificate authority, a server certificate for 127.0.0.1, and one SASL/PLAIN user."""
        folder = self.folder

        def openssl(*args):
            subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=folder)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 3, "-subj", "/CN=moraine rig", "-keyout", "ca.key",
                "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out",
                "server.csr")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 3,
                "-extfile", "names", "-out", "server.pem")
        store = folder / "keystore.pem"
        store.write_text((folder / "server.key").read_text() + (folder / "server.pem").read_text())
        login = ("org.apache.kafka.common.security.plain.PlainLoginModule required "
                 f'user_reader="{PASSWORD}";')
        return {"ssl.keystore.type": "PEM", "ssl.keystore.location": store, "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl_ssl.plain.sasl.jaas.config": login}

    def secured_client(self):
        """librdkafka settings for the SASL_SSL listener."""
        return {"bootstrap.servers": f"127.0.0.1:{self.secured_port}", "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN", "sasl.username": "reader", "sasl.password": PASSWORD,
                "ssl.ca.location": str(self.folder / "ca.pem")}
