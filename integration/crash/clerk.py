"""Work on the tables that is done beside the instances, by processes of its own, and killed like them: file groups are
merged (`moraine compact`), what no kept version needs is removed (`moraine clean`), dead letters are sent again
(`moraine redrive`). In the end all of it is done once more, and must succeed.
"""

import random
import signal
import subprocess

import faults
import fleet
import rig
from faults import Deck, wait
from rig import Failure
from service import Service

# what only these commands pass; where they meet the instances; tools of both
OWN = {"compact": ("maintain.", "hudi.rewrite_", "iceberg.rewrite_"), "redrive": ("redrive.",),
       "clean": ("hudi.archive_", "hudi.clean_", "iceberg.expire_")}
SHARED = ("hudi.staged", "hudi.sync", "hudi.publish", "hudi.slot_put", "hudi.help", "hudi.renamed", "hudi.published",
          "iceberg.manifest", "iceberg.sync", "iceberg.publish", "iceberg.published",
          "storage.fsync", "storage.move", "storage.publish", "storage.put_published")
PASSINGS = [1, 1, 1, 2, 3]
OWN_SHARE = 0.65
SECONDS = 20  # that a command may take; it is killed then
RETAIN = "5s"  # longer than the driver ever looks away, so that no commit goes unseen


class Clerk:
    """What outlives a round: the decks of failpoints."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.decks = {command: Deck(faults.failpoint_names(prefixes), PASSINGS) for command, prefixes in OWN.items()}
        self.shared = Deck(faults.failpoint_names(SHARED))
        self.child = None

    def prepare(self, number, dice, others, kafka):
        self.merges_last = dice.random() < 0.5
        self.service = Service(self.campaign.scenario, name=f"clerk-{number}", memory="128MiB", lanes=1, kafka=kafka,
                               **self.campaign.catalogs)
        for topic in self.campaign.topics:
            topic.configure(self.service)
        rig.write_json(self.service.config, self.service.settings)
        for deck in [*self.decks.values(), self.shared]:
            deck.new_round(dice, others)

    def command(self, name, topic):
        """The command line; None while there is nothing to work on."""
        if not topic.timeline.ledgers or (name == "redrive" and not (topic.letters and topic.letters.exists())):
            return None
        if name == "redrive":
            return ["redrive", "--config", self.service.config, "--topic", topic.name]
        if name == "compact":
            return ["compact", topic.address, "--config", self.service.config, "--all", "--threads", 1]
        return ["clean", topic.address, "--config", self.service.config, "--retain", RETAIN, "--min-snapshots", 2]

    def choices(self):
        topics = self.campaign.topics
        found = [(name, topic) for name in ("compact", "clean") for topic in topics]
        return found + [("redrive", topic) for topic in topics if topic.letters] * 2

    def life(self, seed):
        """Endless: one command after the other, most of them killed."""
        dice = random.Random(f"{seed} clerk")
        while True:
            yield from wait(dice.uniform(0.2, 1.5))
            name, topic = dice.choice(self.choices())
            arguments = self.command(name, topic)
            if arguments:
                yield from self.work(name, arguments, dice)

    def work(self, name, arguments, dice):
        deck = self.decks[name] if dice.random() < OWN_SHARE else self.shared
        point, nth = deck.deal(dice)
        action = dice.choices(["kill", "stop", "error"], [80, 10, 10])[0]
        self.start(name, arguments, f"{point}={action}@{nth}")
        yield from wait(SECONDS, lambda: self.ended() or fleet.is_stopped(self.child.child.pid))
        if not self.ended() and fleet.is_stopped(self.child.child.pid):
            deck.note(point, nth, True)
            yield from self.sleep_and_go_on(name, dice)
            return
        status = self.end()
        if action != "error":
            deck.note(point, nth, status == -signal.SIGKILL)
        self.count(name, status, f"failpoint of {name}")

    def sleep_and_go_on(self, name, dice):
        """Others have finished its work, or taken its place, when it wakes."""
        yield from wait(dice.uniform(0.5, 3))
        self.child.child.send_signal(signal.SIGCONT)
        yield from wait(SECONDS, self.ended)
        self.count(name, self.end(), f"stop of {name}, then going on")

    def start(self, name, arguments, failpoints):
        self.child = self.campaign.scenario.process(f"{self.service.name}-{name}", [rig.BINARY, *arguments],
                                                    env={"MORAINE_FAILPOINTS": failpoints})

    def ended(self):
        return not self.child.running

    def end(self):
        """Ends the command, if it has not; returns its status."""
        if self.child.running:
            self.child.child.kill()
        status, self.child = self.child.child.wait(), None
        return status

    def count(self, name, status, fault):
        self.campaign.kills += status == -signal.SIGKILL
        self.campaign.done[f"SIGKILL at a {fault}" if status == -signal.SIGKILL else f"{fault}: not reached or survived"] += 1
        if status < 0 and status != -signal.SIGKILL or status == 2:
            log = self.campaign.scenario.folder / f"{self.service.name}-{name}.log"
            self.campaign.fail(f"{name} ended with status {status}: {rig.tail(log, 3)}")

    def close(self):
        if self.child:
            self.end()

    def finish(self):
        """Undisturbed: everything is done once more, merging in some rounds only, so that logs are left as well."""
        for name, topic in dict.fromkeys(self.choices()):
            arguments = self.command(name, topic)
            if not arguments or (name == "compact" and not self.merges_last):
                continue
            result = subprocess.run([str(a) for a in [rig.BINARY, *arguments]], capture_output=True, text=True, timeout=120)
            if result.returncode != 0:
                raise Failure(f"{name} of {topic.name}: status {result.returncode}: {result.stderr[-500:]}")
