use super::block_on;
use crate::client::Client;
use crate::place::Server;
use crate::table::{Output, print, print_object};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// `peapod version`.
#[derive(Args, Debug)]
pub(crate) struct Version {
    /// How to print.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

impl Version {
    pub(crate) fn run(self, server: &Server) -> anyhow::Result<ExitCode> {
        let there = server.kubeconfig().and_then(|path| Client::from_kubeconfig(&path));
        let answer = there.and_then(|client| block_on(async move { client.get("/version").await }));
        let own = env!("CARGO_PKG_VERSION");
        if let Some(output @ (Output::Json | Output::Yaml)) = self.output {
            let server = answer.unwrap_or(Value::Null);
            print_object(
                &json!({"clientVersion": {"gitVersion": format!("v{own}")}, "serverVersion": server}),
                output,
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        print(&format!("Client: peapod v{own}\n"));
        match answer {
            Ok(version) => {
                print(&format!("Server: {}\n", version["gitVersion"].as_str().unwrap_or("unknown")))
            }
            Err(error) => eprintln!("Server: none ({error:#})"),
        }
        Ok(ExitCode::SUCCESS)
    }
}
