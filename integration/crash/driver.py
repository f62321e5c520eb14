"""The crash test: seeded faults against a real broker while records flow, then the verdict over the tables.

    driver.py KILLS=100 SEED=1 [FORMAT=some of hudi6,hudi9,iceberg2,iceberg3,iceberg_rest2,iceberg_rest3] [INSTANCES=1|3]
              [SECONDS=n] [HOURS=n] [LATE_AFTER_DELETE=1]
              [SPARK=most tables that Spark reads] [ROUND=kills of a round] [UNTIL_FAILURE=1] [VERBOSE=1]
              [FAULT=name of a function in faults.py] [DISK=setting of the failing disk] [PLACE=failpoint beside it]

A campaign is a row of rounds. Each round has fresh topics and tables, one format and one number of instances, and a seed
of its own (SEED + number of the round), so a round that fails is repeated alone by the command that is printed. SECONDS is
shared out to the rounds, HOURS goes on with rounds whatever KILLS says. The last line of output is
`kills=… lost=… doubled=… recovery_p99_s=…`; the exit status is 0 only when lost and doubled are 0 and nothing else was
wrong.
"""

import collections
import contextlib
import itertools
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import clerk
import faults
import fleet
import oracle
import rig
import workload
from broker import Broker
from proxy import Proxy
from rest_catalog import RestCatalog
from rig import Failure, Scenario, say

FORMATS = {  # what the topics' files say of it, and the failpoints of others
    "hudi6": ({"format": "hudi", "hudi": {"table_version": 6}}, "iceberg."),
    "hudi9": ({"format": "hudi", "hudi": {"table_version": 9}}, "iceberg."),
    "iceberg2": ({"format": "iceberg", "format_version": 2}, "hudi."),
    "iceberg3": ({"format": "iceberg", "format_version": 3}, "hudi."),
    "iceberg_rest2": ({"format": "iceberg", "format_version": 2, "catalog": fleet.IN_CATALOG}, "hudi."),
    "iceberg_rest3": ({"format": "iceberg", "format_version": 3, "catalog": fleet.IN_CATALOG}, "hudi."),
}
PARTITIONS = 4
RATES = {"orders": 500, "readings": 300}  # records per second
DISK_BYTES = 256 << 20
KILLS_OF_A_ROUND = 50
CATCH_UP_SECONDS = 120
CROWD, CROWDED_MEMORY = 200_000, "64MiB"  # more event ids than local state has tables for: filters take over
UPKEEP = {"compaction": {"max_delta_files": 3}, "retention": {"age": "1m", "min_snapshots": 2}}  # much to do
PATIENCE_STARTS = 6  # so many starts in a row may end by themselves
# faults that do not delay the start on purpose
MEASURED = {"SIGKILL at a random moment", "SIGKILL at a failpoint", "local state deleted", "SIGTERM"}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def unmount(lake):
    subprocess.run(["umount", "-l", str(lake)], stderr=subprocess.DEVNULL)  # it may be gone already


