//! What a machine has, and the arguments that make QEMU give it that.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use super::{ScriptError, Size, command_line};

/// A machine to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its memory.
    pub memory: Size,
    /// How many NUMA nodes share the memory in equal parts; one is a machine without NUMA.
    pub nodes: u32,
    /// How many CPUs it has; the kernel is entered on the first.
    pub cpus: u32,
    /// QEMU's CPU model with its properties.
    pub cpu: String,
    /// QEMU's machine type with its properties.
    pub board: String,
    /// The kernel's options.
    pub options: String,
    /// Who gives the monitor its commands.
    pub input: Input,
    /// Further arguments for QEMU, as they are.
    pub further: Vec<String>,
}

/// Who gives the monitor its commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A person.
    Keyboard,
    /// These bytes, as if a person had typed them.
    Typed(String),
    /// The kernel's command line: commands parted by `;`. They always end the machine.
    Script(String),
}

/// Where the machine's serial console leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// To the terminal, which QEMU makes raw: every key goes to the guest but Ctrl-A.
    Terminal,
    /// From standard input and to standard output, whatever these are.
    Stdio,
}

impl Machine {
    /// The CPU unless another is asked for: live size changes are safe on an `AmpereOne`, whose
    /// identity this is, and QEMU's largest CPU has its features.
    pub const DEFAULT_CPU: &str = "max,midr=0xc00fac30";

    /// A machine of the default CPU's kind with `memory`, one CPU and a keyboard.
    #[must_use]
    pub fn with_memory(memory: Size) -> Self {
        Self {
            memory,
            nodes: 1,
            cpus: 1,
            cpu: Self::DEFAULT_CPU.to_owned(),
            board: "virt".to_owned(),
            options: String::new(),
            input: Input::Keyboard,
            further: Vec::new(),
        }
    }

    /// The same machine, whose kernel is told to have its referee watch it from EL2.
    #[must_use]
    pub fn refereed(mut self) -> Self {
        self.board += ",virtualization=on";
        // In front, so that a `referee=EVENTS` among the options has the last word.
        self.options.insert_str(0, "referee ");
        self
    }

    /// QEMU's arguments to boot `image` on this machine.
    ///
    /// # Errors
    /// When options and script make no command line.
    pub fn arguments(&self, image: &Path, console: Console) -> Result<Vec<OsString>, ScriptError> {
        let script = match &self.input {
            Input::Keyboard | Input::Typed(_) => None,
            Input::Script(script) => Some(&**script),
        };
        let line = command_line(&self.options, script)?;
        let serial = match console {
            Console::Terminal => "mon:stdio",
            Console::Stdio => "stdio",
        };
        let texts = [
            // Nothing by default: the network device would look for a boot ROM that Debian's
            // package only recommends.
            "-nodefaults",
            "-nic",
            "none",
            "-display",
            "none",
            "-no-reboot",
            "-m",
            &self.memory.to_string(),
            "-cpu",
            &self.cpu,
            "-smp",
            &self.cpus.to_string(),
            "-semihosting-config",
            "enable=on,target=native",
            "-serial",
            serial,
        ]
        .map(OsString::from);
        let mut arguments = Vec::from(texts);
        arguments.extend(self.board_and_memory().map(OsString::from));
        arguments.extend(["-kernel".into(), image.into(), "-append".into(), line.into()]);
        arguments.extend(self.further.iter().map(OsString::from));
        Ok(arguments)
    }

    /// The arguments for the board and its memory, which is reserved lazily, so that a guest may
    /// have more than the host: what it never touches is never there.
    fn board_and_memory(&self) -> impl Iterator<Item = String> + use<> {
        let backend = |name: &str, size: &dyn fmt::Display| {
            ["-object".to_owned(), format!("memory-backend-ram,id={name},size={size},reserve=off")]
        };
        let mut arguments = vec!["-machine".to_owned()];
        if self.nodes <= 1 {
            arguments.push(format!("{},memory-backend=ram", self.board));
            arguments.extend(backend("ram", &self.memory));
        } else {
            arguments.push(self.board.clone());
            let bytes = self.memory.bytes() / u64::from(self.nodes);
            for node in 0..self.nodes {
                let name = format!("ram{node}");
                arguments.extend(backend(&name, &bytes));
                arguments.extend(["-numa".to_owned(), format!("node,memdev={name}")]);
            }
        }
        arguments.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(machine: &Machine, console: Console) -> String {
        let arguments = machine.arguments(Path::new("/Image"), console).unwrap();
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn memory_is_reserved_lazily_and_given_to_the_board() {
        let mut machine = Machine::with_memory("4T".parse().unwrap());
        machine.board = "virt,mte=on".to_owned();
        let words = words(&machine, Console::Stdio);
        assert!(words.contains("-object memory-backend-ram,id=ram,size=4T,reserve=off"));
        assert!(words.contains("-m 4T"));
        assert!(words.contains("-machine virt,mte=on,memory-backend=ram"));
    }

    #[test]
    fn nodes_share_the_memory() {
        let mut machine = Machine::with_memory("4G".parse().unwrap());
        machine.nodes = 2;
        let words = words(&machine, Console::Stdio);
        assert!(words.contains("-machine virt -object"));
        let second = "-object memory-backend-ram,id=ram1,size=2147483648,reserve=off";
        assert!(words.contains(&format!("{second} -numa node,memdev=ram1")), "{words}");
    }

    #[test]
    fn a_refereed_machine_has_an_el2_and_is_told_so() {
        let mut machine = Machine::with_memory("1G".parse().unwrap());
        machine.options = "referee=7 quiet".to_owned();
        let words = words(&machine.refereed(), Console::Stdio);
        assert!(words.contains("-machine virt,virtualization=on,memory-backend=ram"), "{words}");
        assert!(words.ends_with("-append semihosting referee referee=7 quiet"), "{words}");
    }

    #[test]
    fn the_default_cpu_is_one_that_splits_live() {
        let machine = Machine::with_memory("1G".parse().unwrap());
        let words = words(&machine, Console::Terminal);
        assert!(words.contains("-cpu max,midr=0xc00fac30 -smp 1"));
        assert!(words.contains("-serial mon:stdio"));
    }

    #[test]
    fn further_arguments_come_last() {
        let mut machine = Machine::with_memory("1G".parse().unwrap());
        machine.further = vec!["-d".to_owned(), "int".to_owned()];
        machine.input = Input::Script("stat".to_owned());
        let words = words(&machine, Console::Stdio);
        let end = "-kernel /Image -append semihosting -- stat; poweroff -d int";
        assert!(words.ends_with(end), "{words}");
    }
}
