//! Booted machines: a test says what a machine has and what its monitor is told, and reads what
//! it printed.
//!
//! Everything here panics with what the machine printed last, as the assertions of a test do: a
//! machine that cannot be started is a failed test, never a skipped one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use xtask::image::{self, Image};
use xtask::qemu::{self, Finished, Input, Machine, RunError};

pub use crate::loading::ByHand;
use crate::loading::Loading;

/// The time a machine has, unless a test says otherwise: it takes well under a second on a quiet
/// host, and test hosts are not quiet.
const LIMIT: Duration = Duration::from_secs(60);

/// What the monitor prints when it is ready for a command.
const PROMPT: &str = "blockmap> ";

/// A machine to boot, and the time it has.
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    machine: Machine,
    loading: Loading,
    limit: Duration,
}

impl Config {
    /// A machine with `memory` (`12G`), one CPU that can change the size of live entries, and a
    /// monitor that is told to end it.
    pub fn new(memory: &str) -> Self {
        let memory = memory.parse().unwrap_or_else(|error| panic!("memory: {error}"));
        let mut machine = Machine::with_memory(memory);
        machine.input = Input::Script(String::new());
        Self { machine, loading: Loading::Usual, limit: LIMIT }
    }

    /// With this script of monitor commands, parted by `;`.
    pub fn monitor(mut self, script: &str) -> Self {
        self.machine.input = Input::Script(script.to_owned());
        self
    }

    /// With these bytes typed at the console and no script. They must end the machine.
    pub fn typed(mut self, text: &str) -> Self {
        self.machine.input = Input::Typed(text.to_owned());
        self
    }

    /// With these kernel options.
    pub fn options(mut self, options: &str) -> Self {
        options.clone_into(&mut self.machine.options);
        self
    }

    /// With another of QEMU's CPU models.
    pub fn cpu(mut self, cpu: &str) -> Self {
        cpu.clone_into(&mut self.machine.cpu);
        self
    }

    /// With this many CPUs.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.machine.cpus = cpus;
        self
    }

    /// With this many NUMA nodes, which share the memory in equal parts.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.machine.nodes = nodes;
        self
    }

    /// With QEMU's board given in full, such as `virt,mte=on`.
    pub fn board(mut self, board: &str) -> Self {
        board.clone_into(&mut self.machine.board);
        self
    }

    /// With one more argument for QEMU.
    pub fn argument(mut self, argument: &str) -> Self {
        self.machine.further.push(argument.to_owned());
        self
    }

    /// With the kernel's modules in its initial RAM disk.
    ///
    /// # Panics
    /// If one does not compile.
    pub fn modules(self) -> Self {
        static ARCHIVE: OnceLock<Result<String, String>> = OnceLock::new();
        let build = || xtask::modules::build().map(|path| path.to_string_lossy().into_owned());
        let archive = ARCHIVE.get_or_init(|| build().map_err(|error| format!("{error:#}")));
        let archive = archive.as_ref().unwrap_or_else(|error| panic!("{error}"));
        self.argument("-initrd").argument(archive)
    }

    /// With the kernel loaded `offset` bytes above the start of memory.
    pub fn load_offset(mut self, offset: u64) -> Self {
        self.loading = Loading::Offset(offset);
        self
    }

    /// With kernel and device tree put into memory by hand. The tree has the command line.
    pub fn by_hand(mut self, by_hand: ByHand) -> Self {
        self.machine.input = Input::Keyboard;
        self.loading = Loading::ByHand(by_hand);
        self
    }

    /// With another limit on the time from QEMU's start to its end.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// A machine that was booted and has ended by itself.
#[derive(Clone, Debug)]
pub struct Booted {
    /// The status it ended with: zero unless the kernel or QEMU had something to complain about.
    pub status: u8,
    /// What it printed, lines ending with a line feed alone.
    pub console: String,
    /// What QEMU had to say.
    pub complaints: String,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
    /// From QEMU's start to the monitor's first prompt, if there was one.
    pub to_prompt: Option<Duration>,
}