class Campaign:
    """What outlives a round: broker, proxy, failpoint deck, tallies."""

    def __init__(self, scenario, settings):
        self.scenario, self.settings = scenario, settings
        self.tools, self.pipe = rig.TOOLS, subprocess.PIPE
        (port,) = rig.free_ports(1)
        self.broker = Broker(scenario, proxied=port, group_min_session_timeout_ms=1000)
        self.proxy = Proxy(port, self.broker.proxied_port)
        names = faults.failpoint_names()
        self.deck = faults.Deck([name for name in names if not name.startswith(faults.ELSEWHERE)])
        self.upkeep_deck = faults.Deck(faults.failpoint_names(faults.UPKEEP), clerk.PASSINGS)
        self.rollback_deck = faults.Deck(faults.failpoint_names(faults.ROLLBACK))
        self.clerk = clerk.Clerk(self)
        self.kills = 0
        self.done = collections.Counter()  # fault -> times
        self.events = collections.Counter()  # what the instances said
        self.places = collections.Counter()
        self.recoveries = collections.defaultdict(list)  # (membership, instances) -> seconds
        self.failures = []
        self.lost = self.doubled = 0
        self.checked = []  # (topic, model, verdict) for Spark
        self.deadline = None  # of the round

    # ---- what faults call -----------------------------------------------------------------------

    def on_commit(self, timeline, ledger):
        for instance in self.instances:
            if instance.name == ledger["instance"] and instance.alive:
                instance.committed()
        if timeline.doubled and timeline not in self.alarmed:
            self.alarmed.add(timeline)
            say(f"  a second commit covers {timeline.doubled} records of {timeline.table.name}: {ledger['instance']}, "
                f"{ledger['ranges']}; before: {self.recent[-3 * len(self.instances):]}")

    def start(self, instance, **env):
        if self.journal:
            env["MORAINE_IOFAULT_JOURNAL"] = str(self.journal)
        if self.journal or "MORAINE_IOFAULT" in env:
            env["LD_PRELOAD"] = str(self.tools / "iofault.so")
        instance.start(env)

    def end(self, instance, fault, place="", expected_status=None):
        """Leaves the instance dead, counts what happened to it."""
        if expected_status is None:
            killed = instance.kill()
            self.kills += killed
        else:
            killed = instance.service.process.child.poll() == expected_status
            instance.kill()
        counts, complaints = instance.said()
        self.events.update(counts)
        status = instance.service.process.child.returncode
        self.in_a_row = 0 if killed else self.in_a_row + 1
        if not killed:
            self.ended_by_itself(instance, fault, place, status, complaints)
        elif complaints and fault != "failing disk":
            self.fail(f"{instance.name} complains after '{fault} {place}': {complaints[-1]}")
        if fault in MEASURED and instance.after_kill and instance.first_commit and not self.was_disturbed(instance):
            self.recoveries[self.kind].append(instance.first_commit)
        instance.after_kill = killed
        self.done[fault] += 1
        if place:
            self.places[place.partition("=")[0] if fault != "failing disk" else place.split(";")[0]] += 1
        self.recent.append((instance.name, fault, place))
        if self.settings.verbose:
            say(f"    {instance.name} after {time.monotonic() - instance.started_at:.2f} s, {instance.commits} commits: "
                f"{fault} {place} {counts or ''}")

    def ended_by_itself(self, instance, fault, place, status, complaints):
        last = complaints[-1] if complaints else rig.tail(instance.service.process.log, 1)
        if status < 0 and -status != signal.SIGKILL or fault != "failing disk":
            self.fail(f"{instance.name} ended with status {status} in '{fault} {place}': {last}")
        else:
            self.events[f"ended by itself, {fault}"] += 1
        if self.in_a_row == PATIENCE_STARTS:
            self.fail(f"{instance.name} ended by itself {PATIENCE_STARTS} times in a row; the round is given up")

    def fail(self, text):
        self.failures.append(text)
        say(f"  FAILURE: {text}\n    {self.repeat}")

    def was_disturbed(self, instance):
        """Whether a fault of the world fell into the time from its start to its first commit, or just before."""
        first, last = instance.started_at - 1, instance.started_at + instance.first_commit
        return self.world_fault or any(start < last and end > first for start, end in self.disturbances[-3:])

    def fill(self, ballast, left_bytes):
        room = os.statvfs(ballast.parent)
        with contextlib.suppress(OSError), ballast.open("wb") as filler:  # others write meanwhile
            filler.write(bytes(max(0, room.f_bavail * room.f_bsize - left_bytes)))

    # ---- one round ------------------------------------------------------------------------------

    def new_lake(self, number):
        """A small file system of its own, when one can be mounted, so that it can be full."""
        self.lake = self.scenario.folder / f"lake-{number}"
        self.lake.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", self.lake],
                                 capture_output=True)
        if mounted.returncode == 0:
            self.scenario.stack.callback(unmount, self.lake)
        elif not self.done["skipped: a full disk (no file system can be mounted here)"]:
            self.done["skipped: a full disk (no file system can be mounted here)"] += 1
        self.can_be_full = mounted.returncode == 0

    def prepare(self, number, seed, table_format, others, count):
        """others: failpoints that no table of this format passes."""
        settings = self.settings
        dice = random.Random(f"{seed} round")
        self.dedup, busy_upkeep = dice.random() < 0.6, dice.random() < 0.5
        self.upkeep = UPKEEP if busy_upkeep else {}
        self.letters = dice.choice(["file", "table", "table", "topic"])
        self.crowded = self.dedup and dice.random() < 0.3
        self.new_lake(number)
        self.instances, self.alarmed, self.recent = [], set(), []
        self.world_fault, self.disturbances, self.in_a_row = None, [], 0
        self.catalog, self.catalogs = None, {}
        if "catalog" in table_format:
            self.catalog = RestCatalog(self.scenario, f"catalog-{number}", fleet.warehouse(self.lake))
            self.catalogs = {"catalogs": {fleet.IN_CATALOG["name"]: {"type": "rest", "uri": self.catalog.uri}}}
        self.topics = [
            fleet.Topic(self, f"{name}-{number}", log, table_format, self.lake, PARTITIONS)
            for name, log in (
                ("orders", workload.KeyedLog(PARTITIONS, seed, self.dedup, settings.late_after_delete)),
                ("readings", workload.AppendLog(PARTITIONS, seed, self.dedup, settings.late_after_delete,
                                                self.letters == "table")))]
        if self.crowded:
            self.topics[1].send(CROWD)
        static = dice.random() < 0.5
        self.kind = f"{'static' if static else 'dynamic'} membership, {count} instance{'s' if count > 1 else ''}"
        states = self.lake if dice.random() < 0.5 else self.scenario.folder  # may be full with the tables
        for letter in "abcdefgh"[:count]:
            kafka = {"bootstrap.servers": f"127.0.0.1:{self.proxy.port}", "reconnect.backoff.max.ms": "500",
                     "session.timeout.ms": str(int(faults.SESSION_SECONDS * 1000)), "heartbeat.interval.ms": "300"}
            name = f"{letter}{number}"
            if static:
                kafka["group.instance.id"] = name
            state = states / f"state-{name}"
            self.instances.append(fleet.Instance(self.scenario, name, self.topics, state, kafka=kafka,
                                                 memory=CROWDED_MEMORY if self.crowded else "128MiB", **self.catalogs))
        # a power cut takes all instances at once, so it needs a round with one
        self.journal = self.scenario.folder / f"journal-{number}" if count == 1 and dice.random() < 0.5 else None
        for deck in (self.deck, self.upkeep_deck, self.rollback_deck):
            deck.new_round(dice, others)
        if self.crowded:
            self.deck.pile += ["state.claimed"] * 2
        self.clerk.prepare(number, dice, others, {"bootstrap.servers": self.broker.address})

    def life(self, instance, seed, stop_at):
        dice = random.Random(f"{seed} {instance.name[0]}")
        impossible = set()
        if not self.journal:
            impossible.add(faults.cut_power)
        if not self.upkeep:
            impossible.add(faults.kill_in_upkeep)
        # an older version of the program does not share a table, and knew Hudi only
        if len(self.instances) > 1 or self.topics[0].is_iceberg:
            impossible.add(faults.kill_in_rollback)
        possible = [f for f in faults.INSTANCE_FAULTS if f[1] not in impossible]
        weights, chosen = zip(*([f for f in possible if f[1].__name__ == self.settings.fault] or possible))
        yield from faults.kill_at_failpoint(self, instance, dice)
        while self.kills < stop_at and not self.out_of_time() and not self.gives_up():
            (fault,) = dice.choices(chosen, weights)
            yield from fault(self, instance, dice)

    def weather(self, seed):
        """Faults of the world, one after the other."""
        dice = random.Random(f"{seed} world")
        impossible = ([] if self.can_be_full else [faults.fill_disk]) + ([] if self.catalog else [faults.restart_catalog])
        possible = [f for f in faults.WORLD_FAULTS if f[1] not in impossible]
        weights, chosen = zip(*possible)
        while True:
            yield from faults.wait(dice.uniform(4, 12))
            (fault,) = dice.choices(chosen, weights)
            self.world_fault, began = fault.__name__, time.monotonic()
            self.done[(yield from fault(self, dice))] += 1
            if self.settings.verbose:
                say(f"    world: {self.world_fault}")
            self.disturbances.append((began, time.monotonic()))
            self.world_fault = None

    def gives_up(self):
        """Whether going on with the round makes no sense."""
        return self.in_a_row >= PATIENCE_STARTS or (self.settings.until_failure and self.failures)

    def out_of_time(self):
        return time.monotonic() > self.deadline

    def loop(self, actors, surroundings, finished):
        """Resumes everything every few milliseconds until `finished`."""
        started, sent = time.monotonic(), collections.Counter()
        while not finished(actors):
            now = time.monotonic()
            for topic in self.topics:
                due = int((now - started) * RATES[topic.name.split("-")[0]]) - sent[topic.name]
                if due >= 20:
                    topic.send(due)
                    sent[topic.name] += due
                topic.timeline.poll()
            for actor in surroundings:
                next(actor)
            actors[:] = [actor for actor in actors if next(actor, "ended") != "ended"]
            time.sleep(0.005)

    def settle(self):
        """Without faults: everything that was sent must arrive, and the services end when asked."""
        for topic in self.topics:
            topic.send(200)  # there is always something left to do
            topic.finish(60)
        for instance in self.instances:
            instance.start()
        end = time.monotonic() + CATCH_UP_SECONDS
        while not all(topic.caught_up() for topic in self.topics):
            for topic in self.topics:
                topic.timeline.poll()
            for instance in self.instances:
                if not instance.alive:
                    raise Failure(f"{instance.name} ended by itself: {rig.tail(instance.service.process.log, 3)}")
            if time.monotonic() > end:
                behind = {t.name: (t.timeline.reached(), t.log.offsets()) for t in self.topics if not t.caught_up()}
                raise Failure(f"not caught up after {CATCH_UP_SECONDS} s: {behind}; "
                              f"{rig.tail(self.instances[0].service.process.log, 3)}")
            time.sleep(0.02)
        for instance in self.instances:
            instance.stop()
            complaints = instance.said()[1]
            if complaints:
                raise Failure(f"{instance.name}: {complaints[-1]}")
        self.clerk.finish()

    def round(self, number, kills, format_name, count):
        seed = self.settings.seed + number
        self.repeat = self.settings.command(seed, kills, format_name, count)
        started, kills_before = time.monotonic(), self.kills
        self.deadline = started + self.settings.seconds_of_a_round
        self.prepare(number, seed, *FORMATS[format_name], count)
        say(f"round {number}: {format_name}, {self.kind}, seed {seed}, "
            f"{'with' if self.dedup else 'without'} deduplication"
            f"{', much upkeep' if self.upkeep else ''}{', power cuts' if self.journal else ''}"
            f"{', a crowd' if self.crowded else ''}, dead letters in a {self.letters}")
        weather, clerk = self.weather(seed), self.clerk.life(seed)
        actors = [self.life(instance, seed, self.kills + kills) for instance in self.instances]
        self.loop(actors, [weather, clerk], lambda left: not left)
        clerk.close()
        self.clerk.close()
        while self.world_fault:  # the world is made whole again
            next(weather)
            time.sleep(0.005)
        weather.close()
        try:
            if not self.gives_up():
                self.settle()
        except Failure as failure:
            self.fail(str(failure))
        for instance in self.instances:
            if instance.alive:
                instance.kill()
        self.check(number)
        if self.catalog:
            self.catalog.process.stop()
        say(f"  {self.kills - kills_before} kills in {time.monotonic() - started:.0f} s; so far lost={self.lost} "
            f"doubled={self.doubled} failures={len(self.failures)}")

    def check(self, number):
        failures = len(self.failures)
        for topic in self.topics:
            verdict, model = oracle.check_now(self.scenario, self.broker, topic, self.instances, self.clerk.service.config)
            say(f"  {topic.name}: {len(topic.log.log)} records, {model.num_rows} rows, "
                f"{sum(len(r) for r in topic.timeline.taken.values())} ranges: "
                f"{'good' if verdict.good else f'lost {verdict.lost}, doubled {verdict.doubled}'}")
            self.conclude(verdict)
            self.checked.append((topic, model, verdict))
        if len(self.failures) > failures and self.can_be_full:  # what is mounted goes with the driver
            shutil.copytree(self.lake, self.scenario.folder / f"failed-{number}", symlinks=True)
        while len(self.checked) > self.settings.spark:  # a campaign of hours keeps the last tables only
            lake = self.checked.pop(0)[0].lake
            if all(topic.lake != lake for topic, _, _ in self.checked):
                unmount(lake)
                shutil.rmtree(lake, ignore_errors=True)

    def conclude(self, verdict):
        self.lost += verdict.lost
        self.doubled += verdict.doubled
        if not verdict.good:
            self.fail("\n    ".join(verdict.notes))

    def check_with_spark(self):
        before = [(v.lost, v.doubled, len(v.notes)) for _, _, v in self.checked]
        oracle.check_with_spark(self.scenario, self.checked)
        say(f"Spark has read {len(self.checked)} tables")
        for (_, _, verdict), (lost, doubled, notes) in zip(self.checked, before):
            self.lost += verdict.lost - lost
            self.doubled += verdict.doubled - doubled
            if len(verdict.notes) > notes:
                self.fail("\n    ".join(verdict.notes[notes:]))

    def report(self):
        print("\nfaults")
        for fault, count in sorted(self.done.items(), key=lambda pair: -pair[1]):
            print(f"  {count:6} {fault}")
        print("what the instances said")
        for event, count in sorted(self.events.items()):
            print(f"  {count:6} {event}")
        print("failpoints: times the process was killed or stopped there, of tries")
        decks = [self.deck, self.upkeep_deck, self.rollback_deck, self.clerk.shared, *self.clerk.decks.values()]
        for name in faults.failpoint_names():
            print(f"  {sum(deck.hits[name] for deck in decks):6} of {sum(deck.tries[name] for deck in decks):4} {name}")
        print("recovery, start of the process to its next commit:")
        for kind, seconds in sorted(self.recoveries.items()):
            print(f"  {len(seconds):6} measured, p50 {percentile(seconds, 0.5):.2f} s, "
                  f"p99 {percentile(seconds, 0.99):.2f} s, longest {max(seconds):.2f} s: {kind}")


