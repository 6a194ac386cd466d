//! Several CPUs in one trace: each has its own steps, and what is said of the parking room is what
//! its assembly does.

use super::super::edge::{OFF, ON, SEATED};
use super::*;
use crate::entrance::{Entrance, Locks, ROOT_LOCK};
use blockmap::{Root, Scope};

const TERMS: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };

fn member(cpu: u32) -> Member {
    let (midr, tlbi) = (Midr::new(0x410f_d811), TlbiForm::ByAddress);
    Member { cpu, midr, size_change: SizeChange::NeedsBreak, tlbi }
}

#[test]
fn every_edge_is_kept() {
    for edge in [
        Edge::Present(member(0)),
        Edge::Calls(member(63)),
        Edge::Came,
        Edge::Runs(3),
        Edge::Leaves,
        Edge::Left(3),
        Edge::Asks(u64::MAX),
        Edge::Enters(1),
        Edge::AllIn { generation: 1, cpus: 3 },
        Edge::Opens(7),
        Edge::Returns(7),
        Edge::Takes(1 << ROOT_LOCK | 5),
        Edge::LetsGo(1 << ROOT_LOCK | 5),
        Edge::StepsOut,
        Edge::StepsIn,
        Edge::Tells(7),
        Edge::IsTold(1 << 40),
    ] {
        let record = Record::Edge(edge);
        assert_eq!(Record::of_words(record.words()), Some(record));
    }
    assert_eq!(Record::of_words([0xff0f, 0, 0, 0]), None, "an edge that doesn't exist");
    assert_eq!(Record::of_words([0x000f, 0, 0, 3]), None, "a CPU of no kind");
}

std::thread_local! {
    /// Which CPU adds.
    static OWN: core::cell::Cell<u32> = const { core::cell::Cell::new(0) };
}

/// The lines of what the next test records.
const SEVERAL: &str = "\
profile 0 size=quiet ranges=yes
profile 2 size=needs-break ranges=no

cpu 0:
# CPU 2 may use the tables: Cortex-A720 r0p1
signal come2
wait runs2 1
# intend 0xffff000000000000+0x1000 output 0x1000 r-- type 0
# sizes change with all others parked
signal ask1
wait in1 1
intend 0xffff000000000000+0x1000 output 0x1000 r-- type 0 idle
achieved
signal go1
# the operation goes on
intend 0xffff000000000000+0x1000 output 0x1000 r-- type 0
achieved
wait left2 1

cpu 1:
# it never uses the tables
context other

cpu 2:
context other
context reserved
isb
tlbi vmalle1
dsb nsh
isb
wait come2 1
context live
isb
isb
tlbi vmalle1
dsb nsh
isb
signal runs2
wait ask1 1
context reserved
isb
tlbi vmalle1
dsb nsh
isb
signal in1
wait go1 1
context live
isb
context reserved
isb
tlbi vmalle1
dsb nsh
isb
signal left2
";

#[test]
fn each_cpu_has_its_own_steps_and_what_it_waits_for() {
    let slots: [Slot; 64] = dirty();
    let recording = Recording::begun(&slots).of_several(|| OWN.get());
    let add = |cpu, record| {
        OWN.set(cpu);
        recording.add(record);
    };
    let edge = |cpu, edge| add(cpu, Record::Edge(edge));
    let intent = |meanwhile| {
        let range = VirtRange::new(VirtAddr::new(LINEAR), 0x1000).unwrap();
        let rights = Rights { reads: true, writes: false, executes: false };
        let none = Rights { reads: false, ..rights };
        let rights = RightsPair { privileged: rights, unprivileged: none };
        let target = Target::Mapped { output: PhysAddr::new(0x1000), rights, memory: 0 };
        Record::Intend(Intent { range, target, meanwhile })
    };
    edge(0, Edge::Calls(member(2)));
    edge(2, Edge::Came);
    edge(0, Edge::Runs(2));
    add(0, intent(Meanwhile::Accessible));
    add(0, Record::Aside);
    edge(0, Edge::Asks(1));
    edge(2, Edge::Enters(1));
    edge(0, Edge::AllIn { generation: 1, cpus: 1 });
    add(0, intent(Meanwhile::Idle));
    add(0, Record::Achieved);
    edge(0, Edge::Opens(1));
    edge(2, Edge::Returns(1));
    add(0, Record::Back);
    add(0, Record::Achieved);
    edge(2, Edge::Leaves);
    edge(0, Edge::Left(2));
    let text = text(&recording);
    let (_, lines) = text.split_once("\ncpus 3\n").unwrap();
    assert_eq!(lines, SEVERAL);
}

