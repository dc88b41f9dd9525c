use super::resource::{checked, query};
use crate::client::Client;
use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::Method;
use http_body_util::BodyExt;
use std::io::Write;
use std::process::ExitCode;

/// `peapod logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Pod.
    pod: String,
    /// Container, where the pod has several.
    #[arg(short, long)]
    container: Option<String>,
    /// Namespace of the pod.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Go on as lines come.
    #[arg(short, long)]
    follow: bool,
    /// Of the run before the last restart.
    #[arg(short, long)]
    previous: bool,
    /// Only the last lines.
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    /// With the time of each line.
    #[arg(long)]
    timestamps: bool,
}

impl Logs {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        let namespace = checked(self.namespace.as_deref().unwrap_or(&client.namespace))?;
        let mut path = format!("/api/v1/namespaces/{namespace}/pods/{}/log?", checked(&self.pod)?);
        let flags = [("follow", self.follow), ("previous", self.previous), ("timestamps", self.timestamps)];
        for (name, _) in flags.iter().filter(|(_, on)| *on) {
            path += &format!("{name}=true&");
        }
        if let Some(container) = &self.container {
            path += &format!("container={}&", query(container));
        }
        if let Some(lines) = self.tail {
            path += &format!("tailLines={lines}&");
        }
        let mut body = client.send(Method::GET, &path, &[], Bytes::new()).await?.into_body();
        let mut out = std::io::stdout().lock();
        while let Some(frame) = body.frame().await {
            let data = frame.context("the connection was lost")?.into_data().unwrap_or_default();
            if out.write_all(&data).and_then(|()| out.flush()).is_err() {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
