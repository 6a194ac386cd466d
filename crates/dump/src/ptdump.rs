//! The text of Linux's `/sys/kernel/debug/kernel_page_tables`, byte for byte.

use core::fmt;

use blockmap_vmsa::{
    Geometry, Level, Mair,
    machine::{PhysAddr, VirtAddr, VirtRange},
};

use crate::{ReadTable, Skipped, Tree, What, column::Shown, level_name, size::Size};

/// A line `---[ name ]---` between the areas of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker<'a> {
    /// Where the area starts or, for a marker that says so, has ended.
    pub start: VirtAddr,
    /// What is written.
    pub name: &'a str,
}

/// What a dump needs to know besides the tables.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// `MAIR_ELx`, from which memory types get their names.
    pub mair: Mair,
    /// The areas, in ascending order of their starts.
    pub markers: &'a [Marker<'a>],
}

/// Whether a dump's lines tell where their leaves lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Outputs {
    /// They don't, as Linux's don't: a line goes on wherever its leaves lead.
    #[default]
    Hidden,
    /// They do, after the input addresses: a line goes on as long as outputs follow each other.
    Shown,
}

/// What is equal for all entries of a line.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Gap,
    Leaves(Shown),
    Reserved(u64),
}

/// The line that is being put together.
#[derive(Clone, Copy)]
struct Line {
    start: VirtAddr,
    bytes: u64,
    level: Level,
    shape: Shape,
    /// Where the first entry leads, if that is shown.
    output: Option<PhysAddr>,
}

impl Line {
    /// Whether the line goes on with entries of `level` that say `shape` and lead to `output`.
    fn goes_on(&self, level: Level, shape: Shape, output: Option<PhysAddr>) -> bool {
        let next = self.output.map(|output| output.wrapping_add(self.bytes));
        self.level == level && self.shape == shape && next == output
    }
}

/// Writes the lines of one dump.
struct Writer<'a, 'o> {
    geometry: Geometry,
    mair: Mair,
    outputs: Outputs,
    /// Those not written yet.
    markers: &'a [Marker<'a>],
    line: Option<Line>,
    out: &'o mut dyn fmt::Write,
}

impl<R: ReadTable> Tree<'_, R> {
    /// Writes the tree as Linux's `kernel_page_tables` has it: one line for each stretch of
    /// entries at one level with the same attributes, wherever they lead, and lines that name the
    /// areas. A line ends where an area begins; an area that begins inside an entry is named after
    /// it. Present-but-invalid leaves show `F`. Memory types that Linux has no word for are
    /// written as their byte of MAIR.
    ///
    /// Linux has no words either for entries with a reserved encoding, and never meets tables that
    /// cannot be read: their lines say so in place of the attributes.
    ///
    /// # Errors
    /// Those of `out`; what was written by then stays.
    pub fn ptdump(&self, style: Style<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        self.ptdump_with(style, Outputs::Hidden, out)
    }

    /// Writes the tree as [`Tree::ptdump`] does, with or without output addresses.
    ///
    /// # Errors
    /// Those of `out`; what was written by then stays.
    pub fn ptdump_with(
        &self,
        style: Style<'_>,
        outputs: Outputs,
        out: &mut dyn fmt::Write,
    ) -> fmt::Result {
        let (lowest, _) = self.geometry.inputs();
        let first = self.within.map_or(lowest, VirtRange::start);
        let before = style.markers.partition_point(|marker| marker.start < first);
        let mut writer = Writer {
            geometry: self.geometry,
            mair: style.mair,
            outputs,
            markers: style.markers.get(before..).unwrap_or_default(),
            line: None,
            out,
        };
        for run in self.runs() {
            let shape = match &run.what {
                What::Gap => Shape::Gap,
                What::Reserved(word) => Shape::Reserved(*word),
                What::Leaves(mapped) => {
                    Shape::Leaves(Shown::of(self.geometry, run.level, mapped.meaning))
                }
                What::Skipped(skipped) => {
                    writer.skipped(run.range, run.level, skipped)?;
                    continue;
                }
            };
            let output = match outputs {
                Outputs::Hidden => None,
                Outputs::Shown => run.mapped().map(|mapped| mapped.output),
            };
            writer.add((run.range, run.level), shape, output)?;
        }
        writer.finish_line()
    }
}

