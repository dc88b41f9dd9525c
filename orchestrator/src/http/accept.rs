//! Content negotiation: in which form a client wants an answer. Pure.

use peapod_api::Error;
use peapod_api::error::Reason;

/// The form that an object or list is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it is.
    Object,
    /// `meta.k8s.io/VERSION Table`.
    Table(&'static str),
    /// `meta.k8s.io/VERSION PartialObjectMetadata`, or a list of them.
    Metadata(&'static str),
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    /// Made as JSON, and made YAML of when it is sent.
    Yaml,
    Protobuf,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) shape: Shape,
    pub(crate) encoding: Encoding,
}

/// One entry of an Accept header.
#[derive(Debug)]
pub(crate) struct MediaRange<'a> {
    /// `application/json`
    pub(crate) media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality_thousandths: u32,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Option<MediaRange<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|media_type| media_type.contains('/'))?;
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = parameters.iter().find(|(key, _)| *key == "q").and_then(|(_, q)| q.parse::<f32>().ok());
        let quality_thousandths = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u32;
        Some(MediaRange { media_type, parameters, quality_thousandths })
    }

    /// The value of a parameter, empty where it is absent.
    pub(crate) fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value).unwrap_or_default()
    }

    fn encoding(&self) -> Option<Encoding> {
        match self.media_type {
            "application/json" | "application/*" | "*/*" => Some(Encoding::Json),
            "application/yaml" => Some(Encoding::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Encoding::Protobuf),
            _ => None,
        }
    }

    fn shape(&self) -> Option<Shape> {
        let version = match self.parameter("v") {
            "v1" | "" => "v1",
            "v1beta1" => "v1beta1",
            _ => return None,
        };
        match (self.parameter("as"), self.parameter("g")) {
            ("", _) => Some(Shape::Object),
            ("Table", "meta.k8s.io") => Some(Shape::Table(version)),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") => {
                Some(Shape::Metadata(version))
            }
            _ => None,
        }
    }
}

/// The entries of an Accept header, the most wanted first; what the client rules out is left out.
pub(crate) fn ranges(header: &str) -> Vec<MediaRange<'_>> {
    let mut ranges: Vec<_> = header.split(',').filter_map(MediaRange::parse).collect();
    ranges.retain(|range| range.quality_thousandths > 0);
    ranges.sort_by_key(|range| std::cmp::Reverse(range.quality_thousandths));
    ranges
}

/// The first form that both sides know, if there is one.
pub(crate) fn negotiate(header: &str) -> Option<Accept> {
    if header.trim().is_empty() {
        return Some(Accept { shape: Shape::Object, encoding: Encoding::Json });
    }
    let served = |range: &MediaRange<'_>| {
        let (shape, encoding) = (range.shape()?, range.encoding()?);
        // Cells of a Table hold anything, which protobuf cannot say.
        let possible = encoding != Encoding::Protobuf || !matches!(shape, Shape::Table(_));
        possible.then_some(Accept { shape, encoding })
    };
    ranges(header).iter().find_map(served)
}

/// 406 that names what there is.
pub(crate) fn not_acceptable(types: &str) -> Error {
    Error::new(Reason::NotAcceptable, format!("only the following media types are accepted: {types}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_both_know_is_taken() {
        let json = |shape| Accept { shape, encoding: Encoding::Json };
        for (header, expected) in [
            ("", json(Shape::Object)),
            ("*/*", json(Shape::Object)),
            ("application/json, */*", json(Shape::Object)),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                json(Shape::Table("v1")),
            ),
            ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", json(Shape::Object)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", json(Shape::Metadata("v1"))),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Accept { shape: Shape::Object, encoding: Encoding::Protobuf },
            ),
            ("application/vnd.kubernetes.protobuf;q=0.5, application/json", json(Shape::Object)),
            ("application/yaml;q=0.5, application/json", json(Shape::Object)),
            (
                "application/yaml;as=Table;v=v1;g=meta.k8s.io, application/json",
                Accept { shape: Shape::Table("v1"), encoding: Encoding::Yaml },
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
                json(Shape::Object),
            ),
        ] {
            assert_eq!(negotiate(header).unwrap(), expected, "{header}");
        }
        for header in ["text/html", "application/json;q=0", "nonsense"] {
            assert_eq!(negotiate(header), None, "{header}");
        }
    }
}
