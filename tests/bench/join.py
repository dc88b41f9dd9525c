"""A machine that joins: `peapod agent` start to Ready, first and later starts, and the bytes that an idle node costs a minute."""
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time

from cluster import PEAPOD, Cluster, percentile

RUNS = 7
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
HOST = "127.0.0.1"


class Relay:
    """Passes TCP connections on and counts their bytes, both ways."""

    def __init__(self, to):
        self.bytes, self.to = 0, to
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(self.to)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, source, sink):
        try:
            while piece := source.recv(65536):
                self.bytes += len(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other end went first


def start(line, *args):
    """Starts an agent; gives the process and the seconds until it says `ready`."""
    begin = time.perf_counter()
    process = subprocess.Popen([PEAPOD, *shlex.split(line)[1:], *args], stdout=subprocess.PIPE, text=True)
    for text in process.stdout:
        if text.startswith("ready "):
            return process, time.perf_counter() - begin
    raise SystemExit("the agent did not get ready")


def stop(process):
    process.terminate()
    process.wait()


os.environ.pop("RUST_BACKTRACE", None)
with Cluster(verb="server") as cluster, tempfile.TemporaryDirectory(prefix="peapod-bench-") as directory:
    token = [PEAPOD, "token", "create", "--data-dir", cluster.data_dir]
    line = subprocess.check_output(token, stderr=subprocess.DEVNULL, text=True)
    firsts, seconds = [], []
    for run in range(RUNS):
        own = ["--data-dir", f"{directory}/{run}", "--node-name", f"node-{run}"]
        for times in (firsts, seconds):
            process, elapsed = start(line, *own)
            times.append(elapsed)
            stop(process)
    print(f"agent start to Ready, joining: median {percentile(firsts, .5) * 1e3:.0f} ms")
    print(f"agent start to Ready, joined before: median {percentile(seconds, .5) * 1e3:.0f} ms")
    relay = Relay((HOST, cluster.port))
    line = line.replace(f":{cluster.port} ", f":{relay.port} ")
    process, _ = start(line, "--data-dir", f"{directory}/idle", "--node-name", "idle")
    time.sleep(5)
    before = relay.bytes
    time.sleep(SECONDS)
    print(f"idle node and its server, both ways: {(relay.bytes - before) * 60 / SECONDS / 1024:.1f} KiB a minute")
    stop(process)
