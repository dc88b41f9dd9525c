//! Lists. A long one is made in pieces as the client takes them, so that it never lies in memory as a whole.

use super::Inner;
use super::accept::{Encoding, Shape};
use super::answer::{self, Answer, Broken, JSON, whole};
use super::encode::{Encoded, Form, ListMetadata, TAIL};
use super::pages::Token;
use super::query::{ListQuery, Query};
use super::read::{at_least, wanted};
use super::resource::Target;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use peapod_api::{Error, Object};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Objects of a piece; a list of no more is made at once.
const PIECE_OBJECTS: usize = 250;
/// Pieces of one list that are made before the client has taken those before them.
const PIECES_AHEAD: usize = 4;

/// GET of a collection.
pub(super) async fn list(
    api: &Inner,
    target: &Target<'_>,
    form: Form,
    query: &Query,
) -> Result<Answer, Error> {
    let query = ListQuery::read(&target.kind, query)?;
    let token = query.token.as_deref().map(Token::decode).transpose()?;
    let latest = at_least(api, wanted(query.version)).await?;
    let snapshot = api.pages.snapshot(&query, token.as_ref(), latest)?;
    let page = api.pages.page(&target.kind, target.scope(), &query, token.as_ref(), &snapshot);
    let metadata =
        ListMetadata { revision: snapshot.revision(), token: page.token, remaining: page.remaining };
    let listing = Listing { form, objects: page.objects, metadata };
    if listing.objects.len() <= PIECE_OBJECTS {
        return Ok(listing.at_once());
    }
    match listing.form.accept.encoding {
        Encoding::Json | Encoding::Yaml => Ok(listing.in_pieces(api.encoders.clone())),
        // The length of the whole is the first thing that it says.
        Encoding::Protobuf => in_turn(&api.encoders, move || listing.at_once())
            .await
            .map_err(|_| Error::internal("the list could not be encoded")),
    }
}

struct Listing {
    form: Form,
    objects: Vec<Arc<Object>>,
    metadata: ListMetadata,
}

impl Listing {
    fn at_once(&self) -> Answer {
        let (content_type, body): Encoded = self.form.list(&self.objects, &self.metadata);
        whole(StatusCode::OK, content_type, body)
    }

    fn in_pieces(self, encoders: Arc<Semaphore>) -> Answer {
        let listing = Arc::new(self);
        let pieces = listing.objects.len().div_ceil(PIECE_OBJECTS);
        let pieces = stream::iter(0..pieces).map(move |number| {
            let (listing, encoders) = (listing.clone(), encoders.clone());
            async move {
                // Bytes that are only copied need no turn.
                match listing.form.accept.shape {
                    Shape::Object => Ok(listing.piece(number)),
                    _ => in_turn(&encoders, move || listing.piece(number)).await,
                }
            }
        });
        answer::document(JSON, pieces.buffered(PIECES_AHEAD))
    }

    fn piece(&self, number: usize) -> Bytes {
        let (begin, end) = (number * PIECE_OBJECTS, (number + 1) * PIECE_OBJECTS);
        let objects = &self.objects[begin..end.min(self.objects.len())];
        let mut out = if number == 0 { self.form.list_head(&self.metadata) } else { vec![b','] };
        out.reserve(objects.iter().map(|object| object.json().len() + 64).sum());
        self.form.write_items(&mut out, objects);
        if end >= self.objects.len() {
            out.extend_from_slice(TAIL);
        }
        out.into()
    }
}

/// Does costly work off the threads that serve connections, when it is its turn. A task of its own sees to that: a client
/// that stops reading, so that nobody waits for the outcome any more, keeps no turn.
pub(super) async fn in_turn<T: Send + 'static>(
    encoders: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    let encoders = encoders.clone();
    let task = tokio::spawn(async move {
        let _turn = encoders.acquire().await;
        tokio::task::spawn_blocking(work).await
    });
    task.await.and_then(|done| done).map_err(|error| {
        tracing::error!(%error, "an answer could not be encoded");
        Broken("the answer could not be encoded".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn who_stops_reading_keeps_no_turn() {
        let encoders = Arc::new(Semaphore::new(1));
        let pieces = |number: u32| {
            let encoders = encoders.clone();
            async move { in_turn(&encoders, move || number).await }
        };
        let mut abandoned = stream::iter(0..4).map(pieces).buffered(PIECES_AHEAD).boxed();
        assert!(matches!(abandoned.next().await, Some(Ok(0))));
        let other = tokio::time::timeout(Duration::from_secs(20), in_turn(&encoders, || 7)).await;
        assert!(matches!(other, Ok(Ok(7))), "the pieces that nobody takes are in the way");
    }
}