impl Writer<'_, '_> {
    /// Adds entries: to the line at hand if they say the same, and piece by piece if markers come
    /// between.
    fn add(
        &mut self,
        (range, level): (VirtRange, Level),
        shape: Shape,
        mut output: Option<PhysAddr>,
    ) -> fmt::Result {
        let (mut start, mut left) = (range.start(), range.bytes());
        while left > 0 {
            self.name_areas(start)?;
            let bytes = self.until_marker(start, level).map_or(left, |most| most.min(left));
            match &mut self.line {
                Some(line) if line.goes_on(level, shape, output) => line.bytes += bytes,
                Some(_) | None => {
                    self.finish_line()?;
                    self.line = Some(Line { start, bytes, level, shape, output });
                }
            }
            left -= bytes;
            start = start.wrapping_add(bytes);
            output = output.map(|output| output.wrapping_add(bytes));
        }
        Ok(())
    }

    /// Writes the line of what could not be read.
    fn skipped<E: fmt::Display>(
        &mut self,
        range: VirtRange,
        level: Level,
        skipped: &Skipped<E>,
    ) -> fmt::Result {
        self.name_areas(range.start())?;
        self.finish_line()?;
        self.range((range.start(), range.bytes()), level, None)?;
        let Skipped { table, refusal } = skipped;
        writeln!(self.out, " SKIPPED table {table}: {refusal}")
    }

    /// Ends the line at hand where areas begin at or below `start`, and names them.
    fn name_areas(&mut self, start: VirtAddr) -> fmt::Result {
        while let Some((marker, later)) = self.markers.split_first()
            && marker.start <= start
        {
            self.finish_line()?;
            writeln!(self.out, "---[ {} ]---", marker.name)?;
            self.markers = later;
        }
        Ok(())
    }

    /// Bytes from `start` to the first entry of `level` that does not begin below the next marker.
    fn until_marker(&self, start: VirtAddr, level: Level) -> Option<u64> {
        let marker = self.markers.first()?;
        let entry = marker.start.align_up(self.geometry.span_bytes(level))?;
        entry.offset_from(start)
    }

    /// Writes the line at hand, if there is one.
    fn finish_line(&mut self) -> fmt::Result {
        let Some(line) = self.line.take() else {
            return Ok(());
        };
        self.range((line.start, line.bytes), line.level, line.output)?;
        match line.shape {
            Shape::Gap => {}
            Shape::Leaves(shown) => shown.write(self.geometry, self.mair, self.out)?,
            Shape::Reserved(word) => write!(self.out, " RESERVED {word:#018x}")?,
        }
        self.out.write_char('\n')
    }

    /// Writes what every line starts with: addresses, size in the largest unit that divides it,
    /// and the level's name. The end of the address space is written as zero.
    fn range(
        &mut self,
        (start, bytes): (VirtAddr, u64),
        level: Level,
        output: Option<PhysAddr>,
    ) -> fmt::Result {
        let Size { number, unit } = Size::of(bytes);
        let end = start.wrapping_add(bytes);
        write!(self.out, "{:#018x}-{:#018x}", start.value(), end.value())?;
        match (self.outputs, output) {
            (Outputs::Hidden, _) => {}
            (Outputs::Shown, Some(output)) => write!(self.out, " {:#018x}", output.value())?,
            (Outputs::Shown, None) => write!(self.out, " {:18}", "")?,
        }
        write!(self.out, "   {number:9}{unit} {}", level_name(self.geometry, level))
    }
}
