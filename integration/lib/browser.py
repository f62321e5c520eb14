"""A real Chromium, headless, that scenarios look at pages with (lib/browser.js does the driving)."""

import json
import os
import shutil
import subprocess

import rig
from rig import CACHE, VERSIONS, Failure


class Browser:
    def __init__(self, scenario):
        modules = CACHE / f"playwright-{VERSIONS['PLAYWRIGHT']}" / "node_modules"
        chromium = shutil.which("chromium")
        if not modules.exists() or not chromium or not shutil.which("node"):
            print("skipped: no browser here (package chromium; integration/setup fetches playwright-core)")
            os._exit(77)
        log = scenario.folder / "browser.log"
        scenario.logs.append(log)
        self.child = subprocess.Popen(["node", rig.HERE / "lib" / "browser.js"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=log.open("ab"), text=True, preexec_fn=rig.end_with_parent,
                                      env={**os.environ, "NODE_PATH": str(modules), "CHROMIUM": chromium})
        scenario.stack.callback(self.close)

    def do(self, op, **options):
        self.child.stdin.write(json.dumps({"op": op, **options}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise Failure("the browser is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"{op} {options}: {answer['error']}")
        return answer.get("value")

    def open(self, url, width=1280, height=900, dark=False):
        self.do("open", url=url, width=width, height=height, dark=dark)

    def text(self, selector):
        return self.do("text", selector=selector)

    def evaluate(self, expression):
        return self.do("evaluate", expression=expression)

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
