"""A small Avro codec of our own, so that what is sent and what is expected do not share code with the
program under test: encode and decode by schema, Confluent's wire format, object container files."""

import datetime
import decimal
import io
import json
import struct
import uuid
import zlib

import numpy

EPOCH_DAY = datetime.date(1970, 1, 1)


def zigzag(number):
    """An int or long as Avro writes it."""
    number = (number << 1) ^ (number >> 63) if number < 0 else number << 1
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(data):
    return zigzag(len(data)) + data


def unscaled(value, scale):
    return int(decimal.Context(prec=60).scaleb(value, scale))


def encode(schema, value):
    """The bytes of `value`. Logical types take the Python value (date, datetime as integer, Decimal, UUID)."""
    if isinstance(schema, list):
        for index, branch in enumerate(schema):
            if (branch == "null") == (value is None):
                return zigzag(index) + encode(branch, value)
        raise ValueError(f"no branch of {schema} for {value!r}")
    if isinstance(schema, str):
        return encode_primitive(schema, value)
    kind, logical = schema["type"], schema.get("logicalType")
    if kind == "record":
        return b"".join(encode(f["type"], value[f["name"]]) for f in schema["fields"])
    if kind == "array":
        items = b"".join(encode(schema["items"], v) for v in value)
        return (zigzag(len(value)) + items if value else b"") + b"\0"
    if kind == "map":
        items = b"".join(sized(k.encode()) + encode(schema["values"], v) for k, v in value.items())
        return (zigzag(len(value)) + items if value else b"") + b"\0"
    if kind == "enum":
        return zigzag(schema["symbols"].index(value))
    if logical == "decimal":
        number = unscaled(value, schema["scale"])
        if kind == "fixed":
            return number.to_bytes(schema["size"], "big", signed=True)
        return sized(number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))
    if kind == "fixed":
        return bytes(value)
    if logical == "date":
        return zigzag((value - EPOCH_DAY).days)
    if logical == "uuid":
        return sized(str(value).encode())
    return encode_primitive(kind, value)


def encode_primitive(kind, value):
    if kind == "null":
        return b""
    if kind == "boolean":
        return b"\1" if value else b"\0"
    if kind in ("int", "long"):
        return zigzag(value)
    if kind == "float":
        return struct.pack("<f", value)
    if kind == "double":
        return struct.pack("<d", value)
    if kind == "string":
        return sized(value.encode())
    if kind == "bytes":
        return sized(value)
    raise ValueError(f"type {kind}")


def confluent(schema_id, body):
    return b"\0" + struct.pack(">i", schema_id) + body


# ---- reading: enough for the metadata files of a Hudi timeline --------------------------------------


def read_long(stream):
    number, shift = 0, 0
    while True:
        byte = stream.read(1)[0]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7


def decode(schema, stream, names):
    """One value; logical types stay raw."""
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        return decode(schema[read_long(stream)], stream, names)
    kind = schema if isinstance(schema, str) else schema["type"]
    if isinstance(kind, (dict, list)):
        return decode(kind, stream, names)
    if kind in ("record", "enum", "fixed"):
        names[schema["name"]] = schema
        names[f"{schema.get('namespace', '')}.{schema['name']}"] = schema
    if kind == "record":
        return {f["name"]: decode(f["type"], stream, names) for f in schema["fields"]}
    if kind in ("array", "map"):
        return decode_blocks(schema, kind, stream, names)
    if kind == "enum":
        return schema["symbols"][read_long(stream)]
    if kind == "fixed":
        return stream.read(schema["size"])
    if kind == "null":
        return None
    if kind == "boolean":
        return stream.read(1) == b"\1"
    if kind in ("int", "long"):
        return read_long(stream)
    if kind == "float":
        return struct.unpack("<f", stream.read(4))[0]
    if kind == "double":
        return struct.unpack("<d", stream.read(8))[0]
    data = stream.read(read_long(stream))
    return data.decode() if kind == "string" else data


