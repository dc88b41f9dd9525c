"""Streams between pods of two nodes, each in a network namespace, directly and by the server's relay, against plain TLS
over the same cable. Needs root. The server runs on the first node's machine.

The programs are those of target/PROFILE, release by default.
"""
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time

from cluster import ROOT

TARGET = os.path.join(ROOT, "target", os.environ.get("PROFILE", "release"))
PEAPOD = os.environ.get("PEAPOD", os.path.join(TARGET, "peapod"))
PLAIN = os.path.join(TARGET, "examples/plain_tls")
ROUNDS = 5
MEGABYTES = 512
PINGS = 5000
CHUNK = 65536
MACHINES = {"ppbench0": "198.18.255.2", "ppbench1": "198.18.255.3"}
ENV = {k: v for k, v in os.environ.items() if k != "RUST_BACKTRACE"}


def sh(line):
    subprocess.run(line.split(), check=True)


def on(machine, *command, **options):
    return subprocess.Popen(["ip", "netns", "exec", machine, *command], env=ENV, stdout=subprocess.PIPE, text=True, **options)


def ask(machine, *command):
    """The last line of output, read as JSON."""
    out, _ = on(machine, *command).communicate()
    return json.loads(out.splitlines()[-1])


def says(process, prefix):
    for line in process.stdout:
        if line.startswith(prefix):
            return line[len(prefix):].strip()
    raise SystemExit(f"{process.args} ended without saying {prefix!r}")


def cables():
    first, second = MACHINES
    for machine in MACHINES:
        sh(f"ip netns add {machine}")
        sh(f"ip -n {machine} link set lo up")
    sh(f"ip -n {first} link add eth0 type veth peer name eth0 netns {second}")
    for machine, address in MACHINES.items():
        sh(f"ip -n {machine} addr add {address}/24 dev eth0")
        sh(f"ip -n {machine} link set eth0 up")


class Nodes:
    """A server and two agents; the second listens where `listen` says."""

    def __init__(self, dir, *listen):
        self.dir, (self.near, self.far) = dir, MACHINES
        self.processes = []
        server = self.start(self.near, "server", "--listen", f"{MACHINES[self.near]}:0", "--data-dir", f"{dir}/server",
                            "--images", os.path.join(ROOT, "modules/dist"))
        says(server, "ready ")
        for machine, name, more in ((self.near, "near", ()), (self.far, "far", listen)):
            line = self.client("token", "create").split()
            agent = line[line.index("agent"):]
            says(self.start(machine, *agent, "--node-name", name, "--data-dir", f"{dir}/{name}", "--node-ip",
                            MACHINES[machine], *more), "ready ")
        self.pod("server", "far", "server", "7000")
        self.to = self.until("server", lambda pod: pod["status"].get("phase") == "Running")["status"]["podIP"]

    def start(self, machine, *args):
        self.processes.append(on(machine, PEAPOD, *args, stderr=subprocess.DEVNULL))
        return self.processes[-1]

    def client(self, *args, **options):
        command = ["ip", "netns", "exec", self.near, PEAPOD, *args, "--data-dir", f"{self.dir}/server"]
        return subprocess.run(command, env=ENV, check=True, capture_output=True, text=True, **options).stdout

    def pod(self, name, node, *args):
        spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "pipe", "args": list(args)}]}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})

    def apply(self, thing):
        path = os.path.join(self.dir, "thing.json")
        with open(path, "w") as file:
            json.dump(thing, file)
        self.client("apply", "-f", path)

    def until(self, name, condition):
        while True:
            pod = json.loads(self.client("get", "pod", name, "-o", "json"))
            if condition(pod):
                return pod
            time.sleep(.05)

    def run(self, name, mode, *args):
        """Runs a client pod on the first node to its end; gives its figures."""
        self.pod(name, "near", mode, self.to, "7000", *args)
        pod = self.until(name, lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"))
        log = self.client("logs", name)
        if pod["status"]["phase"] == "Failed":
            raise SystemExit(f"{name}: {log}")
        return json.loads(log.splitlines()[-1])

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait()


def figures(run):
    """Medians: bytes a second, microseconds a round trip."""
    speed = statistics.median(run(f"speed-{n}", "throughput", str(MEGABYTES << 20), str(CHUNK))["bytes_per_second"]
                              for n in range(ROUNDS))
    trip = statistics.median(run(f"trip-{n}", "pingpong", str(PINGS))["mean_us"] for n in range(ROUNDS))
    return speed, trip


def plain(dir):
    first, second = MACHINES
    at = f"{MACHINES[second]}:7443"
    server = on(second, PLAIN, "server", at, dir)
    while not os.path.exists(f"{dir}/plain-tls.der"):
        time.sleep(.01)
    try:
        return figures(lambda _, mode, *args: ask(first, PLAIN, mode, at, dir, *args))
    finally:
        server.kill()
        server.wait()


def pods(dir, *listen):
    os.mkdir(dir)
    nodes = Nodes(dir, *listen)
    try:
        return figures(nodes.run)
    finally:
        nodes.stop()


def main():
    with tempfile.TemporaryDirectory(prefix="peapod-bench-") as dir:
        try:
            cables()
            results = {"plain TLS": plain(dir), "pods, direct": pods(f"{dir}/direct"),
                       # Nobody reaches the second agent.
                       "pods, relayed": pods(f"{dir}/relayed", "--listen", "127.0.0.1:0")}
        finally:
            for machine in MACHINES:
                subprocess.run(["ip", "netns", "del", machine], check=False)
    speed, trip = results["plain TLS"]
    for what, (bytes_per_second, mean_us) in results.items():
        print(f"{what}: {bytes_per_second / 1e6:.0f} MB/s ({bytes_per_second / speed:.2f} of plain TLS), "
              f"1-byte round trip {mean_us:.0f} us ({mean_us / trip:.2f} times)")


main()
