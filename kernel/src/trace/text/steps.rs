//! The steps of one CPU.

use core::fmt;

use blockmap::machine::{Event, PhysAddr};

use super::super::edge::{Edge, OFF, ON, SEATED};
use super::super::{Held, Record, Recording};
use super::turns::{LettingGo, Turns};

/// The lines of one CPU.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    recording: &'a Recording<'a>,
    cpu: u16,
    /// The number of the first record that is no heading.
    first: usize,
    /// Whether other CPUs use the tables too.
    among: Among,
}

/// Who uses the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// One CPU: nothing of another's orders what it does.
    Alone,
    /// Several.
    Others,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It goes on without others being parked.
    Stands,
    /// It parks the others first, and goes on afterwards.
    Parks,
    /// It is refused.
    Refused,
}

/// How far the CPU is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The first intent of the operation.
    begun: Option<usize>,
    /// Whether what is intended is the parking's own.
    is_aside: bool,
    /// How often the CPU came to the tables.
    came: u32,
    /// How often each lock was let go of before the record with this number.
    turns: Turns,
}

impl<'a> Steps<'a> {
    pub(super) const fn new(
        recording: &'a Recording<'a>,
        (cpu, among): (u16, Among),
        first: usize,
    ) -> Self {
        Self { recording, cpu, first, among }
    }

    /// This CPU's records from that number on.
    fn records(&self, number: usize) -> impl Iterator<Item = (usize, Record)> {
        let all = (number..).zip(self.recording.records_from(number));
        all.filter(|(_, (by, _))| *by == self.cpu).map(|(number, (_, record))| (number, record))
    }

    /// One record, without the end of its last line.
    fn record(
        &self,
        f: &mut fmt::Formatter<'_>,
        (number, record): (usize, Record),
        progress: &mut Progress,
    ) -> fmt::Result {
        match record {
            Record::Event(event) => write!(f, "{event}"),
            Record::Taken(table) => self.taken(f, number, table),
            Record::Freed(table) => self.freed(f, table),
            Record::Held(Held { span, value, step }) => {
                write!(f, "# held {}", Event::Fill { span, value, step })
            }
            Record::Intend(intent) if progress.is_aside => write!(f, "{intent}"),
            Record::Intend(intent) => {
                progress.begun.get_or_insert(number);
                match self.fate(number) {
                    Fate::Stands => write!(f, "{intent}"),
                    Fate::Parks | Fate::Refused => write!(f, "# {intent}"),
                }
            }
            Record::Achieved => {
                progress.end();
                write!(f, "achieved")
            }
            Record::Refused => {
                progress.end();
                write!(f, "# refused")
            }
            Record::Aside => {
                progress.is_aside = true;
                write!(f, "# sizes change with all others parked")
            }
            Record::Back => {
                progress.is_aside = false;
                write!(f, "# the operation goes on")?;
                self.intents_again(f, number, progress)
            }
            Record::Code(range) => write!(f, "code {range}"),
            Record::Edge(edge) => self.edge(f, (number, edge), progress),
            Record::Note(piece) => write!(f, "# {piece}"),
            Record::More(piece) => write!(f, "{piece}"),
        }
    }

    /// What an operation intends that has parked others, from here on.
    fn intents_again(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: usize,
        progress: &Progress,
    ) -> fmt::Result {
        let Some(begun) = progress.begun.filter(|_| self.fate(number) == Fate::Stands) else {
            return Ok(());
        };
        let mut is_aside = false;
        for (_, record) in self.records(begun).take_while(|(at, _)| *at < number) {
            if let Record::Intend(intent) = record
                && !is_aside
            {
                write!(f, "\n{intent}")?;
            }
            is_aside = is_aside_after(is_aside, record);
        }
        Ok(())
    }

    /// What becomes, from the record of this number on, of the operation that it belongs to.
    fn fate(&self, number: usize) -> Fate {
        let (mut is_aside, mut fate) = (false, Fate::Stands);
        for (_, record) in self.records(number) {
            is_aside = is_aside_after(is_aside, record);
            if is_aside {
                fate = Fate::Parks;
            } else if record == Record::Achieved {
                return fate;
            } else if record == Record::Refused {
                return Fate::Refused;
            }
        }
        fate
    }

