"""The crash test for about two minutes (see crash/README.md): every format once, with one instance or three.

Options: as crash/driver.py takes them, e.g. SEED=2."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "crash"))
import driver

sys.exit(driver.main(["KILLS=48", "ROUND=8", "SECONDS=120", *sys.argv[1:]]))
