"""Our own look at an Iceberg table in the file system: its newest metadata, its snapshots, and the progress stated in them."""

import gzip
import json
import pathlib
import re
import time

NAME = re.compile(r"(?:v(\d+)(?:\.gz)?|(\d{5})-[0-9a-f-]+)\.metadata\.json$")  # ours, and those of catalogs


def is_table(table):
    return (pathlib.Path(table) / "metadata").is_dir()


def metadata_files(table):
    """[(version, path)], oldest first."""
    found = [(int(match[1] or match[2]), path) for path in (pathlib.Path(table) / "metadata").iterdir() if (match := NAME.match(path.name))]
    return sorted(found)


def for_readers(table):
    """What readers by path take: the folder, or the newest metadata file of a table that a catalog keeps, which has no hint."""
    hint = pathlib.Path(table) / "metadata" / "version-hint.text"
    return table if hint.exists() or not metadata_files(table) else metadata_files(table)[-1][1]


def metadata(table):
    """The newest metadata document; {} while there is none."""
    for _ in range(20):  # the oldest ones are removed meanwhile, never the newest
        files = metadata_files(table) if is_table(table) else []
        if not files:
            return {}
        try:
            data = files[-1][1].read_bytes()
            return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        except FileNotFoundError:
            continue
        except json.JSONDecodeError:  # a catalog server may write its file where everybody sees it
            time.sleep(0.05)
    raise RuntimeError(f"{table}: its metadata files go faster than they can be read")


def snapshots(table):
    """From the oldest that is kept to the newest, along the parents of the newest."""
    return snapshots_of(metadata(table))


def snapshots_of(document):
    """The same of a metadata document."""
    known = {s["snapshot-id"]: s for s in document.get("snapshots", [])}
    chain, at = [], document.get("current-snapshot-id")
    while at in known:
        chain.append(known[at])
        at = known[at].get("parent-snapshot-id")
    return chain[::-1]


def progress(table):
    """[(sequence number, the `moraine` property)] of the commits that brought records, oldest first."""
    states = []
    for snapshot in snapshots(table):
        text = snapshot["summary"].get("moraine")
        if text and snapshot["summary"]["operation"] != "replace":
            states.append((snapshot["sequence-number"], json.loads(text)))
    return states


def format_version(table):
    return metadata(table).get("format-version")


def total(table, name):
    """A total of the newest snapshot's summary: "delete-files", "position-deletes", ..."""
    chain = snapshots(table)
    return int(chain[-1]["summary"].get(f"total-{name}", 0)) if chain else 0
