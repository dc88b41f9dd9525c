"""A `peapod up` or `peapod server` for benches, and a keep-alive connection to its API. Standard library only."""
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEAPOD = os.environ.get("PEAPOD", os.path.join(ROOT, "target/release/peapod"))


class Cluster:
    """One process on a data directory of its own; use as a context manager."""

    def __init__(self, *args, host="127.0.0.1", data_dir=None, verb="up"):
        self.args, self.host, self.verb = (("--node-name", "node-1") if verb == "up" else ()) + args, host, verb
        self.temporary = None if data_dir else tempfile.TemporaryDirectory(prefix="peapod-bench-")
        self.data_dir = data_dir or os.path.join(self.temporary.name, "data")
        self.process = None

    def start(self):
        """Starts; gives the seconds from exec to the `ready` line."""
        env = {k: v for k, v in os.environ.items() if k != "RUST_BACKTRACE"}
        command = [PEAPOD, self.verb, "--listen", f"{self.host}:0", "--data-dir", self.data_dir, "--images",
                   os.path.join(ROOT, "modules/dist"), *self.args]
        begin = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.url = line.split()[1]
                seconds = time.perf_counter() - begin
                break
        else:
            raise SystemExit(f"peapod {self.verb} did not get ready")
        self.port = int(self.url.rsplit(":", 1)[1])
        with open(os.path.join(self.data_dir, "admin.token")) as file:
            self.token = file.read().strip()
        return seconds

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        if self.temporary:
            self.temporary.cleanup()

    def api(self):
        return Api(self)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024

    def written_bytes(self):
        with open(f"/proc/{self.process.pid}/io") as file:
            return int(re.search(r"write_bytes: (\d+)", file.read())[1])


class Api:
    """A connection to the API with the admin's token."""

    def __init__(self, cluster):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection(cluster.host, cluster.port, context=context)
        self.token = cluster.token

    def send(self, method, path, body=None, content="application/json"):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content, "Accept": "application/json"}
        self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        return self.connection.getresponse()

    def text(self, path, method="GET", body=None, content="application/json"):
        response = self.send(method, path, body, content)
        text = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")
        return text

    def call(self, method, path, body=None, content="application/json"):
        return json.loads(self.text(path, method, body, content))

    def get(self, path):
        return self.call("GET", path)

    def watch(self, path):
        """Yields the events of a watch."""
        response = self.send("GET", path)
        while line := response.readline():
            yield json.loads(line)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def milliseconds(values):
    return f"p50 {percentile(values, .5) * 1e3:.1f} ms, p99 {percentile(values, .99) * 1e3:.1f} ms"
