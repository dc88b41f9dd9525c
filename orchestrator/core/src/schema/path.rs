//! Paths of fields as Kubernetes writes them: `spec.containers[0].name`.

/// A path that grows and shrinks while a value is walked.
#[derive(Default, Debug)]
pub(crate) struct Path(String);

impl Path {
    /// Runs `inner` with `.name` appended.
    pub(crate) fn field<T>(&mut self, name: &str, inner: impl FnOnce(&mut Path) -> T) -> T {
        let before = self.0.len();
        if before > 0 {
            self.0.push('.');
        }
        self.0.push_str(name);
        let result = inner(self);
        self.0.truncate(before);
        result
    }

    /// Runs `inner` with `[index]` appended.
    pub(crate) fn index<T>(
        &mut self,
        index: impl std::fmt::Display,
        inner: impl FnOnce(&mut Path) -> T,
    ) -> T {
        let before = self.0.len();
        self.0.push_str(&format!("[{index}]"));
        let result = inner(self);
        self.0.truncate(before);
        result
    }

    /// The path as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
