"""Process start to `ready`: first start, then again on the same data directory."""
import tempfile

from cluster import Cluster, percentile

firsts, seconds = [], []
for _ in range(5):
    with tempfile.TemporaryDirectory(prefix="peapod-bench-") as directory:
        cluster = Cluster(data_dir=f"{directory}/data")
        firsts.append(cluster.start())
        cluster.stop()
        seconds.append(cluster.start())
        cluster.stop()
print(f"first start to ready:  median {percentile(firsts, .5) * 1e3:.0f} ms   (goal: below 1000)")
print(f"second start to ready: median {percentile(seconds, .5) * 1e3:.0f} ms   (goal: below 300)")
