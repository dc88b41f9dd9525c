use crate::client::Client;
use crate::table::print;
use anyhow::Context;
use clap::Args;
use http::Method;
use std::process::ExitCode;

/// `peapod dashboard`.
#[derive(Args, Debug)]
pub(crate) struct Dashboard {}

impl Dashboard {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        let headers = [("content-type", "application/json")];
        let made = client.json(Method::POST, "/sessions/codes", &headers, "{}").await?;
        let code = made["code"].as_str().context("the server's answer holds no code")?;
        print(&format!("{}/ui/#code={code}\n", client.url()));
        eprintln!(
            "The link signs one browser in, once, within {} minutes. The browser will ask about the certificate: this \
             cluster's own authority has signed it.",
            made["expiresInSeconds"].as_u64().unwrap_or_default() / 60
        );
        Ok(ExitCode::SUCCESS)
    }
}
