"""Idle: a control plane's memory, alone and with its node; with ten pods that nobody asks anything CPU, memory and bytes written
in a minute."""
import sys
import time

from cluster import Cluster

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "idle"},
    "spec": {"replicas": 10, "selector": {"matchLabels": {"app": "idle"}},
             "template": {"metadata": {"labels": {"app": "idle"}},
                          "spec": {"containers": [{"name": "main", "image": "hello", "ports": [{"containerPort": 80}]}]}}}}

SETTLED = 10


def resident_mib(cluster):
    return f"{cluster.memory_bytes() / 2**20:.0f} MiB resident"


with Cluster(verb="server") as control_plane:
    time.sleep(SETTLED)
    print(f"idle control plane alone: {resident_mib(control_plane)} (goal: 50)")

with Cluster() as cluster:
    time.sleep(SETTLED)
    print(f"idle with its node: {resident_mib(cluster)} (goal: 50)")
    api = cluster.api()
    path = "/apis/apps/v1/namespaces/default/deployments"
    api.call("POST", path, DEPLOYMENT)
    while api.get(f"{path}/idle").get("status", {}).get("readyReplicas") != 10:
        time.sleep(.05)
    time.sleep(5)
    cpu, written = cluster.cpu_seconds(), cluster.written_bytes()
    time.sleep(SECONDS)
    scale = 60 / SECONDS
    print(f"idle with 10 pods: {(cluster.cpu_seconds() - cpu) * scale:.2f} s CPU a minute (goal: 0.3), "
          f"{resident_mib(cluster)} (goal: 60), "
          f"{(cluster.written_bytes() - written) * scale / 1024:.0f} KiB written a minute (goal: 0)")
