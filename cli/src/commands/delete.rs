use super::resource::{called, checked, collection, kind, of_object};
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
                targets.push(of_object(&object, &namespace)?);
            }
        }
        if let Some((resource, names)) = self.what.split_first() {
            let kind = kind(resource)?;
            anyhow::ensure!(!names.is_empty(), "name the {} to delete", kind.plural);
            for name in names {
                targets.push((
                    format!("{}/{}", collection(kind, Some(&namespace)), checked(name)?),
                    called(kind, name),
                ));
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
