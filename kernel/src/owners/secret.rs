//! Secret memory: nobody but its owner can reach it, not even the kernel by mistake.
//!
//! The linear map does not show it: its leaves there are invalid. Its owner sees it at addresses of
//! its own. It comes in pieces, each in one piece of memory and carved as a whole, so that a block
//! stays a block.
//!
//! What it held is overwritten with zeroes before anybody else gets the memory.

use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::machine::{PhysRange, VirtRange};
use blockmap::vmsa::Change;
use blockmap::{CarveError, Grain, MapError, PartError, UnmapError};
use blockmap_kernel::areas::AreaError;
use blockmap_kernel::frames::{FRAME_BYTES, MAX_ORDER, Purpose};
use blockmap_kernel::shelf::Shelf;
use thiserror::Error;

use crate::lock::Lock;
use crate::memory::{Owned, System, View};

/// Pieces of all secrets together.
const MOST_PIECES: usize = 512;
/// Secrets at a time.
const MOST_SECRETS: usize = 32;

/// Why there is no new secret. Nothing of what it would have been is left.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum SecretError {
    /// There are no addresses.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// There is not enough free memory in pieces of that size.
    #[error("{0:#x} bytes of memory in one piece are not free")]
    NoMemory(u64),
    /// More than the frame allocator has in one piece.
    #[error("pieces of 2^{0} pages are too large: 2^{MAX_ORDER} pages are the most")]
    Order(u32),
    /// There is no place to remember more.
    #[error("{MOST_SECRETS} secrets of {MOST_PIECES} pieces are the most: free one first")]
    TooMany,
    /// A piece can't be carved.
    #[error(transparent)]
    Carve(#[from] CarveError),
    /// A piece can't be made invalid.
    #[error(transparent)]
    Part(#[from] PartError),
    /// A piece can't be shown to the owner.
    #[error(transparent)]
    Map(#[from] MapError),
    /// What had been made of it can't be undone, and is left as a secret.
    #[error(transparent)]
    Unmap(#[from] UnmapError),
}

/// Why a secret was not freed. It is there as it was.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum FreeError {
    /// There is none of this number.
    #[error("there is no secret {0}; secret list has all")]
    None(u32),
    /// Its owner's view of it can't be closed.
    #[error(transparent)]
    Unmap(#[from] UnmapError),
}

/// A piece of a secret.
#[derive(Debug)]
struct Piece {
    memory: PhysRange,
    owned: Owned,
}

/// All secrets: the views of their owners, and the pieces that each is made of.
#[derive(Debug)]
struct Secrets {
    views: Shelf<View, MOST_SECRETS>,
    pieces: Shelf<Piece, MOST_PIECES>,
}

static SECRETS: Lock<Secrets> = Lock::new(Secrets { views: Shelf::new(), pieces: Shelf::new() });
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A secret: its number, where its owner sees it, and in how many pieces it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret {
    pub(crate) number: u32,
    pub(crate) view: Option<VirtRange>,
    pub(crate) pieces: usize,
}

/// Sizes of the pieces that a secret is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    /// As large as free memory allows, so many pages in all.
    Largest(u64),
    /// So many pieces, each of 2 to this many pages.
    Equal(u64, u32),
}

impl Sizes {
    fn bytes(self) -> u64 {
        let pages = match self {
            Self::Largest(pages) => pages,
            Self::Equal(pieces, order) => pieces.saturating_mul(1 << order.min(MAX_ORDER)),
        };
        pages.saturating_mul(FRAME_BYTES)
    }

    /// Log2 of the least and of the most pages that the next piece may have, when so many bytes are
    /// left.
    const fn orders(self, left: u64) -> (u32, u32) {
        match self {
            Self::Largest(_) => {
                let fits = (left / FRAME_BYTES).ilog2();
                (0, if fits < MAX_ORDER { fits } else { MAX_ORDER })
            }
            Self::Equal(_, order) => (order, order),
        }
    }
}

/// Takes free memory out of the linear map for one owner.
///
/// # Errors
/// See [`SecretError`].
pub(crate) fn take(system: &'static System<'static>, sizes: Sizes) -> Result<Secret, SecretError> {
    if let Sizes::Equal(_, order) = sizes
        && order > MAX_ORDER
    {
        return Err(SecretError::Order(order));
    }
    let mut left = sizes.bytes();
    let view = system.open_view(left)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let kept = SECRETS.lock().views.put(number, view);
    if let Err(view) = kept {
        system.close_view(view)?;
        return Err(SecretError::TooMany);
    }
    while left > 0 {
        match add_piece(system, number, (sizes, left)) {
            Ok(memory) => left -= memory.bytes(),
            Err(error) => {
                free(system, number).map_err(|failed| match failed {
                    FreeError::Unmap(failed) => SecretError::Unmap(failed),
                    FreeError::None(_) => error,
                })?;
                return Err(error);
            }
        }
    }
    // Whoever knows the number may have freed it by now.
    let gone = Secret { number, view: None, pieces: 0 };
    Ok(list().find(|secret| secret.number == number).unwrap_or(gone))
}

/// Zeroes a secret, and gives its memory back: the linear map shows it as before.
///
/// # Errors
/// See [`FreeError`].
pub(crate) fn free(system: &'static System<'static>, number: u32) -> Result<(), FreeError> {
    let view = SECRETS.lock().views.take(number).ok_or(FreeError::None(number))?;
    if let Err(error) = system.close_view(view) {
        // INVARIANT: there is the place that it was taken from.
        let _kept = SECRETS.lock().views.put(number, view);
        return Err(error.into());
    }
    let next = || SECRETS.lock().pieces.take(number);
    core::iter::from_fn(next).for_each(|piece| give_back(system, piece));
    Ok(())
}

/// All secrets.
pub(crate) fn list() -> impl Iterator<Item = Secret> {
    (0..MOST_SECRETS).filter_map(|place| {
        let secrets = SECRETS.lock();
        let (number, view) = secrets.views.iter().nth(place)?;
        let pieces = secrets.pieces.iter().filter(|(one, _)| *one == number).count();
        Some(Secret { number, view: view.shown(), pieces })
    })
}

/// Where the linear map would show the pieces of a secret, one by one.
pub(crate) fn pieces(number: u32) -> impl Iterator<Item = VirtRange> {
    (0..MOST_PIECES).map_while(move |place| {
        let secrets = SECRETS.lock();
        let mut pieces = secrets.pieces.iter().filter(|(one, _)| *one == number);
        pieces.nth(place).map(|(_, piece)| piece.owned.range())
    })
}

/// Takes a piece out of the linear map, and shows it to the owner.
fn add_piece(
    system: &'static System<'static>,
    number: u32,
    (sizes, left): (Sizes, u64),
) -> Result<PhysRange, SecretError> {
    let (smallest, largest) = sizes.orders(left);
    let memory = (smallest..=largest)
        .rev()
        .find_map(|order| system.frame_states().allocate_block(Purpose::Data, order))
        .ok_or(SecretError::NoMemory(FRAME_BYTES << smallest))?;
    let owned = match hide(system, memory) {
        Ok(owned) => owned,
        Err(error) => {
            free_frames(system, memory);
            return Err(error);
        }
    };
    let kept = SECRETS.lock().pieces.put(number, Piece { memory, owned });
    if let Err(piece) = kept {
        give_back(system, piece);
        return Err(SecretError::TooMany);
    }
    let taken = SECRETS.lock().views.take(number);
    let Some(mut view) = taken else { return Ok(memory) };
    let shown = system.show(&mut view, memory);
    // INVARIANT: there is the place that it was taken from.
    let _kept = SECRETS.lock().views.put(number, view);
    shown?;
    Ok(memory)
}

/// Makes the linear map's view of `memory` invalid, all of it at once.
fn hide(system: &'static System<'static>, memory: PhysRange) -> Result<Owned, SecretError> {
    let range = system.linear_range(memory).ok_or(SecretError::NoMemory(memory.bytes()))?;
    let owned = system.carve(range, Grain::Whole)?;
    owned.protect(range, Change::Invalid)?;
    Ok(owned)
}

/// Shows a piece in the linear map again, and frees it, all zeroes.
fn give_back(system: &System<'static>, piece: Piece) {
    let Piece { memory, owned } = piece;
    let range = owned.range();
    owned.restore();
    zero(range);
    free_frames(system, memory);
}

fn free_frames(system: &System<'static>, memory: PhysRange) {
    if let Err(error) = system.frame_states().free_block(Purpose::Data, memory) {
        panic!("a secret's memory can't be freed: {error}");
    }
}

/// Overwrites memory that the linear map shows at `range`, and that is the caller's.
fn zero(range: VirtRange) {
    let address = usize::try_from(range.start().value()).unwrap_or(0);
    let bytes = usize::try_from(range.bytes()).unwrap_or(0);
    // SAFETY: the linear map shows the range again, writable; it is freed after this.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(address).write_bytes(0, bytes) };
}
