"""`moraine verify` and what it says."""

import json

import rig
from rig import expect, say


def verify(table, service=None, topic=None):
    """Runs the command, against Kafka when a service and a topic are given; returns (report, exit status)."""
    kafka = ["--config", service.config, "--topic", topic] if service else []
    status, out, errors = rig.run_moraine("verify", table, "--output", "json", *kafka)
    expect(out, f"verify {table.name} gave no report (status {status}): {errors}")
    report = json.loads(out)
    expect(status == (0 if report["right"] else 1), f"verify {table.name}: status {status}, report {out[:300]}")
    return report


def numbers(report, check):
    """What a check looked at, by name."""
    return next(c["numbers"] for c in report["checks"] if c["name"] == check)


def kinds(report):
    """Kinds of the findings that are no warnings."""
    return {f"{f['check']}: {f['kind']}" for f in report["findings"] if not f["warning"]}


def describe(report):
    return "\n".join(f"{f['check']}: {f['kind']}: {f.get('commit', '')} {f.get('file', '')} {f['text']}"
                     for f in report["findings"][:10]) or "no findings"


def expect_right(table, service=None, topic=None, what=""):
    """No finding; with Kafka, and nothing removed there, every range must have been compared. Returns the report."""
    report = verify(table, service, topic)
    expect(report["right"], f"verify {table.name}{what} found:\n{describe(report)}")
    checked = [c["name"] for c in report["checks"] if c["checked"]]
    expect(not service or "kafka" in checked, f"verify {table.name}{what}: Kafka was not compared: {report['checks']}")
    say(f"  verify {table.name}{what}: right ({', '.join(checked)})")
    return report


def expect_finding(table, kind, words="", service=None, topic=None):
    """Some finding of this kind ("files: missing file") whose line holds the words."""
    report = verify(table, service, topic)
    for f in report["findings"]:
        line = f"{f.get('commit', '')} {f.get('file', '')} {f['text']}"
        if f"{f['check']}: {f['kind']}" == kind and not f["warning"] and words in line:
            say(f"  {kind}: {f['text'][:160]}")
            return report
    raise rig.Failure(f"verify {table.name} did not find '{kind}' with '{words}':\n{describe(report)}")
