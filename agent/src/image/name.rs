//! Image names: `NAME[:TAG][@sha256:HEX]`, parsed with the rules that Kubernetes' nodes apply.

use super::ImageError;
use std::fmt;

/// The longest repository name.
const MAX_NAME_LENGTH: usize = 255;
/// The longest tag.
const MAX_TAG_LENGTH: usize = 128;

/// A parsed image name. Without a tag and a digest it means `:latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageName {
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageName {
    /// Parses `text`.
    ///
    /// # Errors
    /// `InvalidImageName`, with the sentence that kubelet says.
    pub fn parse(text: &str) -> Result<ImageName, ImageError> {
        parse(text).map_err(|why| {
            ImageError::new(
                ImageError::INVALID_IMAGE_NAME,
                format!(
                    "Failed to apply default image tag {text:?}: couldn't parse image name {text:?}: {why}"
                ),
            )
        })
    }

    /// The name without tag and digest.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag: the given one, else `latest`.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// The digest that the name insists on.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What to ask a registry's manifest endpoint for: the digest if there is one, else the tag.
    pub fn reference(&self) -> &str {
        self.digest().unwrap_or(self.tag())
    }
}

/// The full form, with the default tag applied.
impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        match (&self.tag, &self.digest) {
            (None, None) => f.write_str(":latest"),
            (tag, digest) => {
                tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
                digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
            }
        }
    }
}

fn parse(text: &str) -> Result<ImageName, String> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
        None => (text, None),
    };
    // A colon after the last slash begins a tag; one before it belongs to a registry's port.
    let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match rest[path_start..].split_once(':') {
        Some((name, tag)) => (&rest[..path_start + name.len()], Some(parse_tag(tag)?)),
        None => (rest, None),
    };
    check_repository(repository)?;
    Ok(ImageName { repository: repository.to_owned(), tag, digest })
}

fn invalid() -> String {
    "invalid reference format".into()
}

fn parse_digest(text: &str) -> Result<String, String> {
    let hex = text.strip_prefix("sha256:").ok_or_else(|| {
        if text.contains(':') { "unsupported digest algorithm".to_owned() } else { invalid() }
    })?;
    let is_hex = hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if hex.len() == 64 && is_hex { Ok(text.to_owned()) } else { Err(invalid()) }
}

fn parse_tag(text: &str) -> Result<String, String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let valid = (1..=MAX_TAG_LENGTH).contains(&text.len())
        && text.bytes().enumerate().all(|(at, byte)| word(byte) || at > 0 && matches!(byte, b'.' | b'-'));
    if valid { Ok(text.to_owned()) } else { Err(invalid()) }
}

fn check_repository(name: &str) -> Result<(), String> {
    let mut components: Vec<&str> = name.split('/').collect();
    // A first component with a dot, a port or the name localhost is a registry's address.
    if components.len() > 1 && is_domain(components[0]) {
        components.remove(0);
    }
    if components.iter().all(|component| is_path_component(component)) {
        if name.len() > MAX_NAME_LENGTH {
            return Err(format!("repository name must not be more than {MAX_NAME_LENGTH} characters"));
        }
        return Ok(());
    }
    let lower: Vec<String> = components.iter().map(|component| component.to_lowercase()).collect();
    if lower.iter().all(|component| is_path_component(component)) {
        return Err("invalid reference format: repository name must be lowercase".into());
    }
    Err(invalid())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (host.contains('.') || host == "localhost" || port.is_some())
        && host.split('.').all(is_label)
        && port.is_none_or(is_port)
}

/// Runs of lower-case letters and digits, joined by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    word(*first)
        && word(*last)
        && bytes.split(|byte| word(*byte)).filter(|separator| !separator.is_empty()).all(|separator| {
            matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        ImageName::parse(text).unwrap().to_string()
    }

    #[test]
    fn names_get_the_default_tag() {
        assert_eq!(full("hello"), "hello:latest");
        assert_eq!(full("team/hello:v1"), "team/hello:v1");
        assert_eq!(full("localhost:5000/hello"), "localhost:5000/hello:latest");
        assert_eq!(full("registry.example/a/b__c/d---e:T_1.x-y"), "registry.example/a/b__c/d---e:T_1.x-y");
    }

    #[test]
    fn a_digest_stands_in_for_the_tag() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let name = ImageName::parse(&format!("hello@{digest}")).unwrap();
        assert_eq!((name.repository(), name.reference(), name.digest()), ("hello", &*digest, Some(&*digest)));
        assert_eq!(full(&format!("hello:v1@{digest}")), format!("hello:v1@{digest}"));
    }

    #[test]
    fn invalid_names_are_worded_as_kubelet_words_them() {
        let error = ImageName::parse("Hello").unwrap_err();
        assert_eq!(error.reason, "InvalidImageName");
        assert_eq!(
            error.message,
            "Failed to apply default image tag \"Hello\": couldn't parse image name \"Hello\": invalid reference \
             format: repository name must be lowercase"
        );
        let long_tag = format!("a:{}", "b".repeat(129));
        for text in
            ["", "a b", "a:", "a:b:c", "-a", "a/", "/a", "a..b", "a___b", "a@sha256:12", "a:-b", &long_tag]
        {
            assert_eq!(ImageName::parse(text).unwrap_err().reason, "InvalidImageName", "{text:?}");
        }
        assert!(
            ImageName::parse(&"a".repeat(256))
                .unwrap_err()
                .message
                .contains("not be more than 255 characters")
        );
    }
}
