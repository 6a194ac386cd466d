//! The parking handshake: who is parked uses nothing, nobody enters late, nobody waits for ever.

use blockmap_kernel::parking::{Gate, Generation, Ticket};
use blockmap_kernel::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread::yield_now;

use super::{every_order, on_another_cpu, overtaken};

const OLD: u64 = 0;
const NEW: u64 = 1;

/// A CPU's ticket, the gate, and what the parking is about.
#[derive(Default)]
struct Room {
    gate: Gate,
    cpu: Cpu,
    other: Cpu,
    /// What is changed while others are parked.
    table: AtomicU64,
}

#[derive(Default)]
struct Cpu {
    ticket: Ticket,
    /// Whether it does not use the tables.
    is_away: AtomicU64,
    /// How often it entered.
    entered: AtomicU64,
}

impl Room {
    fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// What a CPU does when it is interrupted, and what its code in the identity map does.
    fn answer(&self, cpu: &Cpu) {
        if let Some(generation) = cpu.ticket.enter() {
            cpu.entered.fetch_add(1, Ordering::Relaxed);
            cpu.is_away.store(1, Ordering::Relaxed);
            cpu.ticket.park(generation);
            while !self.gate.is_open(generation) {
                yield_now();
            }
            cpu.is_away.store(0, Ordering::Relaxed);
            cpu.ticket.leave();
        }
    }

    /// Looks whether the CPU is parked, so often; then changes the table, or gives up.
    fn change(&self, cpu: &Cpu, generation: Generation, looks: u32) -> bool {
        let is_parked = (0..looks).any(|_| {
            yield_now();
            cpu.ticket.is_parked(generation)
        });
        if is_parked {
            assert_eq!(cpu.is_away.load(Ordering::Relaxed), 1, "it still uses the tables");
            self.table.store(NEW, Ordering::Relaxed);
            assert_eq!(cpu.is_away.load(Ordering::Relaxed), 1, "it uses the tables again");
        } else {
            cpu.ticket.withdraw(generation);
        }
        self.gate.open(generation);
        is_parked
    }
}

#[test]
fn a_parked_cpu_uses_nothing_and_sees_the_change_when_it_returns() {
    every_order(|| {
        let room = Room::new();
        let generation = room.gate.next();
        assert!(room.cpu.ticket.ask(generation));
        let cpu = on_another_cpu(&room, |room| {
            room.answer(&room.cpu);
            room.table.load(Ordering::Relaxed)
        });
        let changed = room.change(&room.cpu, generation, 2);
        let seen = cpu.join().unwrap();
        let entered = room.cpu.entered.load(Ordering::Relaxed);
        assert!(!changed || (entered, seen) == (1, NEW), "it came back to the old table");
        assert!(changed || seen == OLD);
    });
}

#[test]
fn a_request_is_either_taken_or_taken_back() {
    every_order(|| {
        let room = Room::new();
        let generation = room.gate.next();
        assert!(room.cpu.ticket.ask(generation));
        let cpu = on_another_cpu(&room, |room| room.cpu.ticket.enter().is_some());
        let taken_back = room.cpu.ticket.withdraw(generation);
        assert_ne!(cpu.join().unwrap(), taken_back);
        assert!(!taken_back || room.cpu.ticket.enter().is_none(), "it entered late");
    });
}

#[test]
fn the_next_request_waits_for_who_is_still_on_the_way_out() {
    overtaken(3, || {
        let room = Room::new();
        let first = room.gate.next();
        assert!(room.cpu.ticket.ask(first));
        let cpu = on_another_cpu(&room, |room| {
            room.answer(&room.cpu);
            room.answer(&room.cpu);
        });
        room.change(&room.cpu, first, 1);
        let second = room.gate.next();
        while !room.cpu.ticket.ask(second) {
            yield_now();
        }
        room.change(&room.cpu, second, 1);
        cpu.join().unwrap();
    });
}

#[test]
fn one_that_does_not_come_keeps_nobody_else_waiting() {
    overtaken(3, || {
        let room = Room::new();
        let generation = room.gate.next();
        assert!(room.cpu.ticket.ask(generation) && room.other.ticket.ask(generation));
        let cpu = on_another_cpu(&room, |room| room.answer(&room.cpu));
        // The other never answers.
        assert!(room.other.ticket.withdraw(generation));
        room.cpu.ticket.withdraw(generation);
        room.gate.open(generation);
        cpu.join().unwrap();
        assert!(room.other.ticket.enter().is_none());
    });
}
