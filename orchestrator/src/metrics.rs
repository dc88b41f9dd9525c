//! What the server counts, in Prometheus' text format.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Different label sets that are kept; they come from the kinds table, so this is never reached.
const MAX_SERIES: usize = 10_000;

/// Counters of one server.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, String, u16), Series>>,
    watches: Arc<AtomicI64>,
    connections: Arc<AtomicI64>,
}

#[derive(Default)]
struct Series {
    count: u64,
    sum_seconds: f64,
    buckets: [u64; BUCKETS_SECONDS.len()],
}

/// Counts one thing for as long as it lives.
pub(crate) struct Gauge(Arc<AtomicI64>);

impl Gauge {
    fn of(counter: &Arc<AtomicI64>) -> Gauge {
        counter.fetch_add(1, Ordering::Relaxed);
        Gauge(counter.clone())
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is read from elsewhere when somebody asks.
pub(crate) struct Reading {
    pub(crate) revision: u64,
    pub(crate) nodes_connected: usize,
    pub(crate) objects: BTreeMap<String, usize>,
}

impl Metrics {
    /// Counts a request; `resource` is empty for paths that are no resource.
    pub(crate) fn request(&self, verb: &'static str, resource: String, code: u16, took: Duration) {
        let mut requests = self.requests.lock();
        if requests.len() >= MAX_SERIES {
            return;
        }
        let series = requests.entry((verb, resource, code)).or_default();
        series.count += 1;
        series.sum_seconds += took.as_secs_f64();
        let within = BUCKETS_SECONDS.iter().zip(&mut series.buckets);
        within.filter(|(bound, _)| took.as_secs_f64() <= **bound).for_each(|(_, bucket)| *bucket += 1);
    }

    /// Counts a watch while it is open.
    pub(crate) fn watch(&self) -> Gauge {
        Gauge::of(&self.watches)
    }

    /// Open watches.
    pub(crate) fn watches(&self) -> i64 {
        self.watches.load(Ordering::Relaxed)
    }

    /// Counts a connection while it is open.
    pub(crate) fn connection(&self) -> Gauge {
        Gauge::of(&self.connections)
    }

    /// Everything, in the text format.
    pub(crate) fn text(&self, reading: &Reading) -> String {
        let mut out = String::new();
        self.write_requests(&mut out);
        let gauges: [(&str, &str, i64); 4] = [
            ("apiserver_longrunning_requests", "Open watches.", self.watches()),
            ("peapod_connections", "Open client connections.", self.connections.load(Ordering::Relaxed)),
            ("peapod_nodes_connected", "Nodes whose agent is connected.", reading.nodes_connected as i64),
            ("peapod_store_revision", "Revision of the newest change.", reading.revision as i64),
        ];
        for (name, help, value) in gauges {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
        }
        out.push_str("# HELP apiserver_storage_objects Stored objects by resource.\n# TYPE apiserver_storage_objects gauge\n");
        for (resource, count) in &reading.objects {
            let _ = writeln!(out, "apiserver_storage_objects{{resource=\"{resource}\"}} {count}");
        }
        out
    }

    fn write_requests(&self, out: &mut String) {
        let requests = self.requests.lock();
        out.push_str("# HELP apiserver_request_total Requests by verb, resource and code.\n# TYPE apiserver_request_total counter\n");
        for ((verb, resource, code), series) in requests.iter() {
            let labels = format!("verb=\"{verb}\",resource=\"{resource}\",code=\"{code}\"");
            let _ = writeln!(out, "apiserver_request_total{{{labels}}} {}", series.count);
        }
        let name = "apiserver_request_duration_seconds";
        let _ = write!(out, "# HELP {name} Time to the head of the answer.\n# TYPE {name} histogram\n");
        for ((verb, resource, code), series) in requests.iter() {
            let labels = format!("verb=\"{verb}\",resource=\"{resource}\",code=\"{code}\"");
            for (bound, count) in BUCKETS_SECONDS.iter().zip(series.buckets) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", series.count);
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", series.sum_seconds);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", series.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.request("LIST", "pods".into(), 200, Duration::from_millis(3));
        metrics.request("LIST", "pods".into(), 200, Duration::from_secs(9));
        let _one = metrics.watch();
        drop(metrics.watch());
        let reading =
            Reading { revision: 7, nodes_connected: 1, objects: BTreeMap::from([("pods".into(), 2)]) };
        let text = metrics.text(&reading);
        for line in [
            r#"apiserver_request_total{verb="LIST",resource="pods",code="200"} 2"#,
            r#"apiserver_request_duration_seconds_bucket{verb="LIST",resource="pods",code="200",le="0.005"} 1"#,
            r#"apiserver_request_duration_seconds_bucket{verb="LIST",resource="pods",code="200",le="+Inf"} 2"#,
            "apiserver_longrunning_requests 1",
            "peapod_store_revision 7",
            r#"apiserver_storage_objects{resource="pods"} 2"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
