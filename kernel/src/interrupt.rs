//! What CPUs ask of each other by interrupt, and what a controller answers when it is asked what there is.

/// What one CPU asks of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipi {
    /// To park: its ticket has the request.
    Park,
    /// To look for something to do.
    Wake,
    /// To do something with the guard pool, in the handler.
    Guard,
}

impl Ipi {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Park, Self::Wake, Self::Guard];

    /// The number of its interrupt, below 16.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Park => 0,
            Self::Wake => 1,
            Self::Guard => 2,
        }
    }
}

/// What a controller says is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing that the CPU that asks may take: asking again brings nothing else, and there is nothing to
    /// end.
    Nothing,
    /// This. It has to be ended.
    Ipi(Ipi),
    /// An interrupt that nobody has asked for. It has to be ended.
    Unknown,
}

impl Pending {
    /// What an acknowledged interrupt's number says, without what a controller of version 2 has above
    /// its ten bits.
    ///
    /// Source: "Special interrupt numbers" of the architecture of the GIC, versions 2 and 3: 1020 to 1023
    /// are no interrupts. They say that none is pending, or none of the group that was asked for.
    #[must_use]
    pub const fn of_number(number: u32) -> Self {
        match number {
            0 => Self::Ipi(Ipi::Park),
            1 => Self::Ipi(Ipi::Wake),
            2 => Self::Ipi(Ipi::Guard),
            1020..=1023 => Self::Nothing,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_what_is_pending() {
        for ipi in Ipi::ALL {
            assert_eq!(Pending::of_number(ipi.number()), Pending::Ipi(ipi));
        }
    }

    #[test]
    fn special_numbers_are_no_interrupts_and_their_neighbours_are() {
        for number in 1020..1024 {
            assert_eq!(Pending::of_number(number), Pending::Nothing, "{number}");
        }
        for number in [3, 27, 1019, 1024, 1056, 8192] {
            assert_eq!(Pending::of_number(number), Pending::Unknown, "{number}");
        }
    }
}
