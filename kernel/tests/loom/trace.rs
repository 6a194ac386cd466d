//! The trace: what several CPUs add at once is each whole, in each CPU's order, and without a gap.

use blockmap::machine::PhysAddr;
use blockmap_kernel::trace::{Record, Recording, Slot};
use loom::sync::Arc;

use super::{every_order, on_another_cpu, overtaken};

const fn record(number: u64) -> Record {
    Record::Taken(PhysAddr::new(number << 12))
}

/// A recording with room for `ROOM` records. Its slots live as long as the program: what they are
/// made of is loom's, which knows nothing of a run's end.
fn recording<const ROOM: usize>() -> Arc<Recording<'static>> {
    let slots: Box<[Slot]> = (0..ROOM).map(|_| Slot::default()).collect();
    Arc::new(Recording::begun(Box::leak(slots)))
}

fn recorded(recording: &Recording<'_>) -> Vec<Record> {
    recording.records().collect()
}

#[test]
fn what_two_cpus_add_is_kept_in_the_order_of_each() {
    every_order(|| {
        let recording = recording::<3>();
        let cpu = on_another_cpu(&recording, |recording| {
            recording.add(record(1));
            recording.add(record(2));
        });
        recording.add(record(3));
        cpu.join().unwrap();
        let all = recorded(&recording);
        let place = |number| all.iter().position(|one| *one == record(number)).unwrap();
        assert_eq!(all.len(), 3);
        assert!(place(1) < place(2) && place(3) < 3);
        assert_eq!(recording.dropped(), 0);
    });
}

#[test]
fn whoever_reads_meanwhile_finds_whole_records_from_the_first_on() {
    every_order(|| {
        let recording = recording::<2>();
        let cpu = on_another_cpu(&recording, |recording| {
            recording.add(record(1));
            recording.add(record(2));
        });
        let found = recorded(&recording);
        assert!([record(1), record(2)].starts_with(&found), "{found:?}");
        cpu.join().unwrap();
        assert_eq!(recorded(&recording), [record(1), record(2)]);
    });
}

#[test]
fn what_finds_no_room_is_counted_whoever_adds_it() {
    overtaken(3, || {
        let recording = recording::<1>();
        let cpus =
            [1, 2].map(|number| on_another_cpu(&recording, move |all| all.add(record(number))));
        recording.add(record(3));
        for cpu in cpus {
            cpu.join().unwrap();
        }
        assert_eq!((recorded(&recording).len(), recording.dropped()), (1, 2));
    });
}
