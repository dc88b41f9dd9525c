//! Which mutating webhooks are asked a second time: those that wish it and came before one that changed something.

use std::collections::BTreeSet;

/// Kept while the webhooks of one write are asked, by their places in the list.
#[derive(Debug, Default)]
pub struct Rounds {
    asked: Vec<usize>,
    again: BTreeSet<usize>,
}

impl Rounds {
    /// Something has changed the object after those that were asked so far.
    pub fn changed(&mut self) {
        self.again.extend(self.asked.drain(..));
    }

    /// The one at `place` has been asked, and wishes to be asked again.
    pub fn asked(&mut self, place: usize) {
        self.asked.push(place);
    }

    /// The places of those to be asked again.
    pub fn again(self) -> BTreeSet<usize> {
        self.again
    }
}
