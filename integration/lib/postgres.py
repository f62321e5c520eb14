"""A private PostgreSQL with logical decoding (wal2json), and its changes as the events that Debezium makes of them."""

import base64
import datetime
import decimal
import json
import os
import pathlib
import subprocess

import rig

INSTALLED = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/lib/wal2json.so"))
BIN = INSTALLED[-1].parent.parent / "bin" if INSTALLED else None
EPOCH = datetime.datetime(1970, 1, 1)
UNAVAILABLE = "__debezium_unavailable_value"


def missing():
    """Why there is none on this machine, or None."""
    return None if BIN else "no PostgreSQL with wal2json (Debian packages postgresql and postgresql-<version>-wal2json)"


class Postgres:
    """Runs as another user when this one is root: PostgreSQL refuses to be root."""

    def __init__(self, scenario):
        self.folder = scenario.folder / "postgres"
        self.folder.mkdir()
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if self.user:
            scenario.folder.chmod(0o755)
            subprocess.run(["chown", "postgres:", self.folder], check=True)
        (self.port,) = rig.free_ports(1)
        self.run("initdb", "-D", self.folder / "data", "-U", "rig", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        settings = {"wal_level": "logical", "listen_addresses": "", "unix_socket_directories": self.folder, "port": self.port,
                    "fsync": "off", "timezone": "UTC", "shared_buffers": "32MB"}
        if self.run("postgres", "-D", self.folder / "data", "-C", "output_plugin_libraries", check=False).returncode == 0:
            settings["output_plugin_libraries"] = "wal2json"  # newer servers want to be told
        self.process = scenario.process("postgres-server", [*self.user, BIN / "postgres", "-D", self.folder / "data",
                                                            *(part for k, v in settings.items() for part in ("-c", f"{k}={v}"))])
        rig.wait_until(lambda: self.run("pg_isready", "-h", self.folder, "-p", self.port, "-U", "rig", "-d", "postgres", check=False).returncode == 0, 60, "PostgreSQL")

    def run(self, tool, *args, check=True, **options):
        result = subprocess.run([*self.user, str(BIN / tool), *map(str, args)], capture_output=True, text=True, cwd="/", **options)
        rig.expect(result.returncode == 0 or not check, f"{tool}: {result.stderr}")
        return result

    def sql(self, text):
        """The lines of the answer, columns separated by tabs."""
        result = self.run("psql", "-h", self.folder, "-p", self.port, "-U", "rig", "-d", "postgres", "-qAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", input=text)
        return result.stdout.splitlines()

    def pgbench(self, script, clients, transactions):
        path = self.folder / "script.sql"
        path.write_text(script)
        self.run("pgbench", "-h", self.folder, "-p", self.port, "-U", "rig", "-n", "-c", clients, "-t", transactions, "-f", path, "postgres")

    def rows(self, table):
        """All rows as Python values, by JSON."""
        return [json.loads(line, parse_float=decimal.Decimal) for line in self.sql(f"select row_to_json(t) from {table} t;")]

    def changes(self, slot):
        """(lsn, change) of everything since the last call, in the order of the log."""
        lines = self.sql(f"select lsn, data from pg_logical_slot_get_changes('{slot}', NULL, NULL, 'format-version', '2');")
        for line in lines:
            lsn, _, data = line.partition("\t")
            high, low = lsn.split("/")
            yield int(high, 16) << 32 | int(low, 16), json.loads(data, parse_float=decimal.Decimal)


# ---- values ---------------------------------------------------------------------------------------

def stamp(text):
    return datetime.datetime.fromisoformat(text.replace(" ", "T"))


def value_of(kind, value):
    """A value of wal2json or row_to_json as Python's own."""
    if value is None:
        return None
    if kind == "timestamp":
        return stamp(value)
    if kind == "timestamptz":
        return stamp(value + (":00" if value[-3] in "+-" else "")).astimezone(datetime.timezone.utc).replace(tzinfo=None)
    if kind == "date":
        return datetime.date.fromisoformat(value)
    if kind.startswith("numeric"):
        return decimal.Decimal(value).quantize(decimal.Decimal("0.01"))
    if kind == "text[]":
        return value if isinstance(value, list) else [part.strip('"') for part in value.strip("{}").split(",") if part]
    if kind == "jsonb":
        return json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True, separators=(",", ":"), default=str)
    if kind == "bytea":
        return bytes.fromhex(value.removeprefix("\\x"))
    return value


def unscaled(value):
    number = int(value.scaleb(2))
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def debezium_json(kind, value):
    """As Debezium's JSON has it by default: dates as days, timestamps as microseconds, decimals as base64."""
    if value is None or value == UNAVAILABLE:
        return value
    if kind == "timestamp":
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if kind == "timestamptz":
        return value.isoformat() + "Z"
    if kind == "date":
        return (value - EPOCH.date()).days
    if kind.startswith("numeric"):
        return base64.b64encode(unscaled(value)).decode()
    return base64.b64encode(value).decode() if kind == "bytea" else value


def debezium_avro(kind, value):
    """The same for an Avro writer."""
    if value is None or value == UNAVAILABLE:
        return value
    if kind.startswith("numeric"):
        return unscaled(value)
    return value if kind == "bytea" else debezium_json(kind, value)