/// What the assembly between two texts does to walks and TLBs of the upper half, as a trace says
/// it. The kernel's root is in `x11`.
fn assembled(from: &str, to: &str) -> String {
    let source = include_str!("../../arch/parking.S");
    let (_, rest) = source.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    let (body, _) = rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}"));
    let step = |line: &str| {
        let words = line.split_whitespace().filter(|word| !word.ends_with(':'));
        let words: Vec<&str> = words.collect();
        match words[..] {
            ["msr", "ttbr1_el1,", "x11"] => Some("context live".to_string()),
            ["msr", "ttbr1_el1,", "x2"] => Some("context reserved".to_string()),
            ["msr", "ttbr1_el1,", other] => panic!("what root is in {other}?"),
            ["isb"] | ["tlbi" | "dsb", ..] => Some(words.join(" ")),
            _ => None,
        }
    };
    body.lines().filter_map(step).collect::<Vec<String>>().join("\n")
}

#[test]
fn what_is_said_of_the_parking_room_is_what_its_assembly_does() {
    assert_eq!(assembled("\npark_here:\n", "add     x12, x0, #TICKET"), OFF);
    assert_eq!(assembled("cmp     x13, x3", "    ret\n"), ON);
    assert_eq!(assembled("\nexchange_here:\n", "1:  ldp     x12, x13, [x1], #16"), OFF);
    assert_eq!(assembled("str     x13, [x0, x12]", "    ret\n"), format!("dsb ishst\n{ON}"));
    assert_eq!(assembled("\nleave_here:\n", "mov     x11, #STAGE_LEFT"), OFF);
    assert_eq!(assembled("cbnz    x17, 2f", "mov     x17, #STAGE_FAULTED"), OFF);
    assert_eq!(assembled("cmp     x11, #ORDER_COME", "br      x16"), ON);
    assert_eq!(assembled("\nsecondary_at_link_address:\n", "b       secondary_main"), SEATED);
}

/// The steps of two CPUs that take turns at a lock, and of which one uses a table of the other's.
const TURNS: &str = "
cpu 0:
# CPU 1 may use the tables: Cortex-A720 r0p1
signal come1
lock slot3 0
lock root 0
free 0x5000
signal freed5000
unlock slot3
unlock root
lock slot3 2

cpu 1:
context other
context reserved
isb
tlbi vmalle1
dsb nsh
isb
wait come1 1
context live
isb
isb
tlbi vmalle1
dsb nsh
isb
signal runs1
lock slot3 1
# table taken 0x5000
wait freed5000 1
unlock slot3
";

#[test]
fn a_lock_says_how_often_it_was_let_go_of_before() {
    let slots: [Slot; 16] = dirty();
    let recording = Recording::begun(&slots).of_several(|| OWN.get());
    let by = |cpu, record| {
        OWN.set(cpu);
        recording.add(record);
    };
    let scope = |root| Locks::of(Scope { first_slot: 3, last_slot: 3, root }, None);
    let locks = |root| Entrance::new(TERMS).try_enter(scope(root)).unwrap().locks();
    let (slot, both) = (locks(Root::Untouched), locks(Root::Changes));
    by(0, Record::Edge(Edge::Calls(member(1))));
    by(1, Record::Edge(Edge::Came));
    by(0, Record::Edge(Edge::Takes(both)));
    by(0, Record::Freed(PhysAddr::new(0x5000)));
    by(0, Record::Edge(Edge::LetsGo(both)));
    by(1, Record::Edge(Edge::Takes(slot)));
    by(1, Record::Taken(PhysAddr::new(0x5000)));
    by(1, Record::Edge(Edge::LetsGo(slot)));
    by(0, Record::Edge(Edge::Takes(slot)));
    let text = text(&recording);
    let (_, steps) = text.split_once("ranges=no\n").unwrap();
    assert_eq!(steps, TURNS);
}
