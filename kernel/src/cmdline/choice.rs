//! What an option chooses between.

/// How the machine is ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// PSCI turns it off. There is no status to pass on.
    #[default]
    Psci,
    /// A semihosting call ends the emulator, with a status; others write files. Where no emulator
    /// listens such a call is an undefined instruction.
    Semihosting,
}

/// How much is printed before the monitor starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BootMessages {
    /// What was found and what was decided.
    #[default]
    Shown,
    /// Errors and complaints only.
    Hidden,
}

/// Whether leaves that became small become large again while nothing else is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoHeal {
    /// They do.
    #[default]
    On,
    /// Only when somebody asks for it.
    Off,
}
