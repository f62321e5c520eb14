"""Records that no decoder may fall over: each is a dead letter with its stage and reason, every good one beside it a row."""

import base64
import decimal
import json
import pathlib

import checks
import pyarrow
import rig
from broker import Broker
from confluent_kafka import Producer
from registry import Registry
from rig import Scenario, expect, say
from service import Service, check_ledger

PROVENANCE = [("_kafka_partition", pyarrow.int32()), ("_kafka_offset", pyarrow.int64())]
FIELDS = [{"name": "id", "type": "long", "nullable": False}, {"name": "text", "type": "string"}, {"name": "real", "type": "double"},
          {"name": "at", "type": "timestamp_ms"}, {"name": "day", "type": "date"}, {"name": "amount", "type": "decimal(6,2)"},
          {"name": "tags", "type": "list<string>"}, {"name": "map", "type": "map<long>"}]
AVRO = {"type": "record", "name": "R", "fields": [
    {"name": "id", "type": "long"}, {"name": "text", "type": ["null", "string"]}, {"name": "list", "type": {"type": "array", "items": "long"}},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}}]}
PROTO = """syntax = "proto3"; package p; import "google/protobuf/timestamp.proto";
message R { int64 id = 1; string text = 2; google.protobuf.Timestamp at = 3; repeated int32 list = 4 [packed = true]; map<string, int32> map = 5; }"""
JSON_POISON = {
    "nothing": (b"", "ends too early"),
    "not JSON": (b"<xml/>", "expected an object"),
    "no object": (b"[1]", "expected an object"),
    "cut": (b'{"id":1,"text":"ab', "ends too early"),
    "two values": (b'{"id":1}{"id":2}', "something stands behind"),
    "NaN": (b'{"id":1,"real":NaN}', "expected a number"),
    "infinity": (b'{"id":1,"real":1e999}', "beyond the range"),
    "number too big": (b'{"id":9223372036854775808}', "field 'id'"),
    "fraction for a whole number": (b'{"id":1.5}', "not an integer"),
    "decimal with too many digits": (b'{"id":1,"amount":12345.678}', "does not fit the decimal"),
    "invalid UTF-8": (b'{"id":1,"text":"\xff\xfe"}', "not valid UTF-8"),
    "invalid UTF-8 in an unknown field": (b'{"id":1,"other":"\xc3\x28"}', "not valid UTF-8"),
    "half a surrogate": (b'{"id":1,"text":"\\ud800"}', "surrogate"),
    "duplicate key": (b'{"id":1,"text":"a","text":"b"}', "duplicate key"),
    "duplicate key in a map": (b'{"id":1,"map":{"a":1,"a":2}}', "duplicate key"),
    "missing required field": (b'{"text":"a"}', "a required field is missing"),
    "null for a required field": (b'{"id":null}', "null in a required"),
    "year 10000": (b'{"id":1,"at":"10000-01-01T00:00:00Z"}', "not an ISO 8601"),
    "February 30": (b'{"id":1,"day":"2026-02-30"}', "not a date"),
    "100 levels": (b'{"id":1,"other":' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply"),
    "a million levels": (b'{"id":1,"other":' + b"[" * 1_000_000, "nested too deeply"),
    "too many elements": (b'{"id":1,"tags":[' + b'"a",' * 2000 + b'"a"]}', "too many elements"),
    "32 MiB and more": (b'{"id":1,"text":"' + b"x" * (32 << 20) + b'"}', "the limit is 33554432"),
}


def avro_poison(number):
    header = b"\x00" + number.to_bytes(4, "big")
    good = header + b"\x02" + b"\x02\x02a" + b"\x02\x02\x00" + b"\x02\x01"
    return {
        "nothing": (b"", "too few for the wire format"),
        "no magic byte": (b"\x01" + good[1:], "begins with 00"),
        "text": (b'{"id":1}', "begins with 00"),
        "unknown schema": (b"\x00\x7f\xff\xff\xff" + good[5:], "not in the registry"),
        "negative schema": (b"\x00\xff\xff\xff\xff" + good[5:], "not in the registry"),
        "header only": (header, "byte 0"),
        **{f"cut after {size}": (good[:size], "") for size in range(6, len(good))},
        "bytes behind": (good + b"\x00", "bytes are left"),
        "invalid UTF-8": (good.replace(b"\x02a", b"\x02\xff"), "not valid UTF-8"),
        "branch that is none": (header + b"\x02\x08", "union branch does not exist"),
        "endless number": (header + b"\xff" * 20, "more than"),
        "length beyond the end": (header + b"\x02\x02\xfe\xff\xff\xff\x0f", "beyond the end"),
        "a billion elements": (header + b"\x02\x00\xfe\xff\xff\xff\x0f", "beyond the end"),
        "decimal with too many digits": (header + b"\x02\x00\x00\x08\x7f\xff\xff\xff", "more digits"),
    }, good


def proto_poison(number):
    header = b"\x00" + number.to_bytes(4, "big") + b"\x00"
    good = header + b"\x08\x01\x12\x01a"
    return {
        "no magic byte": (b"\x02" + good[1:], "begins with 00"),
        "no such message": (header[:5] + b"\x02\x0e" + good[6:], "no message at the place"),
        "impossible indexes": (header[:5] + b"\xff\xff\xff\xff\x0f", "impossible number of message indexes"),
        "cut": (good[:-1], "beyond the end"),
        "impossible tag": (header + b"\x07\x00", "impossible tag"),
        "invalid UTF-8": (header + b"\x12\x02\xc3\x28", "not valid UTF-8"),
        "year 10000": (header + b"\x1a\x07\x08\x80\x83\xd1\xff\xaf\x07", "timestamp is out of range"),
        "length beyond the end": (header + b"\x22\xff\xff\xff\xff\x0f", "beyond the end"),
        "duplicate key in a map": (header + b"\x2a\x05\x0a\x01a\x10\x01" * 2, "key twice"),
    }, good


class Log:
    """Good records around every bad one."""

    def __init__(self, broker, name, good, poison):
        broker.create_topic(name, 1, max_message_bytes=64 << 20)
        producer = Producer({"bootstrap.servers": broker.address, "message.max.bytes": 64 << 20, "log_level": 0})
        self.name, self.sent, self.good, self.dead = name, 0, [], {}
        for what, (value, reason) in poison.items():
            for bad in (True, False):
                producer.produce(name, value=value if bad else good, key=what.encode(), partition=0)
                producer.poll(0)
                if bad:
                    self.dead[self.sent] = (what, value, reason)
                else:
                    self.good.append(self.sent)
                self.sent += 1
        producer.flush()

    def check(self, state):
        letters = {}
        for line in (pathlib.Path(state) / "dead_letters" / f"{self.name}.jsonl").read_text().splitlines():
            letter = json.loads(line)
            expect(letter["offset"] not in letters, f"{self.name}: two dead letters of offset {letter['offset']}")
            letters[letter["offset"]] = letter
        expect(set(letters) == set(self.dead), f"{self.name}: dead are {sorted(set(letters) ^ set(self.dead))} too many or missing: "
               f"{[self.dead.get(o, letters.get(o))[:1] for o in sorted(set(letters) ^ set(self.dead))] }")
        for offset, (what, value, reason) in self.dead.items():
            letter = letters[offset]
            expect(letter["stage"] == "decode", f"{self.name}: '{what}' has stage {letter['stage']}")
            expect(reason in letter["reason"], f"{self.name}: '{what}' has the reason '{letter['reason']}', expected '{reason}'")
            expect(base64.b64decode(letter["value"]) == value, f"{self.name}: '{what}' was not kept as it came")
        say(f"  {self.name}: {len(letters)} dead letters with stage, reason and bytes")


with Scenario("poison") as scenario:
    broker, registry = Broker(scenario, message_max_bytes=64 << 20), Registry(scenario)
    service = Service(scenario, broker, registry, memory="512MiB")
    avro, avro_good = avro_poison(registry.register("avro-value", AVRO))
    proto, proto_good = proto_poison(registry.request("POST", "/subjects/proto-value/versions", {"schemaType": "PROTOBUF", "schema": PROTO})["id"])
    text = pyarrow.schema([("id", pyarrow.int64()), ("text", pyarrow.string()), ("real", pyarrow.float64()), ("at", pyarrow.timestamp("ms")),
                           ("day", pyarrow.date32()), ("amount", pyarrow.decimal128(6, 2)), ("tags", pyarrow.list_(pyarrow.string())),
                           ("map", pyarrow.map_(pyarrow.string(), pyarrow.int64())), *PROVENANCE])
    binary = pyarrow.schema([("id", pyarrow.int64()), ("text", pyarrow.string()), ("list", pyarrow.list_(pyarrow.int64())),
                             ("amount", pyarrow.decimal128(6, 2)), *PROVENANCE])
    typed = pyarrow.schema([("id", pyarrow.int64()), ("text", pyarrow.string()), ("at", pyarrow.timestamp("us")),
                            ("list", pyarrow.list_(pyarrow.int32())), ("map", pyarrow.map_(pyarrow.string(), pyarrow.int32())), *PROVENANCE])
    row = {"id": 1, "text": "a"}
    cases = [
        (Log(broker, "json", b'{"id":1,"text":"a"}', JSON_POISON), {"fields": FIELDS}, {"format": "json"}, text, row),
        (Log(broker, "avro", avro_good, avro), "registry", {"format": "avro"}, binary, {**row, "list": [1], "amount": decimal.Decimal("0.01")}),
        (Log(broker, "proto", proto_good, proto), "registry", {"format": "protobuf"}, typed, {**row, "list": [], "map": []}),
    ]
    tables = [service.topic(log.name, schema, value, limits={"elements": 1000}) for log, schema, value, _, _ in cases]
    service.start()
    for table, (log, *_) in zip(tables, cases):
        service.wait_for(table, {0: log.sent}, 120)
    service.stop()
    readings = []
    for table, (log, _, _, model, good) in zip(tables, cases):
        check_ledger(table, log.sent, dead=len(log.dead))
        log.check(service.settings["state_dir"])
        outcome = rig.run_moraine("redrive", "--config", service.config, "--topic", log.name)
        expect(outcome[:2] == (0, f"{len(log.dead)} dead letters sent again: 0 landed, {len(log.dead)} are dead again\n"),
               f"{log.name}: redrive: {outcome}")
        rows = [{**good, "_kafka_partition": 0, "_kafka_offset": offset} for offset in log.good]
        readings.append((table, pyarrow.Table.from_pylist(rows, schema=model), ["_kafka_offset"], None))
    checks.thorough(scenario, readings)
