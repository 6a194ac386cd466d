//! What a machine has, and the arguments that make QEMU give it that.

use std::ffi::OsString;
use std::path::Path;

use super::{ScriptError, Size, command_line};

/// A machine to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its memory.
    pub memory: Size,
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
            cpus: 1,
            cpu: Self::DEFAULT_CPU.to_owned(),
            board: "virt".to_owned(),
            options: String::new(),
            input: Input::Keyboard,
            further: Vec::new(),
        }
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
        // Reserved lazily, so that a guest may have more memory than the host: what it never
        // touches is never there.
        let backend = format!("memory-backend-ram,id=ram,size={},reserve=off", self.memory);
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
            "-object",
            &backend,
            "-m",
            &self.memory.to_string(),
            "-machine",
            &format!("{},memory-backend=ram", self.board),
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
        arguments.extend(["-kernel".into(), image.into(), "-append".into(), line.into()]);
        arguments.extend(self.further.iter().map(OsString::from));
        Ok(arguments)
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
        assert!(words.contains("-object memory-backend-ram,id=ram,size=4T,reserve=off -m 4T"));
        assert!(words.contains("-machine virt,mte=on,memory-backend=ram"));
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
