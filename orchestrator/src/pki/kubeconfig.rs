//! The kubeconfig written at every start.

use super::{Pair, write};
use crate::files::PRIVATE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// What a client needs to reach the server as one user.
pub(crate) struct Kubeconfig<'a> {
    /// `https://127.0.0.1:6443`
    pub(crate) server: String,
    pub(crate) ca_pem: &'a str,
    pub(crate) user: &'a str,
    pub(crate) pair: &'a Pair,
}

impl Kubeconfig<'_> {
    /// Writes it, readable by the owner only.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(path, &self.text(), PRIVATE)
    }

    fn text(&self) -> String {
        let encode = |text: &str| STANDARD.encode(text);
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             current-context: peapod\n\
             clusters:\n\
             - name: peapod\n\
             \x20 cluster:\n\
             \x20   server: {server}\n\
             \x20   certificate-authority-data: {ca}\n\
             contexts:\n\
             - name: peapod\n\
             \x20 context:\n\
             \x20   cluster: peapod\n\
             \x20   user: {user}\n\
             users:\n\
             - name: {user}\n\
             \x20 user:\n\
             \x20   client-certificate-data: {certificate}\n\
             \x20   client-key-data: {key}\n",
            server = self.server,
            user = self.user,
            ca = encode(self.ca_pem),
            certificate = encode(&self.pair.certificate_pem),
            key = encode(&self.pair.key_pem),
        )
    }
}
