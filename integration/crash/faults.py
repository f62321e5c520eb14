"""What is done to the instances and to the world around them.

A fault is a generator that the campaign's loop resumes every few milliseconds; it yields while it waits. A fault of an
instance finds it dead, starts it, and leaves it dead: every one of them ends with a kill (SIGTERM excepted), so the next
one is a recovery. Faults of the world leave it whole.
"""

import collections
import contextlib
import datetime
import pathlib
import random
import re
import shutil
import signal
import threading
import time

import power
import rig
from rig import HERE

SOURCES = HERE.parent / "src"
SESSION_SECONDS = 1.5
PATIENCE = 6  # seconds for something that is not certain to happen
FEW, MANY = [1, 1, 2, 3, 4, 6], [1, 2, 3, 5, 8, 13, 21, 34]
OFTEN_PASSED = ("storage.", "lane.", "source.", "state.")


# passed when a maintainer is told to work
UPKEEP = ("maintain.", "hudi.rewrite_", "hudi.archive_", "hudi.clean_", "iceberg.rewrite_", "iceberg.expire_")
ROLLBACK = ("hudi.rollback_",)  # passed when something is left to be rolled back
ELSEWHERE = (*UPKEEP, *ROLLBACK, "redrive.")  # never passed by an instance that only takes records in


def failpoint_names(prefixes=("",)):
    """Every failpoint in the program's sources, so that a new one is tried without being listed here."""
    found = set()
    for path in sorted(SOURCES.rglob("*.c")):
        found.update(re.findall(r'\bmor_fault\("([^"]+)"', path.read_text()))
    return sorted(name for name in found if name.startswith(tuple(prefixes)))


