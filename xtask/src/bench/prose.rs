//! What docs/performance.md says around its tables.

/// Before the tables.
pub(super) const INTRODUCTION: &str = "\
# Performance

Written by `cargo xtask bench kernel`, on 12 GiB, and one CPU unless a title says more. QEMU counts
instructions: each takes a nanosecond and a cycle. Every row is read from three counters, of cycles, of
instructions that were executed and of time, and is refused unless they agree; two runs must be alike. What
reading takes is subtracted. An instruction here is an instruction, whatever it does: invalidations and
barriers cost far more on silicon, so they are counted by themselves, when the same commands are given
again in the same boot while effects are recorded. The model judges what was recorded, and the command
fails where it finds a rule broken. Linux's figures, of 7.3.4, were counted in the same way.

The linear map is painted once in a boot: a boot that records nothing counts it, another one records its
effects. Walking all of the map with nothing to do is a repaint of pages in pages, which reads every
entry, as Linux's row is a walk of its repaint that finds nothing to split. Areas are in pages where
Linux's are, so that both views of a page are there to be found; their rows are the whole call, with the
vmalloc range's part: finding the area, and keeping others away from it meanwhile. 64 MiB in 16 pieces is
what is had when every other 4 MiB of memory is somebody else's; the first change of it cuts what its
aliases lie in, and the next one finds it cut. What a free costs has the purge in it. A row in pages begins
with pages, and the map in blocks with blocks.

On several CPUs QEMU executes one at a time and counts what all execute: a CPU that waits counts too. So the
rows of CPUs that change rights at once are what the work is in all, and no speed: an instruction more
for a change is a wait or a lock that was taken by another.

What a change of several pieces invalidates is told to TLBs piece by piece up to 128 operations, and
everything at once beyond that. The threshold is where operations by address take as long as losing the TLB
does: a core's second level has one to two thousand entries, a walk to fill one again takes some tens of
cycles when tables are in caches, and an operation that every CPU has to answer takes hundreds.
";

/// After the tables.
pub(super) const MISSED: &str = "
## What stands in the way

- A page of the linear map: of some 700 instructions 200 are the allocator's, which is asked whether the
  page holds a table, and told that it is not free; 135 are terms, locks and readers, three atomic words,
  each taken and given back; 60 ask whether the range may change; and 250 are the checks of context, range
  and leaf, and the command. Linux's figure is a store and an invalidation, with nothing kept from others.
- A page out of a block: of some 4,800 instructions 1,700 fill two tables. Each entry takes an addition and
  each two a store, 768 for a table: fewer would take vector registers, which this kernel leaves alone.
  1,300 are the allocator's, which gives two frames and splits what it knew of 128 MiB down to the page;
  280 are the reserve of tables, and 770 find the cut, build it and link it.
- A range in pages: every entry is compared before the first is stored, so that nothing is changed where
  something is refused, 2.5 instructions; then changed, 3.5, one by one, so that a hypervisor that traps
  the stores knows what they say; of what becomes valid each is looked at again, whether it may be
  executed, 1.5.
- An area: where its aliases are is read from its own entries, as often as there are phases, and once
  more to see that nothing moved before the locks were taken. No list is kept of an area's memory.
- Painting and repainting: the fill of tables, which is a store for two entries, and their allocation.
";