impl Booted {
    /// Boots the kernel on the machine that `config` describes.
    ///
    /// # Panics
    /// If the kernel does not build, QEMU is missing or refuses its arguments, or the machine
    /// does not end in time.
    #[must_use]
    pub fn run(config: &Config) -> Self {
        let booted = Self::attempt(config).unwrap_or_else(|error| panic!("{error}"));
        let Self { complaints, console, .. } = &booted;
        assert!(complaints.is_empty(), "QEMU said: {complaints}\n{console}");
        booted
    }

    /// The same for a machine that may not end, or not even start.
    ///
    /// # Errors
    /// It did not end in time, or QEMU is missing.
    ///
    /// # Panics
    /// If the kernel does not build.
    pub fn attempt(config: &Config) -> Result<Self, RunError> {
        let prepared = config.loading.prepare(&built().flat);
        let mut machine = config.machine.clone();
        machine.further.extend_from_slice(&prepared.arguments);
        let start = Instant::now();
        let (mut seen, mut to_prompt) = (Vec::new(), None);
        let watch = |piece: &[u8]| {
            if to_prompt.is_none() {
                seen.extend_from_slice(piece);
                let is_there = seen.windows(PROMPT.len()).any(|text| text == PROMPT.as_bytes());
                to_prompt = is_there.then(|| start.elapsed());
            }
        };
        let finished = qemu::scripted(&machine, &prepared.kernel, config.limit, watch)?;
        let Finished { status, elapsed, complaints, console } = finished;
        let console = console.replace("\r\n", "\n");
        let complaints = complaints.trim().to_owned();
        Ok(Self { status, console, complaints, elapsed, to_prompt })
    }

    /// The same, seen to have ended with status zero.
    ///
    /// # Panics
    /// If it ended with another.
    #[must_use]
    pub fn succeeded(self) -> Self {
        let Self { status, console, .. } = &self;
        assert_eq!(*status, 0, "the machine failed:\n{console}");
        self
    }

    /// What the monitor printed for each `command` it was told, in order.
    pub fn answers(&self, command: &str) -> impl Iterator<Item = &str> {
        let told = self.console.split(PROMPT).skip(1);
        told.filter_map(move |told| {
            let (line, answer) = told.split_once('\n').unwrap_or((told, ""));
            (line.trim() == command).then_some(answer)
        })
    }

    /// What the monitor printed for the first `command` it was told.
    ///
    /// # Panics
    /// If it was told no such command.
    #[must_use]
    pub fn answer(&self, command: &str) -> &str {
        self.answers(command)
            .next()
            .unwrap_or_else(|| panic!("`{command}` was never run:\n{}", self.console))
    }

    /// The lines that the machine printed.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.console.lines()
    }

    /// The first line that holds `text`.
    ///
    /// # Panics
    /// If none does.
    #[must_use]
    pub fn line_with(&self, text: &str) -> &str {
        self.lines()
            .find(|line| line.contains(text))
            .unwrap_or_else(|| panic!("no line with `{text}`:\n{}", self.console))
    }

    /// Sees that a line holds `text`.
    ///
    /// # Panics
    /// If none does.
    #[track_caller]
    pub fn says(&self, text: &str) {
        let _ = self.line_with(text);
    }

    /// What the machine printed after the first line that holds `text`.
    ///
    /// # Panics
    /// If none does.
    #[must_use]
    pub fn after(&self, text: &str) -> &str {
        let line = self.line_with(text);
        let start = self.console.find(line).unwrap_or_default() + line.len();
        self.console[start..].trim_start_matches('\n')
    }
}

/// The kernel's image; one attempt in each test process to build it, for all its tests.
pub(crate) fn built() -> &'static Image {
    static IMAGE: OnceLock<Result<Image, String>> = OnceLock::new();
    IMAGE
        .get_or_init(|| image::build().map_err(|error| format!("{error:#}")))
        .as_ref()
        .unwrap_or_else(|error| {
            panic!("{error}; `cargo xtask test` sets up what building it needs")
        })
}
