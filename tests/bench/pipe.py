"""Two guests that talk TCP: as pods over the fabric, and the same file under `wasmtime run` over kernel loopback.

WASMTIME=path/to/wasmtime (the version that peapod embeds) python3 pipe.py. Medians of five, taken in turn."""
import json
import os
import statistics
import subprocess
import time

from cluster import ROOT, Cluster

PODS = "/api/v1/namespaces/default/pods"
PORT = 9000
MODES = {"throughput": ["2000000000", "65536"], "pingpong": ["20000"]}
FIGURE = {"throughput": "bytes_per_second", "pingpong": "p50_us"}
ROUNDS = 5


def pod(name, *args, **spec):
    container = {"name": "main", "image": "pipe", "args": list(args), "ports": [{"containerPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def until(api, name, phase):
    while True:
        status = api.get(f"{PODS}/{name}")["status"]
        if status.get("phase") == phase:
            return status
        if status.get("phase") == "Failed":
            raise SystemExit(api.text(f"{PODS}/{name}/log"))
        time.sleep(.02)


def as_pods(api, server, mode, number):
    name = f"{mode}-{number}"
    api.call("POST", PODS, pod(name, mode, server, str(PORT), *MODES[mode], restartPolicy="Never"))
    until(api, name, "Succeeded")
    return json.loads(api.text(f"{PODS}/{name}/log"))[FIGURE[mode]]


def under_wasmtime(wasmtime, mode):
    module = os.path.join(ROOT, "modules/dist/pipe.wasm")
    run = [wasmtime, "run", "-S", "inherit-network,tcp,allow-ip-name-lookup", module]
    server = subprocess.Popen([*run, "server", str(PORT)], stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()
        done = subprocess.run([*run, mode, "127.0.0.1", str(PORT), *MODES[mode]], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)[FIGURE[mode]]
    finally:
        server.kill()
        server.wait()


wasmtime = os.environ["WASMTIME"]
with Cluster() as cluster:
    api = cluster.api()
    api.call("POST", PODS, pod("server", "server", str(PORT)))
    server = until(api, "server", "Running")["podIP"]
    for mode, goal in (("throughput", "at least 2"), ("pingpong", "at most 0.5")):
        ours, theirs = [], []
        for number in range(ROUNDS):
            ours.append(as_pods(api, server, mode, number))
            theirs.append(under_wasmtime(wasmtime, mode))
        ours, theirs = statistics.median(ours), statistics.median(theirs)
        print(f"{mode}: pods {ours:,.1f}, wasmtime over kernel loopback {theirs:,.1f} {FIGURE[mode]}: "
              f"ratio {ours / theirs:.2f} (goal: {goal})")
