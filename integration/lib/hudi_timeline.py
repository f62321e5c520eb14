"""Our own look at a Hudi table's timeline: completed commits and the progress stated in them."""

import json
import pathlib

from avro_wire import read_container


def table_version(table):
    for line in (pathlib.Path(table) / ".hoodie" / "hoodie.properties").read_text().splitlines():
        if line.startswith("hoodie.table.version="):
            return int(line.split("=")[1])
    return None


def read_commit(path):
    data = path.read_bytes()
    if data[:4] == b"Obj\1":
        return read_container(data)[0]
    return json.loads(data) if data else {}


def commits(table):
    """[(instant, action, metadata)] of completed commits and deltacommits, oldest first."""
    root = pathlib.Path(table) / ".hoodie"
    found = []
    for folder in (root, root / "timeline"):
        for path in folder.glob("*commit"):
            instant, action = path.name.split(".", 1)
            if action in ("commit", "deltacommit"):
                found.append((instant.split("_")[0], action, path))
    return [(instant, action, read_commit(path)) for instant, action, path in sorted(found)]


def ledger(metadata):
    """The `moraine` property of a commit, None when it has none."""
    text = (metadata.get("extraMetadata") or {}).get("moraine")
    return json.loads(text) if text else None


def progress(table):
    """[(instant, the `moraine` property)] of the deltacommits, oldest first."""
    states = []
    for instant, action, metadata in commits(table) if (pathlib.Path(table) / ".hoodie").exists() else []:
        state = ledger(metadata)
        if action == "deltacommit" and state:
            states.append((instant, state))
    return states


def offsets(table, instant=None):
    """{partition: next offset} in the newest deltacommit, or in that of the instant."""
    states = [state for state in progress(table) if instant in (None, state[0])]
    return {int(p): o[0] for p, o in states[-1][1]["offsets"].items()} if states else {}


def row_totals(table):
    """Sums of the outcomes over all deltacommits that the timeline still holds."""
    totals = {}
    for _, state in progress(table):
        for outcome, count in state["rows"].items():
            totals[outcome] = totals.get(outcome, 0) + count
    return totals


def leftovers(table):
    """Names on the timeline that are neither completed nor completed later: inflight and requested."""
    names = {}
    root = pathlib.Path(table) / ".hoodie"
    for folder in (root, root / "timeline"):
        for path in folder.glob("*commit*"):
            instant, action = path.name.split(".", 1)
            names.setdefault(instant.split("_")[0], set()).add(action)
    return sorted(i for i, actions in names.items() if not actions & {"commit", "deltacommit"})
