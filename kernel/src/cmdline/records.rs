//! How long a trace or a log may be.

use crate::number::number;
use crate::trace::MOST_RECORDS;

/// How many records a trace or a referee's log has room for.
pub(super) fn records(value: &str) -> Option<u32> {
    let records = u32::try_from(number(value)?).ok()?;
    (1..=MOST_RECORDS).contains(&records).then_some(records)
}
