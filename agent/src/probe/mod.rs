//! Probes: one timer each, through the pod network, until the outcome changes.

mod request;
mod tls;

use crate::network::Fabric;
use crate::pods::spec::{Container, HttpGet, Probe};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Startup,
    Liveness,
    Readiness,
}

impl Role {
    /// As kubelet's events name it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Role::Startup => "Startup",
            Role::Liveness => "Liveness",
            Role::Readiness => "Readiness",
        }
    }
}

/// What is asked of the container.
#[derive(Clone, Debug, PartialEq)]
enum Question {
    Tcp(SocketAddr),
    Http { to: SocketAddr, get: HttpGet },
}

/// A probe of a running container, with what it has seen so far.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    pub(crate) role: Role,
    question: Result<Question, String>,
    spec: Probe,
    passing: Option<bool>,
    row: u32,
    last: Option<bool>,
    begun: bool,
}

/// What a probe has to tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It passes from now on.
    Passed,
    /// It fails from now on, and why.
    Failed(String),
    /// It failed once more; nothing changes by that, but people should read why.
    Stumbled(String),
}

impl Prober {
    /// The prober of a container whose pod has `ip`.
    pub(crate) fn new(role: Role, spec: &Probe, container: &Container, ip: IpAddr) -> Prober {
        let question = question(spec, container, ip);
        // Readiness and startup begin as failed, liveness as passed: kubelet's rule.
        let passing = Some(role == Role::Liveness);
        Prober { role, question, spec: spec.clone(), passing, row: 0, last: None, begun: false }
    }

    /// The probe's own `terminationGracePeriodSeconds`.
    pub(crate) fn grace_seconds(&self) -> Option<i64> {
        self.spec.termination_grace_period_seconds
    }

    fn period(&self) -> Duration {
        Duration::from_secs(self.spec.period_seconds.unwrap_or(10).max(1))
    }

    /// Waits for the time, asks, and goes on until there is something to tell.
    pub(crate) async fn next(&mut self, fabric: &Fabric) -> Verdict {
        loop {
            let delay = self.delay(fastrand::f64());
            tokio::time::sleep(delay).await;
            let answer = match &self.question {
                Ok(question) => ask(question, fabric, self.limit()).await,
                Err(why) => Err(why.clone()),
            };
            if let Some(verdict) = self.judge(answer) {
                return verdict;
            }
        }
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.spec.timeout_seconds.unwrap_or(1).max(1))
    }

    /// How long to wait before asking (again). `chance`, from 0 to 1, spreads the probes of pods that started together
    /// by a twentieth of the period.
    fn delay(&mut self, chance: f64) -> Duration {
        match std::mem::replace(&mut self.begun, true) {
            true => self.period().mul_f64(0.975 + chance / 20.0),
            false => Duration::from_secs(self.spec.initial_delay_seconds.unwrap_or(0)),
        }
    }

    /// Counts an answer; thresholds are of answers in a row.
    fn judge(&mut self, answer: Result<(), String>) -> Option<Verdict> {
        let passed = answer.is_ok();
        self.row = if self.last == Some(passed) { self.row.saturating_add(1) } else { 1 };
        self.last = Some(passed);
        let success = if self.role == Role::Readiness { self.spec.success_threshold.unwrap_or(1) } else { 1 };
        let threshold = if passed { success } else { self.spec.failure_threshold.unwrap_or(3) };
        let reached = self.row >= threshold.max(1);
        let changes = self.passing != Some(passed) || (self.role == Role::Startup && !passed);
        match answer {
            Ok(()) if reached && changes => {
                self.passing = Some(true);
                Some(Verdict::Passed)
            }
            Ok(()) => None,
            Err(why) if reached && changes => {
                self.passing = Some(false);
                Some(Verdict::Failed(why))
            }
            Err(why) => Some(Verdict::Stumbled(why)),
        }
    }
}

