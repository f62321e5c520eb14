"""Protobuf as Confluent's Python serializer writes it (message indexes, references, an evolved type), and bare messages with a
descriptor file; keyed by a field, with tombstones."""

import datetime
import importlib
import pathlib
import subprocess
import sys

import checks
import pyarrow
from broker import Broker
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from registry import Registry
from rig import Scenario
from service import Service, check_ledger

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
COMMON = """syntax = "proto3"; package shop.common;
message Money { string currency = 1; int64 cents = 2; }
"""
ORDER = """syntax = "proto3"; package shop;
import "common%(v)d.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
message Envelope { message Unused { string x = 1; } message Order {
  enum State { NEW = 0; PAID = 1; SENT = 2; }
  %(order)s
} }
"""
FIRST = """int64 id = 1; State state = 2; common.Money total = 3; repeated string tags = 4; map<string, int32> stock = 5;
  google.protobuf.Timestamp at = 6; optional double weight = 7; oneof pay { string card = 8; string iban = 9; }
  google.protobuf.Int32Value rank = 10; uint64 big = 11;"""
SECOND = """google.protobuf.Timestamp at = 6; string added = 20; uint64 big = 11; State state = 2; int64 id = 1; common.Money total = 3;
  repeated string tags = 4; map<string, int32> stock = 5; oneof pay { string card = 8; string iban = 9; } optional double weight = 7;"""
PROVENANCE = [("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]
MODEL = pyarrow.schema([
    ("id", pyarrow.int64()), ("state", pyarrow.string()), ("total", pyarrow.struct([("currency", pyarrow.string()), ("cents", pyarrow.int64())])),
    ("tags", pyarrow.list_(pyarrow.string())), ("stock", pyarrow.map_(pyarrow.string(), pyarrow.int32())), ("at", pyarrow.timestamp("us")),
    ("weight", pyarrow.float64()), ("card", pyarrow.string()), ("iban", pyarrow.string()), ("rank", pyarrow.int32()),
    ("big", pyarrow.decimal128(20, 0)), *PROVENANCE])


def compile_types(folder, version, fields):
    """Python classes of one version, each in files of their own names, since a process has one type pool."""
    (folder / f"common{version}.proto").write_text(COMMON.replace("shop.common", f"shop{version}.common"))
    (folder / f"order{version}.proto").write_text((ORDER % {"v": version, "order": fields}).replace("package shop", f"package shop{version}"))
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--python_out={folder}", "--include_imports",
                    f"--descriptor_set_out={folder}/order{version}.desc", f"common{version}.proto", f"order{version}.proto"], check=True)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module(f"order{version}_pb2").Envelope.Order


def fill(message, i, evolved):
    """Message number i, and its row without Kafka's coordinates."""
    at = START + datetime.timedelta(microseconds=i * 1_000_003)
    message.id, message.state, message.big = i % 50, i % 4, 2**64 - 1 - i  # state 3 has no name
    message.at.FromDatetime(at)
    row = {"id": i % 50, "state": ["NEW", "PAID", "SENT", "3"][i % 4], "total": None, "tags": [], "stock": [], "at": at.replace(tzinfo=None),
           "weight": None, "card": None, "iban": None, "rank": None, "big": 2**64 - 1 - i}
    if i % 3:
        message.total.currency, message.total.cents = "EUR", i
        message.tags.extend([f"t{i}", ""])
        row.update(total={"currency": "EUR", "cents": i}, tags=[f"t{i}", ""])
    if i % 5 == 0:
        message.stock["left"] = i
        message.weight = i / 4
        row.update(stock=[("left", i)], weight=i / 4)
    if i % 2:
        message.card = "4711"
        row["card"] = "4711"
    elif i % 7 == 0:
        message.iban = ""
        row["iban"] = ""
    if evolved:
        message.added = "later"
        row["added"] = "later"
    elif i % 11 == 0:
        message.rank.value = i
        row["rank"] = i
    return row


class Log:
    def __init__(self, broker, name):
        broker.create_topic(name, 1)
        self.producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
        self.name, self.sent, self.dead, self.rows = name, 0, 0, {}

    def send(self, key, value, row=None):
        self.producer.produce(self.name, key=str(key).encode(), value=value, partition=0)
        place = {"_kafka_partition": 0, "_kafka_offset": self.sent}
        self.sent += 1
        if value is None:
            self.rows.pop(key, None)
        elif row:
            self.rows[key] = {**row, **place}
        else:
            self.dead += 1

    def offsets(self):
        self.producer.flush()
        return {0: self.sent}


with Scenario("protobuf") as scenario:
    broker, registry = Broker(scenario), Registry(scenario)
    service = Service(scenario, broker, registry)
    folder = pathlib.Path(scenario.folder / "types")
    folder.mkdir()
    first, second = compile_types(folder, 1, FIRST), compile_types(folder, 2, SECOND)
    (service.folder / "topics" / "order.desc").write_bytes((folder / "order1.desc").read_bytes())
    client = SchemaRegistryClient({"url": registry.url})
    context = SerializationContext("proto", MessageField.VALUE)
    logs = {"proto": Log(broker, "proto"), "bare": Log(broker, "bare")}
    to_bytes = ProtobufSerializer(first, client, {"use.deprecated.format": False})
    for name, log in logs.items():
        for i in range(400):
            message = first()
            row = fill(message, i, False)
            value = to_bytes(message, context) if name == "proto" else message.SerializeToString()
            if i % 23 == 0:
                log.send(i % 50, None)
            elif i % 29 == 0:
                log.send(i % 50, value[:-1])
            elif i % 31 == 0 and name == "proto":
                log.send(i % 50, b"\x00\x00\x0f\x00\x00\x00" + value[6:])  # no such schema
            else:
                log.send(i % 50, value, row)
    tables = [service.topic("proto", {"message": "shop1.Envelope.Order"}, {"format": "protobuf"}, key=["id"]),
              service.topic("bare", {"file": "order.desc", "message": "shop1.Envelope.Order"}, {"format": "protobuf"}, key=["id"], table_version=9)]
    service.start()
    for table, log in zip(tables, logs.values()):
        service.wait_for(table, log.offsets(), 60)
    # the type evolves; the package must stay, so the newer text is registered by hand
    evolved = {"schemaType": "PROTOBUF", "schema": (ORDER % {"v": 1, "order": SECOND}).replace("package shop", "package shop1"),
               "references": [{"name": "common1.proto", "subject": "common1.proto", "version": 1}]}
    number = registry.request("POST", "/subjects/proto-value/versions", evolved)["id"]
    log = logs["proto"]
    for i in range(400, 600):
        message = second()
        row = fill(message, i, True)
        log.send(i % 50, b"\x00" + number.to_bytes(4, "big") + b"\x04\x00\x02" + message.SerializeToString(), row)
    service.wait_for(tables[0], log.offsets(), 60)
    service.stop()
    for table, log in zip(tables, logs.values()):
        check_ledger(table, log.sent, dead=log.dead)
    # the registry's newer type gave its table a column; the descriptor file has none of it
    models = [MODEL.append(pyarrow.field("added", pyarrow.string())), MODEL]
    checks.thorough(scenario, [(table, pyarrow.Table.from_pylist(list(log.rows.values()), schema=model), ["id"], None)
                               for table, log, model in zip(tables, logs.values(), models)])
