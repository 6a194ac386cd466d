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
## Where the instructions go

Two of the rows that kernels will use most, by what an instruction is for, rounded.

| a page of the linear map, already a page, invalid | |
|---|---|
| the frame allocator takes the page, if it is free, from what it may hand out, and tells whether it is a table | 130 |
| may the kernel change it: who asks, with which locks, is it the image, a table, the zone | 75 |
| the lock of its slot, a reader's place in the tables, the terms in force: one atomic word, taken and given back | 75 |
| the walk, and what the leaf is | 60 |
| does the leaf allow the change: mapped, nobody's carve, of the ASIDs in force | 40 |
| the store, the invalidation, the barriers, and whether each is to be recorded | 45 |
| entry and exit of the call and of what it is made of | 60 |

| a page of an area, its alias out of a block of 1 GiB, read-only | |
|---|---|
| two tables of 512 entries: five instructions for eight, and what was in the vector registers kept | 770 |
| building and linking them: which leaves, which run comes apart, each step told to the machine | 280 |
| which leaves the two ends of the page cut, which slots and how many tables that takes | 230 |
| two tables set aside and taken from those that are ready | 160 |
| the area: found, and kept from others meanwhile | 130 |
| both views: where the alias is, walks of both, whether their leaves allow it | 380 |
| locks of both slots, readers, terms | 120 |
| may the kernel change it, and the frame allocator's answer | 250 |
| stores, two invalidations, barriers | 100 |
| entry and exit of calls, results handed on | 60 |

## What stands in the way

- A page of the linear map, already a page: the aim is a quarter of what is done. Linux's figure is a store and
  an invalidation, with nothing kept from others: two CPUs that change the same leaf are the callers' to
  keep apart, a page that is handed out meanwhile as well. Without the allocator's answer a free page that
  was made invalid would be the next table. The same is in the way of a block of 1 GiB.
- In pages the same row has the allocator part what it knew of 128 MiB, as for the first page that is taken
  there. So do the rows of a page out of a block.
- A page out of a block: the fill of its tables alone, as dear as it can be with registers of 128 bits, is two
  fifths of the aim where there are two tables, and a third where there is one. Tables come ready, eight
  at a time; the row that finds none ready is there as well. What is left is spread thinly: no part of it is
  more than a tenth, and each is a check or a step of the protocol.
- A page out of a run of 64 KiB with its alias: 16 entries leave the run, and nothing is filled: what is left is
  what `already a page` has, and the cut. Its aim is less than what the checks of two views take.
- 64 MiB again, in blocks: 16 pieces, 530 instructions each: 110 find where the piece ends, 110 ask whether its
  memory may be changed, 90 store and invalidate, the rest is where its alias is and what is there. The
  aim is 500 each.
- 64 MiB for the first time, which has no aim: cuts are worked out for every alias once to see what they take
  and once under the locks.
";