fn question(spec: &Probe, container: &Container, ip: IpAddr) -> Result<Question, String> {
    let address = |port: &Value, host: &Option<String>| {
        let port = container.port(port).ok_or_else(|| format!("the container has no port {port}"))?;
        match host.as_deref().filter(|host| !host.is_empty()) {
            None => Ok(SocketAddr::new(ip, port)),
            Some(host) => {
                let ip = host
                    .parse()
                    .map_err(|_| format!("probe host {host:?} is no address of the pod network"))?;
                Ok(SocketAddr::new(ip, port))
            }
        }
    };
    if let Some(get) = &spec.http_get {
        return Ok(Question::Http { to: address(&get.port, &get.host)?, get: get.clone() });
    }
    if let Some(tcp) = &spec.tcp_socket {
        return address(&tcp.port, &tcp.host).map(Question::Tcp);
    }
    Err("only httpGet and tcpSocket probes are supported".into())
}

async fn ask(question: &Question, fabric: &Fabric, limit: Duration) -> Result<(), String> {
    let asked = async {
        match question {
            Question::Tcp(to) => match fabric.dial(*to).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("dial tcp {to}: connect: {error}")),
            },
            Question::Http { to, get } => request::get(fabric, *to, get).await,
        }
    };
    match tokio::time::timeout(limit, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(match question {
            Question::Tcp(to) => format!("dial tcp {to}: i/o timeout"),
            Question::Http { to, get } => format!(
                "Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                request::url(*to, get)
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prober(role: Role, success: u32, failure: u32) -> Prober {
        let spec = Probe {
            success_threshold: Some(success),
            failure_threshold: Some(failure),
            tcp_socket: Some(crate::pods::spec::TcpSocket { port: 80.into(), host: None }),
            ..Probe::default()
        };
        Prober::new(role, &spec, &Container::default(), IpAddr::from([10, 244, 0, 2]))
    }

    fn run(mut prober: Prober, answers: &str) -> String {
        let tell = |verdict| match verdict {
            None => '-',
            Some(Verdict::Passed) => 'P',
            Some(Verdict::Failed(_)) => 'F',
            Some(Verdict::Stumbled(_)) => 's',
        };
        let answer = |c| if c == '+' { Ok(()) } else { Err("no".to_string()) };
        answers.chars().map(|c| tell(prober.judge(answer(c)))).collect()
    }

    #[test]
    fn thresholds_count_answers_in_a_row() {
        assert_eq!(run(prober(Role::Readiness, 2, 3), "+.++..+..."), "-s-Pss-ssF");
        assert_eq!(run(prober(Role::Readiness, 1, 1), "..+."), "ssPF", "it begins as failed");
        assert_eq!(run(prober(Role::Liveness, 1, 3), "+..+..."), "-ss-ssF");
        assert_eq!(run(prober(Role::Startup, 1, 2), ".+"), "sP");
        assert_eq!(run(prober(Role::Startup, 1, 2), ".."), "sF");
    }

    #[test]
    fn a_probe_keeps_its_times() {
        let spec = Probe {
            initial_delay_seconds: Some(7),
            period_seconds: Some(20),
            timeout_seconds: Some(3),
            termination_grace_period_seconds: Some(4),
            ..Probe::default()
        };
        let mut prober = Prober::new(Role::Liveness, &spec, &Container::default(), [10, 244, 0, 2].into());
        assert_eq!(prober.delay(0.5), Duration::from_secs(7));
        assert_eq!(prober.delay(0.5), Duration::from_secs(20));
        assert_eq!(prober.limit(), Duration::from_secs(3));
        assert_eq!(prober.grace_seconds(), Some(4));
    }

    #[test]
    fn a_question_that_cannot_be_asked_fails() {
        let named = Probe {
            http_get: Some(HttpGet { port: "web".into(), ..HttpGet::default() }),
            ..Probe::default()
        };
        let ip = IpAddr::from([10, 244, 0, 2]);
        assert!(question(&named, &Container::default(), ip).unwrap_err().contains("web"));
        let mut container = Container::default();
        let port =
            crate::pods::spec::ContainerPort { name: Some("web".into()), container_port: 81, protocol: None };
        container.ports.push(port);
        assert!(matches!(question(&named, &container, ip), Ok(Question::Http { to, .. }) if to.port() == 81));
    }
}