def decode_blocks(schema, kind, stream, names):
    items = []
    while count := read_long(stream):
        if count < 0:
            count = -count
            read_long(stream)
        for _ in range(count):
            if kind == "map":
                key = decode("string", stream, names)
                items.append((key, decode(schema["values"], stream, names)))
            else:
                items.append(decode(schema["items"], stream, names))
    return dict(items) if kind == "map" else items


def learn_names(schema, namespace, names):
    """Collects named types, which later parts of a schema may refer to."""
    if isinstance(schema, list):
        for branch in schema:
            learn_names(branch, namespace, names)
    elif isinstance(schema, dict):
        namespace = schema.get("namespace", namespace)
        if "name" in schema and schema["type"] in ("record", "enum", "fixed"):
            names[schema["name"]] = names[f"{namespace}.{schema['name']}"] = schema
        for part in ("type", "items", "values"):
            learn_names(schema.get(part), namespace, names)
        for field in schema.get("fields", []):
            learn_names(field["type"], namespace, names)


def read_container(data):
    """The records of an object container file (codecs null and deflate)."""
    stream = io.BytesIO(data)
    if stream.read(4) != b"Obj\1":
        raise ValueError("not an Avro container")
    meta = decode({"type": "map", "values": "bytes"}, stream, {})
    schema = json.loads(meta["avro.schema"])
    codec = meta.get("avro.codec", b"null")
    names = {}
    learn_names(schema, "", names)
    stream.read(16)
    records = []
    while stream.tell() < len(data):
        count = read_long(stream)
        block = stream.read(read_long(stream))
        if codec == b"deflate":
            block = zlib.decompress(block, -15)
        elif codec != b"null":
            raise ValueError(f"codec {codec}")
        part = io.BytesIO(block)
        records += [decode(schema, part, names) for _ in range(count)]
        stream.read(16)
    return records


# ---- whole columns at once ---------------------------------------------------------------------------


class Matrix:
    """Rows of bytes of different lengths, built column by column with numpy, joined at the end."""

    def __init__(self, rows):
        self.rows, self.parts, self.masks = rows, [], []

    def add(self, data, mask=None):
        self.parts.append(data)
        self.masks.append(numpy.ones(data.shape, bool) if mask is None else mask)

    def constant(self, data):
        self.add(numpy.broadcast_to(numpy.frombuffer(data, numpy.uint8), (self.rows, len(data))))

    def little(self, values, dtype):
        self.add(numpy.ascontiguousarray(values.astype(dtype)).view(numpy.uint8).reshape(self.rows, -1))

    def longs(self, values):
        """Avro int or long."""
        values = values.astype(numpy.int64)
        rest = ((values << 1) ^ (values >> 63)).view(numpy.uint64)
        data = numpy.zeros((self.rows, 10), numpy.uint8)
        mask = numpy.zeros((self.rows, 10), bool)
        more = numpy.ones(self.rows, bool)
        for i in range(10):
            mask[:, i] = more
            data[:, i] = (rest & 0x7F).astype(numpy.uint8)
            rest = rest >> numpy.uint64(7)
            more = more & (rest != 0)
            data[:, i] |= numpy.where(more, 0x80, 0).astype(numpy.uint8)
            if not more.any():
                break
        self.add(data, mask)

    def text(self, values, sizes):
        """Fixed-width byte strings (numpy S dtype) of `sizes` bytes each, without a length."""
        width = values.dtype.itemsize
        data = numpy.ascontiguousarray(values).view(numpy.uint8).reshape(self.rows, width)
        self.add(data, numpy.arange(width)[None, :] < sizes[:, None])

    def sizes(self):
        return sum(mask.sum(axis=1) for mask in self.masks)

    def join(self):
        return numpy.concatenate(self.parts, axis=1)[numpy.concatenate(self.masks, axis=1)].tobytes()


def new_uuid(number):
    return uuid.UUID(int=(0x0123456789ABCDEF << 64 | number) & ((1 << 128) - 1), version=4)
