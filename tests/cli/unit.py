"""The systemd unit: it parses, it names options that exist, and its exposure stays below 1.5 of 10."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

binary, source = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
if shutil.which("systemd-analyze") is None:
    print("skipped: systemd-analyze (package systemd) is not here")
    sys.exit(77)

text = (source / "systemd/moraine.service").read_text()
with tempfile.TemporaryDirectory() as folder:
    unit = pathlib.Path(folder) / "moraine.service"
    unit.write_text(text.replace("/usr/bin/moraine", str(binary)).replace("User=moraine\nGroup=moraine", "User=root"))
    verify = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    about_us = [line for line in (verify.stdout + verify.stderr).splitlines() if "moraine" in line]
    if about_us:
        sys.exit("systemd-analyze verify:\n" + "\n".join(about_us))
    unit.write_text(text)
    security = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit],
                              capture_output=True, text=True)
    print((security.stdout + security.stderr).strip().splitlines()[-1])
    if security.returncode != 0:
        sys.exit(security.stdout + security.stderr)
