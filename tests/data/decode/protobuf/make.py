"""Writes the golden Protobuf payloads of this folder: make.py, with grpcio-tools and protobuf from PyPI.

For each case NAME.bin is what Google's Python library encodes and NAME.json the row that must come of it, one line.
all.desc is what protoc writes for all.proto and what it imports.
"""

import base64
import json
import pathlib
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
INCLUDE = str(pathlib.Path(protoc.__file__).parent / "_proto")
if protoc.main(["protoc", f"-I{HERE}", f"-I{INCLUDE}", "--include_imports", f"--descriptor_set_out={HERE / 'all.desc'}", "all.proto"]):
    sys.exit("protoc failed")
files = descriptor_pb2.FileDescriptorSet.FromString((HERE / "all.desc").read_bytes())
pool = descriptor_pool.DescriptorPool()
for file in files.file:
    pool.Add(file)


def new(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()


def inner(message):
    return None if message is None else {"id": message.id, "tags": list(message.tags), "note": message.note if message.HasField("note") else None}


def row(m):
    """The row of an acme.All, written down by hand from the rules of the manual."""
    def optional(name, make=lambda v: v):
        return make(getattr(m, name)) if m.HasField(name) else None

    enum = pool.FindEnumTypeByName("acme.Color")
    color = lambda v: enum.values_by_number[v].name if v in enum.values_by_number else str(v)
    b64 = lambda v: base64.b64encode(v).decode()
    real = lambda v: v if v == v and abs(v) != float("inf") else "NaN" if v != v else "Infinity" if v > 0 else "-Infinity"
    return {
        "f_double": real(m.f_double), "f_float": real(m.f_float), "f_int32": m.f_int32, "f_int64": m.f_int64, "f_uint32": m.f_uint32,
        "f_uint64": str(m.f_uint64), "f_sint32": m.f_sint32, "f_sint64": m.f_sint64, "f_fixed32": m.f_fixed32,
        "f_fixed64": str(m.f_fixed64), "f_sfixed32": m.f_sfixed32, "f_sfixed64": m.f_sfixed64, "f_bool": m.f_bool, "f_string": m.f_string,
        "f_bytes": b64(m.f_bytes), "f_color": color(m.f_color), "o_int32": optional("o_int32"), "o_string": optional("o_string"),
        "inner": optional("inner", inner), "numbers": list(m.numbers), "unpacked": list(m.unpacked), "names": list(m.names),
        "inners": [inner(i) for i in m.inners], "colors": [color(c) for c in m.colors],
        "counts": {k: v for k, v in sorted(m.counts.items())}, "by_id": {str(k): inner(v) for k, v in sorted(m.by_id.items())},
        "c_text": m.c_text if m.WhichOneof("choice") == "c_text" else None, "c_number": m.c_number if m.WhichOneof("choice") == "c_number" else None,
        "c_inner": inner(m.c_inner) if m.WhichOneof("choice") == "c_inner" else None,
        "at": optional("at", lambda t: t.ToJsonString()), "took": optional("took", lambda d: d.seconds * 1000000 + int(d.nanos / 1000)),
        "w_int": optional("w_int", lambda w: w.value), "w_string": optional("w_string", lambda w: w.value), "w_bool": optional("w_bool", lambda w: w.value),
        "free": optional("free", lambda s: json.dumps(plain(s), separators=(",", ":"), ensure_ascii=False)),
        "any": optional("any", lambda a: {"type_url": a.type_url, "value": b64(a.value)}), "nothing": optional("nothing", lambda _: True),
        "far": optional("far", lambda f: {"label": f.label, "kind": "KIND_B" if f.kind == 1 else "KIND_A"}),
    }


def plain(value):
    """A Struct or Value in the order of its bytes."""
    if value.DESCRIPTOR.name == "Struct":
        return {k: plain(v) for k, v in sorted(value.fields.items())}
    if value.DESCRIPTOR.name == "ListValue":
        return [plain(v) for v in value.values]
    kind = value.WhichOneof("kind")
    if kind in ("struct_value", "list_value"):
        return plain(getattr(value, kind))
    if kind == "number_value":
        return int(value.number_value) if value.number_value == int(value.number_value) else value.number_value
    return None if kind in (None, "null_value") else getattr(value, kind)


def save(name, message, expected=None, data=None):
    (HERE / f"{name}.bin").write_bytes(message.SerializeToString(deterministic=True) if data is None else data)
    (HERE / f"{name}.json").write_text(json.dumps(expected or row(message), separators=(",", ":"), ensure_ascii=False) + "\n")


empty = new("acme.All")
save("empty", empty)
full = new("acme.All")
full.f_double, full.f_float, full.f_int32, full.f_int64, full.f_uint32, full.f_uint64 = 1.5, -0.25, -7, -2**63, 2**32 - 1, 2**64 - 1
full.f_sint32, full.f_sint64, full.f_fixed32, full.f_fixed64, full.f_sfixed32, full.f_sfixed64 = -2**31, 2**63 - 1, 2**32 - 1, 2**63, -1, -2**63
full.f_bool, full.f_string, full.f_bytes, full.f_color, full.o_int32, full.o_string = True, "Straße 🚚", b"\x00\xff", 2, 0, ""
full.inner.id, full.inner.note = 1, "n"
full.inner.tags.extend(["a", ""])
full.numbers.extend([1, -1, 2**31 - 1])
full.unpacked.extend([3, 4])
full.names.extend(["x", "y" * 100])
for i in range(3):
    full.inners.add(id=i).tags.extend("t" * i)
full.colors.extend([0, 1, 99])
full.counts["one"] = 1
full.counts["two"] = 2
full.by_id[-5].id = 5
full.c_inner.id = 9
full.at.FromJsonString("2026-01-31T12:34:56.789012Z")
full.took.FromJsonString("-1.500001s")
full.w_int.value, full.w_string.value = 42, ""
full.w_bool.SetInParent()
full.free.update({"a": 1, "b": [True, None, "x\n\"", 0.1], "c": {"d": {}}})
full.any.type_url, full.any.value = "type.acme/x", b"abc"
full.nothing.SetInParent()
full.far.label, full.far.kind = "elsewhere", 1
save("full", full)
bounds = new("acme.All")
bounds.at.FromJsonString("0001-01-01T00:00:00Z")
bounds.f_double, bounds.f_float = float("nan"), float("-inf")
bounds.c_text = "later"
save("bounds", bounds)

# fields out of order, twice, and unknown ones: the last scalar counts, messages are merged, lists go on
first, second = new("acme.All"), new("acme.All")
first.f_int32, first.inner.id, first.c_text, first.far.kind = 1, 1, "old", 1
first.inner.tags.append("a")
first.names.append("a")
first.numbers.append(1)
second.f_int32, second.inner.note, second.c_number, second.far.label = 2, "merged", 7, "merged"
second.inner.tags.append("b")
second.names.append("b")
second.numbers.append(2)
unknown = b"\xa0\x3f\x01" + b"\xa2\x3f\x02hi" + b"\xa5\x3f\x00\x00\x00\x00" + b"\xa1\x3f" + b"\x00" * 8 + b"\xa3\x3f\xa8\x3f\x01\xa4\x3f"
merged = new("acme.All")
data = unknown + second.SerializeToString() [:0] + first.SerializeToString() + unknown + second.SerializeToString()
merged.MergeFromString(data)
merged.DiscardUnknownFields()
save("merged", merged, data=data)

old = new("acme.Old")  # proto2
old.id, old.name = 5, "n"
save("proto2", old, {"id": 5, "name": "n", "missing": None, "level": None})
