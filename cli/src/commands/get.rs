use super::resource::{Resource, checked, query};
use crate::client::Client;
use crate::table::{self, Output};
use bytes::Bytes;
use clap::Args;
use http::Method;
use std::process::ExitCode;

const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// `peapod get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Resource type: pods, deploy, svc...
    resource: String,
    /// One object instead of all.
    name: Option<String>,
    /// Namespace to look in.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Look in all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels, e.g. app=web,tier!=back.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

impl Get {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        let resource = Resource::named(&client, &self.resource).await?;
        let namespace = checked(self.namespace.as_deref().unwrap_or(&client.namespace))?;
        let mut path = resource.collection((!self.all_namespaces).then_some(namespace.as_str()));
        if let Some(name) = &self.name {
            path = format!("{path}/{}", checked(name)?);
        } else if let Some(selector) = &self.selector {
            path = format!("{path}?labelSelector={}", query(selector));
        }
        if let Some(output @ (Output::Json | Output::Yaml)) = self.output {
            table::print_object(&client.get(&path).await?, output)?;
            return Ok(ExitCode::SUCCESS);
        }
        let answer = client.json(Method::GET, &path, &[("accept", AS_TABLE)], Bytes::new()).await?;
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        if rows.is_empty() {
            let place = if resource.namespaced && !self.all_namespaces {
                format!(" in {namespace} namespace")
            } else {
                String::new()
            };
            eprintln!("No resources found{place}.");
        } else if self.output == Some(Output::Name) {
            let names = rows.iter().filter_map(|row| row["object"]["metadata"]["name"].as_str());
            let lines: String = names.map(|name| resource.called(name) + "\n").collect();
            table::print(&lines);
        } else {
            let spread = self.all_namespaces && resource.namespaced;
            table::print(&table::of_server(&answer, self.output == Some(Output::Wide), spread));
        }
        Ok(ExitCode::SUCCESS)
    }
}