    /// What the others can see of an edge, or this CPU of theirs.
    fn edge(
        &self,
        f: &mut fmt::Formatter<'_>,
        (number, edge): (usize, Edge),
        progress: &mut Progress,
    ) -> fmt::Result {
        let own = self.cpu;
        match edge {
            Edge::Present(member) => {
                write!(f, "# CPU {} uses the tables: {}", member.cpu, member.midr)
            }
            Edge::Calls(member) => {
                writeln!(f, "# CPU {} may use the tables: {}", member.cpu, member.midr)?;
                write!(f, "signal come{}", member.cpu)
            }
            Edge::Came => {
                progress.came += 1;
                let count = progress.came;
                write!(f, "context other\n{OFF}\nwait come{own} {count}\n{ON}\n{SEATED}\n")?;
                write!(f, "signal runs{own}")
            }
            Edge::Runs(cpu) => write!(f, "wait runs{cpu} {}", self.times(number, edge)),
            Edge::Leaves => write!(f, "{OFF}\nsignal left{own}"),
            Edge::Left(cpu) => write!(f, "wait left{cpu} {}", self.times(number, edge)),
            Edge::Asks(generation) => write!(f, "signal ask{generation}"),
            Edge::Enters(generation) => {
                write!(f, "wait ask{generation} 1\n{OFF}\nsignal in{generation}")
            }
            Edge::AllIn { generation, cpus } => write!(f, "wait in{generation} {cpus}"),
            Edge::Opens(generation) => write!(f, "signal go{generation}"),
            Edge::Returns(generation) => write!(f, "wait go{generation} 1\n{ON}"),
            Edge::Tells(number) => write!(f, "signal told{number}"),
            Edge::IsTold(number) => write!(f, "wait told{number} 1"),
            Edge::Takes(locks) if self.among == Among::Others => {
                progress.turns.count(self.recording, number);
                write!(f, "{}", progress.turns.taking(locks))
            }
            Edge::LetsGo(locks) if self.among == Among::Others => {
                write!(f, "{}", LettingGo(locks))
            }
            Edge::Takes(_) => write!(f, "# takes the slots' locks"),
            Edge::LetsGo(_) => write!(f, "# lets go of the slots' locks"),
            Edge::StepsOut => f.write_str(OFF),
            Edge::StepsIn => f.write_str(ON),
        }
    }

    /// A frame that becomes a table may have been one before, of whoever freed it then.
    fn taken(&self, f: &mut fmt::Formatter<'_>, number: usize, table: PhysAddr) -> fmt::Result {
        write!(f, "# table taken {table}")?;
        if self.among == Among::Alone {
            return Ok(());
        }
        let before = self.recording.records().take(number);
        match before.filter(|record| *record == Record::Freed(table)).count() {
            0 => Ok(()),
            times => write!(f, "\nwait freed{:x} {times}", table.value()),
        }
    }

    fn freed(&self, f: &mut fmt::Formatter<'_>, table: PhysAddr) -> fmt::Result {
        write!(f, "free {table}")?;
        match self.among {
            Among::Alone => Ok(()),
            Among::Others => write!(f, "\nsignal freed{:x}", table.value()),
        }
    }

    /// How many of this CPU's records up to that number are this edge.
    fn times(&self, number: usize, edge: Edge) -> usize {
        let until = self.records(self.first).take_while(|(at, _)| *at <= number);
        until.filter(|(_, record)| *record == Record::Edge(edge)).count()
    }
}

/// Whether what follows a record belongs to a parking.
const fn is_aside_after(before: bool, record: Record) -> bool {
    match record {
        Record::Aside => true,
        Record::Back => false,
        Record::Event(_)
        | Record::Taken(_)
        | Record::Freed(_)
        | Record::Held(_)
        | Record::Intend(_)
        | Record::Achieved
        | Record::Refused
        | Record::Code(_)
        | Record::Edge(_)
        | Record::Note(_)
        | Record::More(_) => before,
    }
}

impl Progress {
    /// What was intended is over: the operation, unless it was the parking's own.
    fn end(&mut self) {
        if !self.is_aside {
            self.begun = None;
        }
    }
}

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut progress = Progress::default();
        let mut records = self.records(self.first).peekable();
        while let Some(record) = records.next() {
            self.record(f, record, &mut progress)?;
            if !matches!(records.peek(), Some((_, Record::More(_)))) {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
