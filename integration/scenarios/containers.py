"""What docker/ has, checked as far as that goes without a container engine: Dockerfile, Compose and Kubernetes files against
their rules, and the runtime image's own commands in a Debian made by debootstrap (the second half needs root)."""

import subprocess
import sys

import rig
from rig import BINARY, Scenario, expect, say

with Scenario("containers") as scenario:
    halves = 0
    for name in ("check", "chroot"):
        done = subprocess.run([rig.HERE.parent / "docker" / name, BINARY], capture_output=True, text=True, timeout=800)
        if done.returncode == 77:
            say(f"  skipped: {done.stderr.strip()}")
            continue
        halves += 1
        expect(done.returncode == 0, f"docker/{name}: status {done.returncode}\n{done.stdout}{done.stderr}")
        for line in done.stdout.strip().splitlines():
            say(f"  {line}")
if halves < 2:
    print("skipped: docker/chroot needs root and debootstrap")
    sys.exit(77)
