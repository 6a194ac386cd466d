//! Options about memory that somebody owns.

/// `guard-pool=`: when the guard pool takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardPool {
    /// There is none.
    #[default]
    Off,
    /// Before the map is painted: its pages are pages from the beginning.
    Early,
    /// When it is asked for: it is carved out of whatever it lies in.
    Late,
}

impl GuardPool {
    pub(super) fn of(value: &str) -> Option<Self> {
        match value {
            "off" => Some(Self::Off),
            "early" => Some(Self::Early),
            "late" => Some(Self::Late),
            _ => None,
        }
    }
}
