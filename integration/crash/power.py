"""A power cut: what a killed process had written and renamed without making it durable is taken back.

Reads the journal of iofault.c. A name (created, renamed, linked, a directory) is durable once its directory was synced
after it; bytes once their file was. Of the rest any part may survive a power cut, so each is kept or taken back by the
dice. Removals are not taken back, and neither is anything of the local state but dead letters: LMDB writes through
descriptors that are durable by themselves.
"""

import os
import pathlib
import shutil


class Unsynced:
    """What of one process's doing is not durable yet, replayed from its journal."""

    def __init__(self, journal, concerns):
        self.names = {}  # path -> ("C" | "M" | "R", old path), in the order of their making
        self.sizes = {}  # path -> bytes that are durable, of files with others
        self.syncs = {}  # number -> names of the directory when its sync began
        for line in journal.read_text(errors="replace").splitlines() if journal.exists() else []:
            kind, path, more = line.split("\t")
            if kind in "dD":
                (self.sync_begins if kind == "d" else self.sync_ends)(path, more)
            elif concerns(f"{path}/"):
                getattr(self, f"note_{kind}")(path, more)

    def note_W(self, path, size):
        self.sizes.setdefault(path, int(size))

    def note_F(self, path, _):
        self.sizes.pop(path, None)

    def note_C(self, path, _):
        self.names[path] = ("C", None)
        self.sizes[path] = 0

    def note_M(self, path, _):
        self.names[path] = ("M", None)

    def note_R(self, path, old):
        self.names[path] = ("R", old)
        self.names.pop(old, None)
        if old in self.sizes:
            self.sizes[path] = self.sizes.pop(old)

    def sync_begins(self, path, number):
        self.syncs[number] = [name for name in self.names if os.path.dirname(name) == path]

    def sync_ends(self, _, number):
        for name in self.syncs.pop(number, []):
            self.names.pop(name, None)

    def take_back(self, dice):
        """Does to the files what the cut does; returns how many names and files it changed."""
        changed = 0
        for path, size in self.sizes.items():
            if os.path.isfile(path) and dice.random() < 0.5:
                length = os.path.getsize(path)
                os.truncate(path, size)
                if dice.random() < 0.5:
                    os.truncate(path, length)  # as long as it was, its end zeros
                changed += 1
        for path, (kind, old) in reversed(list(self.names.items())):
            if not os.path.lexists(path) or dice.random() < 0.5:
                continue
            if kind == "M":
                shutil.rmtree(path)
            elif kind == "R" and not os.path.lexists(old) and os.path.isdir(os.path.dirname(old)):
                os.rename(path, old)
            else:
                os.unlink(path)
            changed += 1
        return changed


def cut(journal, concerns, dice):
    """Takes back what is not durable; what is left is durable from now on."""
    journal = pathlib.Path(journal)
    changed = Unsynced(journal, concerns).take_back(dice)
    journal.unlink(missing_ok=True)
    return changed
