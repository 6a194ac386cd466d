//! The handshake by which CPUs leave the tables and return, as words that they share.
//!
//! Every CPU has a [`Ticket`], and there is one [`Gate`]. Who parks the others draws a new
//! [`Generation`], asks each of them with its ticket, and waits until all are parked; opening the
//! gate lets them go. A CPU that is asked takes its ticket by a compare-exchange, leaves the tables,
//! says that it is parked, waits at the gate, returns, and gives the ticket back.
//!
//! A request can be given up: tickets that were not taken are withdrawn, by a compare-exchange as
//! well, so that exactly one of the two sides has it; and the gate is opened, so that who had taken
//! one waits for nobody. So nobody enters late, and nobody waits for ever.
//!
//! On the machine what lies between taking a ticket and giving it back is assembly, because it runs
//! in the identity map; it does what [`Ticket::park`] and [`Gate::is_open`] do.

use crate::sync::{AtomicU64, Ordering};

/// Which of all requests; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generation {
    /// Its number: 1 or more.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// What a ticket of this generation holds when its CPU is parked.
    #[must_use]
    pub const fn parked_word(self) -> u64 {
        self.0 << 2 | PARKED
    }

    const fn word(self, kind: u64) -> u64 {
        self.0 << 2 | kind
    }
}

const IDLE: u64 = 0;
const ASKED: u64 = 1;
const ENTERED: u64 = 2;
const PARKED: u64 = 3;

/// One CPU's part of the handshake.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Ticket(AtomicU64);

impl Ticket {
    /// A ticket that nobody has asked for. (Loom's atomics can't be made at compile time.)
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(IDLE))
    }

    /// Asks the CPU to park, and tells whether that could be asked: it is not still on its way out
    /// after an earlier request.
    #[must_use]
    pub fn ask(&self, generation: Generation) -> bool {
        // What was written before must be seen by who enters.
        self.exchange(IDLE, generation.word(ASKED), Ordering::Release)
    }

    /// Takes back what was asked, unless the CPU has entered; tells whether it was taken back.
    pub fn withdraw(&self, generation: Generation) -> bool {
        self.exchange(generation.word(ASKED), IDLE, Ordering::Relaxed)
    }

    /// On the CPU itself: takes the request, if there is one. From then on it has to park, and
    /// [`Ticket::leave`] at the end.
    pub fn enter(&self) -> Option<Generation> {
        let generation = self.asked()?;
        let (asked, entered) = (generation.word(ASKED), generation.word(ENTERED));
        self.exchange(asked, entered, Ordering::Acquire).then_some(generation)
    }

    /// On the CPU itself: it has left the tables.
    pub fn park(&self, generation: Generation) {
        self.0.store(generation.parked_word(), Ordering::Release);
    }

    /// On the CPU itself: it has returned.
    pub fn leave(&self) {
        self.0.store(IDLE, Ordering::Release);
    }

    /// Whether the CPU is parked. If so, all that it did before is done.
    #[must_use]
    pub fn is_parked(&self, generation: Generation) -> bool {
        self.0.load(Ordering::Acquire) == generation.parked_word()
    }

    /// The request that the CPU has not answered, at this moment.
    #[must_use]
    pub fn asked(&self) -> Option<Generation> {
        let word = self.0.load(Ordering::Relaxed);
        (word & 3 == ASKED).then_some(Generation(word >> 2))
    }

    fn exchange(&self, from: u64, to: u64, success: Ordering) -> bool {
        self.0.compare_exchange(from, to, success, Ordering::Relaxed).is_ok()
    }
}

/// Where parked CPUs wait: it is open for every generation up to the one that it was opened for
/// last.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Gate(AtomicU64);

impl Gate {
    /// A gate that was opened for nobody. (Loom's atomics can't be made at compile time.)
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The generation of a new request. The caller is the only one who parks others.
    #[must_use]
    pub fn next(&self) -> Generation {
        Generation(self.0.load(Ordering::Relaxed) + 1)
    }

    /// Lets go whoever waits in this generation or an earlier one.
    pub fn open(&self, generation: Generation) {
        self.0.store(generation.0, Ordering::Release);
    }

    /// Whether a CPU of this generation may go. If so, all that was done before it was opened is
    /// done.
    #[must_use]
    pub fn is_open(&self, generation: Generation) -> bool {
        self.0.load(Ordering::Acquire) >= generation.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_and_given_back() {
        let (ticket, gate) = (Ticket::default(), Gate::default());
        assert_eq!(ticket.enter(), None);
        let first = gate.next();
        assert!(ticket.ask(first));
        assert_eq!(ticket.enter(), Some(first));
        assert_eq!(ticket.enter(), None);
        assert!(!ticket.is_parked(first));
        ticket.park(first);
        assert!(ticket.is_parked(first) && !gate.is_open(first));
        gate.open(first);
        assert!(gate.is_open(first));
        assert!(!ticket.ask(gate.next()), "it has not returned yet");
        ticket.leave();
        assert!(ticket.ask(gate.next()));
    }

    #[test]
    fn what_was_withdrawn_is_not_entered() {
        let (ticket, gate) = (Ticket::default(), Gate::default());
        let first = gate.next();
        assert!(ticket.ask(first) && ticket.withdraw(first));
        gate.open(first);
        assert_eq!((ticket.enter(), ticket.asked()), (None, None));
        let second = gate.next();
        assert!(second > first && ticket.ask(second));
        assert_eq!(ticket.enter(), Some(second));
        assert!(!ticket.withdraw(second), "it is on its way in");
        assert!(!gate.is_open(second));
    }
}
