"""What a process and its descendants cost: CPU seconds, resident memory; and how busy the machine was with others."""

import os
import pathlib
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def stat_of(pid):
    """(parent, CPU seconds with those of waited-for children, resident bytes); None when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (OSError, ValueError):
        return None
    return int(fields[1]), sum(int(f) for f in fields[11:15]) / TICKS, int(fields[21]) * PAGE


def tree(pid):
    """{pid: stat} of a process and its living descendants."""
    stats = {int(p): stat_of(p) for p in os.listdir("/proc") if p.isdigit()}
    children = {}
    for child, stat in stats.items():
        if stat:
            children.setdefault(stat[0], []).append(child)
    found, waiting = {}, [pid]
    while waiting:
        current = waiting.pop()
        if stats.get(current):
            found[current] = stats[current]
        waiting += children.get(current, [])
    return found


def machine():
    """(busy CPU seconds, stolen CPU seconds) of all cores since boot."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, irq, soft, steal = fields
    return (user + nice + system + irq + soft) / TICKS, steal / TICKS


class Meter:
    """Watches a tree until stop(). cpu() is exact for what lives; memory is the highest sum of a sample taken five times
    a second, and at least the highest VmHWM of a single process."""

    def __init__(self, pid, pause=0.2):
        self.pid, self.pause = pid, pause
        self.peak = self.high = 0
        self.started = time.monotonic()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def sample(self):
        found = tree(self.pid)
        self.peak = max(self.peak, sum(stat[2] for stat in found.values()))
        for pid in found:
            try:
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        self.high = max(self.high, int(line.split()[1]) * 1024)
            except OSError:
                pass

    def watch(self):
        while not self.ended.wait(self.pause):
            self.sample()

    def cpu(self):
        return sum(stat[1] for stat in tree(self.pid).values())

    def rss(self):
        return max(self.peak, self.high)

    def stop(self):
        self.sample()
        self.ended.set()
        self.thread.join()


def folder_facts(folder):
    """(files, bytes) below a folder."""
    files = size = 0
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file() and not path.name.endswith(".crc"):  # logs of Hudi begin with a dot
            files += 1
            size += path.stat().st_size
    return files, size