class Deck:
    """Deals failpoints with the passing that acts, in a shuffled order. What was not passed so often is dealt with a
    smaller number; what is not passed at all is given up for the round, sooner when no round ever passed it."""

    def __init__(self, names, passings=None):
        self.all_names, self.names, self.passings = names, names, passings
        self.hits, self.tries = collections.Counter(), collections.Counter()
        self.limit = {}
        self.pile, self.misses = [], collections.Counter()

    def new_round(self, dice, others):
        """The table does not exist yet: what makes it comes first. Names that begin with `others` are of other formats."""
        self.names = [name for name in self.all_names if not name.startswith(others)] or self.all_names
        self.misses = collections.Counter({name: 1 for name in self.names if self.tries[name] > 3 and not self.hits[name]})
        self.pile = dice.sample(self.names, len(self.names))
        self.pile.sort(key=lambda name: name.endswith(".create"))

    def deal(self, dice):
        while not self.pile:
            self.pile = [name for name in self.names if self.misses[name] < 2] or list(self.names)
            dice.shuffle(self.pile)
        name = self.pile.pop()
        choices = self.passings or (MANY if name.startswith(OFTEN_PASSED) else FEW)
        nth = min(dice.choice(choices), self.limit.get(name, 99))
        return name, nth

    def note(self, name, nth, hit):
        self.tries[name] += 1
        if hit:
            self.hits[name] += 1
        elif nth > 1:
            self.limit[name] = max(1, nth // 2)
        else:
            self.misses[name] += 1


# ---- waiting ------------------------------------------------------------------------------------


def wait(seconds, condition=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        yield


def until_commits(instance, count, seconds=PATIENCE):
    """Until the instance has made `count` commits since it started, or has ended."""
    yield from wait(seconds, lambda: instance.commits >= count or not instance.alive)


# ---- faults of an instance ------------------------------------------------------------------------


def kill_at_random(campaign, instance, dice):
    campaign.start(instance)
    if dice.random() < 0.7:
        yield from until_commits(instance, 1)
    yield from wait(dice.uniform(0, 0.8))
    campaign.end(instance, "SIGKILL at a random moment")


def kill_at_failpoint(campaign, instance, dice):
    name, nth = campaign.deck.deal(dice)
    campaign.start(instance, MORAINE_FAILPOINTS=f"{name}=kill@{nth}")
    yield from until_commits(instance, 1)
    yield from wait(1.5, lambda: not instance.alive)
    campaign.deck.note(name, nth, not instance.alive)
    if instance.alive:
        campaign.end(instance, "SIGKILL at a random moment")
    else:
        campaign.end(instance, "SIGKILL at a failpoint", f"{name}=kill@{nth}")


def kill_in_upkeep(campaign, instance, dice):
    """The instance's own maintainers are told to merge and clean as soon as it has committed."""
    name, nth = campaign.upkeep_deck.deal(dice)
    campaign.start(instance, MORAINE_FAILPOINTS=f"{name}=kill@{nth}")
    yield from until_commits(instance, 2)
    for topic in campaign.topics:
        instance.post(f"/topics/{topic.name}/compact")
    yield from wait(3, lambda: not instance.alive)
    campaign.upkeep_deck.note(name, nth, not instance.alive)
    if instance.alive:
        campaign.end(instance, "SIGKILL at a random moment")
    else:
        campaign.end(instance, "SIGKILL at a failpoint of its maintainer", f"{name}=kill@{nth}")


def leave_failed_commit(table, layout):
    """What a commit leaves that died before 1.0 staged its files: a pending instant and files in their places that no
    reader may count, here copies of base files that count."""
    timeline = table / ".hoodie" / ("timeline" if layout == 2 else "")
    bases = sorted(table.rglob("*.parquet"), key=lambda path: path.name)
    bases = [path for path in bases if ".hoodie" not in path.parts]
    if not bases:
        return False
    newest = max(path.name[:17] for path in timeline.iterdir() if path.name[:17].isdigit())
    instant = max(datetime.datetime.now(datetime.UTC), as_time(newest) + datetime.timedelta(milliseconds=1))
    text = instant.strftime("%Y%m%d%H%M%S") + f"{instant.microsecond // 1000:03d}"
    whole = timeline / f"{text}.tmp"  # a disk may be full: nothing half written gets its name
    whole.write_text('{"extraMetadata": {"moraine.instance": "older"}}')
    whole.rename(timeline / f"{text}.deltacommit.inflight")
    (timeline / f"{text}.deltacommit.requested").touch()
    for number, base in enumerate(bases[:2]):
        copy = base.parent / f"0000000{number}-0000-0000-0000-{text[:12]}-0_0-{text[:8]}-{text[8:]}_{text}.parquet"
        shutil.copyfile(base, copy)
    return True


def as_time(instant):
    return datetime.datetime.strptime(instant[:14] + instant[14:17] + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=datetime.UTC)


def kill_in_rollback(campaign, instance, dice):
    """An older version of the program left a failed commit, and the rollback of it is killed."""
    name, nth = campaign.rollback_deck.deal(dice)[0], 1
    with contextlib.suppress(OSError):  # a full disk: some of it is left
        for topic in campaign.topics:
            if topic.timeline.ledgers:
                leave_failed_commit(topic.table, 2 if topic.version > 6 else 1)
    campaign.start(instance, MORAINE_FAILPOINTS=f"{name}=kill@{nth}")
    yield from until_commits(instance, 1)
    yield from wait(0.5, lambda: not instance.alive)
    campaign.rollback_deck.note(name, nth, not instance.alive)
    if instance.alive:
        campaign.end(instance, "SIGKILL at a random moment")
    else:
        campaign.end(instance, "SIGKILL at a failpoint of a rollback", f"{name}=kill@{nth}")


def error_at_failpoint(campaign, instance, dice):
    name, nth = campaign.deck.deal(dice)
    once = dice.random() < 0.7
    setting = f"{name}=error" + (f"@{nth}" if once else "")
    campaign.start(instance, MORAINE_FAILPOINTS=setting)
    yield from until_commits(instance, 3, 3 if once else 1.5)
    campaign.end(instance, "error at a failpoint", setting)


def delay_at_failpoint(campaign, instance, dice):
    name, nth = campaign.deck.deal(dice)
    setting = f"{name}=delay:{dice.randrange(50, 1500)}@{nth}"
    campaign.start(instance, MORAINE_FAILPOINTS=setting)
    yield from until_commits(instance, 3, 3)
    campaign.end(instance, "delay at a failpoint", setting)


def zombie(campaign, instance, dice, stopped):
    """Lets a stopped instance sleep past its session, wakes it and sees what it does."""
    yield from wait(SESSION_SECONDS + dice.uniform(0.3, 1.5))
    before = instance.commits
    instance.signal(signal.SIGCONT)
    yield from wait(dice.uniform(0.5, 4), lambda: instance.commits > before + 1 or not instance.alive)
    campaign.end(instance, "SIGSTOP past the session, SIGCONT", stopped)


def stop_at_failpoint(campaign, instance, dice):
    name, nth = campaign.deck.deal(dice)
    campaign.start(instance, MORAINE_FAILPOINTS=f"{name}=stop@{nth}")
    yield from wait(PATIENCE, lambda: instance.is_stopped() or instance.commits > 5 or not instance.alive)
    campaign.deck.note(name, nth, instance.is_stopped())
    if instance.is_stopped():
        yield from zombie(campaign, instance, dice, f"{name}=stop@{nth}")
    else:
        campaign.end(instance, "SIGKILL at a random moment")


def stop_at_random(campaign, instance, dice):
    campaign.start(instance)
    yield from until_commits(instance, 1)
    yield from wait(dice.uniform(0, 0.6))
    if instance.alive:
        instance.signal(signal.SIGSTOP)
    yield from zombie(campaign, instance, dice, "")


def delete_state(campaign, instance, dice):
    instance.forget_state()
    campaign.start(instance)
    yield from until_commits(instance, 1)
    yield from wait(dice.uniform(0, 0.8))
    campaign.end(instance, "local state deleted")


def cut_power(campaign, instance, dice):
    place = "{}=kill@{}".format(*campaign.deck.deal(dice)) if dice.random() < 0.6 else ""
    campaign.start(instance, **{"MORAINE_FAILPOINTS": place} if place else {})
    yield from until_commits(instance, 1)
    yield from wait(dice.uniform(0, 0.8), lambda: not instance.alive)
    campaign.end(instance, "power cut", place)
    campaign.events["names and files that a power cut took back"] += power.cut(
        campaign.journal, lambda path: (str(campaign.lake) in path and "/state-" not in path) or "/dead_letters/" in path, dice)


def terminate(campaign, instance, dice):
    campaign.start(instance)
    yield from until_commits(instance, 1)
    yield from wait(dice.uniform(0, 0.5))
    instance.signal(signal.SIGTERM)
    yield from wait(40, lambda: not instance.alive)
    campaign.end(instance, "SIGTERM", expected_status=0)


def fail_disk(campaign, instance, dice):
    call = dice.choice(["write", "write", "fsync", "fsync", "rename", "rename", "create", "unlink", "read"])
    own = ["/metadata/", "/_moraine/"] if campaign.topics[0].is_iceberg else ["/.hoodie/", "/.hoodie/moraine/"]
    paths = [str(campaign.lake), str(campaign.lake), *own, "/dead_letters/", "/state-"]
    if call in ("rename", "read", "unlink"):  # the others see temporary names
        paths += [".parquet", ".log."]
    path = dice.choice(paths)
    error = dice.choice({"write": ["EIO", "ENOSPC", "short"], "read": ["EIO", "short"]}.get(call, ["EIO", "ENOSPC"]))
    setting = f"call={call};path={path};error={error}"
    if call == "rename" and dice.random() < 0.4:
        setting += ";after=1"
    if dice.random() < 0.6:
        setting += f";nth={dice.choice(MANY)}"
    else:
        setting += f";probability={dice.choice([0.02, 0.1, 0.3])};seed={dice.randrange(1 << 30)}"
    setting = campaign.settings.disk or setting
    place = campaign.settings.place
    if not place and dice.random() < 0.3:  # and a kill while it copes
        place = "{}=kill@{}".format(*campaign.deck.deal(dice))
    campaign.start(instance, MORAINE_IOFAULT=setting, MORAINE_FAILPOINTS=place or "")
    yield from until_commits(instance, 3, 3)
    campaign.end(instance, "failing disk", f"{setting.replace(str(campaign.lake), '(lake)')} {place or ''}")


INSTANCE_FAULTS = [(45, kill_at_failpoint), (18, kill_at_random), (7, error_at_failpoint), (5, delay_at_failpoint),
                   (5, stop_at_failpoint), (4, stop_at_random), (3, delete_state), (2, terminate), (11, fail_disk), (10, cut_power),
                   (8, kill_in_upkeep), (8, kill_in_rollback)]


# ---- faults of the world --------------------------------------------------------------------------


def restart_broker(campaign, dice):
    number = signal.SIGKILL if dice.random() < 0.7 else signal.SIGTERM
    child = campaign.broker.process.child
    child.send_signal(number)
    yield from wait(20, lambda: child.poll() is not None)
    yield from wait(dice.uniform(0, 1))
    campaign.broker.launch()  # by the main thread: a child ends with the thread that started it
    waiting = threading.Thread(target=campaign.broker.wait_ready)
    waiting.start()
    yield from wait(90, lambda: not waiting.is_alive())
    return f"broker {'killed' if number == signal.SIGKILL else 'stopped'} and started"


def fill_disk(campaign, dice):
    ballast = pathlib.Path(campaign.lake) / "ballast"
    campaign.fill(ballast, dice.randrange(0, 200_000))
    yield from wait(dice.uniform(0.5, 2.5))
    ballast.unlink()
    return "disk full for a while"


def cut_connections(campaign, dice):
    for _ in range(dice.randrange(1, 4)):
        campaign.proxy.cut(dice.choice([0, 100, 3000, 40000]))
        yield from wait(dice.uniform(0.05, 0.7))
    return "connections cut"


def stall_connections(campaign, dice):
    campaign.proxy.stall()
    yield from wait(dice.uniform(0.3, 2 * SESSION_SECONDS))
    if dice.random() < 0.5:
        campaign.proxy.cut(0)
    campaign.proxy.flow()
    return "connections stalled"


def restart_catalog(campaign, dice):
    """In the middle of whatever it is asked; rounds with tables in a catalog."""
    campaign.catalog.kill()
    yield from wait(dice.uniform(0, 2))
    campaign.catalog.launch()
    waiting = threading.Thread(target=rig.wait_until, args=(campaign.catalog.ready, 90, "the REST catalog"))
    waiting.start()
    yield from wait(95, lambda: not waiting.is_alive())
    return "REST catalog killed and started"


WORLD_FAULTS = [(2, restart_broker), (3, fill_disk), (4, cut_connections), (3, stall_connections), (4, restart_catalog)]