class Settings:
    """NAME=value arguments; an empty value is the default."""

    def __init__(self, arguments):
        given = {name: value for name, _, value in (a.partition("=") for a in arguments) if value}
        self.kills = int(given.pop("KILLS", 100))
        self.seed = int(given.pop("SEED", 1))
        self.formats = given.pop("FORMAT").split(",") if "FORMAT" in given else list(FORMATS)
        self.counts = [int(given.pop("INSTANCES"))] if "INSTANCES" in given else [1, 3]
        self.late_after_delete = given.pop("LATE_AFTER_DELETE", "0") != "0"
        shares = len(self.formats) * len(self.counts)
        self.of_a_round = int(given.pop("ROUND", min(KILLS_OF_A_ROUND, -(-self.kills // shares))))
        self.until_failure = given.pop("UNTIL_FAILURE", "0") != "0"
        self.fault, self.disk, self.place = (given.pop(name, None) for name in ("FAULT", "DISK", "PLACE"))
        self.verbose = given.pop("VERBOSE", "0") != "0"
        self.spark = int(given.pop("SPARK", 16))
        hours, seconds = float(given.pop("HOURS", 0)), float(given.pop("SECONDS", 0))
        self.last_start = time.monotonic() + hours * 3600 if hours else math.inf  # of a round
        if hours:
            self.kills = 1 << 30
        self.seconds_of_a_round = seconds / -(-self.kills // self.of_a_round) if seconds else math.inf
        if given or not set(self.formats) <= set(FORMATS):
            raise SystemExit(f"{__doc__}\nunknown: {given or self.formats}")

    def command(self, seed, kills, format_name, count):
        late = " LATE_AFTER_DELETE=1" if self.late_after_delete else ""
        return f"repeat: make crash SEED={seed} KILLS={kills} FORMAT={format_name} INSTANCES={count}{late}"

    def rounds(self):
        """(number, kills, format, instances) until the kills are spent. Every format comes once before one comes again."""
        combinations = [(name, self.counts[(number + turn) % len(self.counts)])
                        for turn in range(len(self.counts)) for number, name in enumerate(self.formats)]
        left = self.kills
        for number in itertools.count():
            if left <= 0 or time.monotonic() > self.last_start:
                return
            yield number, min(left, self.of_a_round), *combinations[number % len(combinations)]
            left -= self.of_a_round


def run(scenario, settings):
    campaign = Campaign(scenario, settings)
    for round_settings in settings.rounds():
        campaign.round(*round_settings)
        if campaign.failures and settings.until_failure:
            break
    if settings.spark > 0:
        campaign.check_with_spark()
    campaign.report()
    return campaign


def main(arguments):
    """Returns the exit status."""
    settings = Settings(arguments)
    campaign, status = None, 1
    try:
        with Scenario("crash") as scenario:
            campaign = run(scenario, settings)
            rig.expect(not campaign.failures, f"{len(campaign.failures)} failures, the first: {(campaign.failures or [''])[0]}")
        status = 0
    except SystemExit as end:
        status = end.code
    if campaign:
        seconds = sum(campaign.recoveries.values(), [])
        print(f"kills={campaign.kills} lost={campaign.lost} doubled={campaign.doubled} "
              f"recovery_p99_s={percentile(seconds, 0.99):.2f}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
