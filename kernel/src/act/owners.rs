//! `secret`: memory that somebody owns.

use blockmap_kernel::monitor::Secret;

use super::{Monitor, say};
use crate::console::println;
use crate::owners::secret::{self, Sizes};

impl Monitor<'_> {
    pub(super) fn secret(&self, what: Secret) {
        match what {
            Secret::Take(count, order) => {
                let sizes = order.map_or(Sizes::Largest(count), |order| Sizes::Equal(count, order));
                match self.counted(|| secret::take(self.system, sizes)) {
                    Ok(secret) => say_secret(secret),
                    Err(error) => println!("refused: {error}"),
                }
            }
            Secret::Free(number) => say(self.counted(|| secret::free(self.system, number))),
            Secret::List => secret::list().for_each(say_secret),
        }
    }
}

/// A line for a secret, and one for each of its pieces.
fn say_secret(secret: secret::Secret) {
    let secret::Secret { number, view, pieces } = secret;
    match view {
        Some(view) => println!("secret {number}: {pieces} pieces, seen by its owner at {view}"),
        None => println!("secret {number}: empty"),
    }
    secret::pieces(number).for_each(|piece| println!("  gone from {piece}"));
}
