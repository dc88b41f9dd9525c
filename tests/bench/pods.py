"""POST Pod to watched Running with a warm image, and crash to running again."""
import time

from cluster import Cluster, milliseconds

COUNT = 200
LIVES_SECONDS = 0.1  # of a container that crashes: running is seen before
PODS = "/api/v1/namespaces/default/pods"


def pod(name, image, **container):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "main", "image": image, **container}]}}


def until(events, name, condition):
    for event in events:
        if event["object"]["metadata"]["name"] == name and condition(event["object"]):
            return


def running(obj):
    return obj.get("status", {}).get("phase") == "Running"


def restarted(obj):
    statuses = obj.get("status", {}).get("containerStatuses", [])
    return any(s["restartCount"] >= 1 and "running" in s["state"] for s in statuses)


with Cluster() as cluster:
    api, watcher = cluster.api(), cluster.api()
    version = api.get(PODS)["metadata"]["resourceVersion"]
    events = watcher.watch(f"{PODS}?watch=true&resourceVersion={version}")
    for image in ("hello", "sleeper"):
        api.call("POST", PODS, pod(f"warm-{image}", image))
        until(events, f"warm-{image}", running)
        times = []
        for index in range(COUNT):
            name = f"{image}-{index}"
            begin = time.perf_counter()
            api.call("POST", PODS, pod(name, image))
            until(events, name, running)
            times.append(time.perf_counter() - begin)
        print(f"POST Pod to Running, {image}: {milliseconds(times)}   (goal: p50 below 10, p99 below 30)")
    times = []
    for index in range(50):
        name = f"crash-{index}"
        api.call("POST", PODS, pod(name, "crasher", args=[str(LIVES_SECONDS)]))
        crashed = None
        for event in events:
            if event["object"]["metadata"]["name"] != name:
                continue
            if crashed is None and running(event["object"]):
                crashed = time.perf_counter() + LIVES_SECONDS
            if restarted(event["object"]):
                times.append(time.perf_counter() - crashed)
                break
        api.call("DELETE", f"{PODS}/{name}")
    print(f"crash to running again: {milliseconds(times)}   (goal: p99 below 50)")
