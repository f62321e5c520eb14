"""Where things are, processes that end with the scenario, and the frame of a scenario."""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MORAINE_CACHE") or pathlib.Path.home() / ".cache/moraine") / "integration"
BINARY = pathlib.Path(os.environ.get("MORAINE_BINARY") or HERE.parent / "build/moraine")
TOOLS = pathlib.Path(os.environ.get("MORAINE_TOOLS") or HERE.parent / "build/integration")


def read_versions(path=HERE / "versions"):
    """The pins of a file `versions`, by name."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


VERSIONS = read_versions()
LIBC = ctypes.CDLL(None)
PORT_LOCKS = pathlib.Path(tempfile.gettempdir()) / "moraine-ports"


class Failure(Exception):
    """A scenario's expectation did not hold; the message is the report."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


def say(message):
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def free_ports(count):
    """Ports on loopback for servers, this process's until it ends. They lie below those that the kernel gives to clients
    (ip_local_port_range), and a locked file each keeps scenarios that run side by side apart."""
    PORT_LOCKS.mkdir(exist_ok=True)
    ports = []
    for port in random.sample(range(20000, 32000), 2000):
        lock = os.open(PORT_LOCKS / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what waits for late packets may be bound again
                s.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise Failure(f"no {count} free ports on loopback")


def wait_until(condition, seconds, what, pause=0.2):
    """Polls condition() until it is true and returns its value; Failure after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(pause)


def tail(path, lines=25):
    try:
        text = pathlib.Path(path).read_text(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    return "\n".join(text[-lines:])


def end_with_parent():
    """Runs in a new child: it is terminated when this process dies, however that happens (PR_SET_PDEATHSIG)."""
    LIBC.prctl(1, signal.SIGTERM)


class Process:
    """A child with its output in a file; terminated with the scenario whatever happens."""

    def __init__(self, name, args, log, env=None, cwd=None, stdin=None):
        self.name, self.log = name, pathlib.Path(log)
        self.child = subprocess.Popen([str(a) for a in args], stdin=stdin or subprocess.DEVNULL,
                                      stdout=self.log.open("ab"), stderr=subprocess.STDOUT, cwd=cwd,
                                      preexec_fn=end_with_parent,
                                      env={**os.environ, **(env or {})})

    @property
    def running(self):
        return self.child.poll() is None

    def expect_running(self):
        if not self.running:
            raise Failure(f"{self.name} ended with status {self.child.returncode}:\n{tail(self.log)}")

    def cpu_seconds(self):
        """User and system time that it has spent."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, seconds=30, signal_number=signal.SIGTERM):
        """Ends the process and returns its exit status; kills it when it does not listen."""
        if self.running:
            self.child.send_signal(signal_number)
            self.child.send_signal(signal.SIGCONT)  # it may be stopped
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode


class Scenario:
    """Temporary folder, clean-up and verdict of one scenario.

    with Scenario("name") as s: … ; an exception is printed with the tails of the logs and exits 1. The
    folder stays when the scenario failed or MORAINE_KEEP is set.
    """

    def __init__(self, name):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"moraine-{name}-"))
        self.stack = contextlib.ExitStack()
        self.logs = []
        self.started = time.monotonic()

    def __enter__(self):
        if not BINARY.exists() or not os.access(BINARY, os.X_OK):
            print(f"skipped: {BINARY} does not exist")
            shutil.rmtree(self.folder)
            sys.exit(77)
        return self

    def process(self, name, args, **options):
        log = self.folder / f"{name}.log"
        process = Process(name, args, log, **options)
        self.stack.callback(process.stop)
        if log not in self.logs:
            self.logs.append(log)
        return process

    def __exit__(self, kind, error, trace):
        self.stack.close()
        seconds = time.monotonic() - self.started
        if kind is None:
            if os.environ.get("MORAINE_KEEP"):
                say(f"kept {self.folder}")
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
            say(f"{self.name}: passed in {seconds:.0f} s")
            return False
        if kind is Failure:
            print(f"\nFAILED {self.name} after {seconds:.0f} s\n{error}\n")
            for log in self.logs:
                print(f"--- end of {log}\n{tail(log)}\n")
            print(f"files: {self.folder}")
            sys.exit(1)
        print(f"files: {self.folder}")
        return False


def run_tool(name, *args, timeout=120):
    """Runs one of the rig's C programs and returns its standard output."""
    result = subprocess.run([str(TOOLS / name), *map(str, args)], capture_output=True, text=True, timeout=timeout)
    if result.returncode != 0:
        raise Failure(f"{name} {' '.join(map(str, args))} (status {result.returncode}): {result.stderr.strip()}")
    return result.stdout


def run_moraine(*args, timeout=300):
    """Runs the program's command and returns (exit status, standard output, standard error)."""
    result = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=timeout)
    return result.returncode, result.stdout, result.stderr


def write_json(path, value):
    pathlib.Path(path).write_text(json.dumps(value, indent=1))
