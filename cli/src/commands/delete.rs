use super::resource::{Resource, checked, place};
use crate::client::Client;
use crate::manifest;
use crate::table::print;
use clap::Args;
use http::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// `peapod delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Resource type, then names.
    #[arg(required_unless_present = "filename", num_args = 1..)]
    what: Vec<String>,
    /// Delete what these manifests describe.
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "what")]
    filename: Vec<PathBuf>,
    /// Namespace to look in.
    #[arg(short, long)]
    namespace: Option<String>,
}

impl Delete {
    pub(crate) async fn run(self, client: Client) -> anyhow::Result<ExitCode> {
        let namespace = checked(self.namespace.as_deref().unwrap_or(&client.namespace))?;
        let mut targets = Vec::new();
        for file in &self.filename {
            for object in manifest::read(file)? {
                let place = place(&client, &object, &namespace).await?;
                targets.push((place.path, place.called));
            }
        }
        if let Some((resource, names)) = self.what.split_first() {
            let resource = Resource::named(&client, resource).await?;
            anyhow::ensure!(!names.is_empty(), "name the {} to delete", resource.plural);
            for name in names {
                let path = format!("{}/{}", resource.collection(Some(&namespace)), checked(name)?);
                targets.push((path, resource.called(name)));
            }
        }
        let mut code = ExitCode::SUCCESS;
        for (path, called) in targets {
            let headers = [("content-type", "application/json"), ("accept", "application/json")];
            match client.send(Method::DELETE, &path, &headers, r#"{"propagationPolicy":"Background"}"#).await
            {
                Ok(_) => print(&format!("{called} deleted\n")),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}
