//! The monitor's prompt: commands from the command line's script, then from the console.

use blockmap_kernel::monitor::{LineEditor, Reaction, parse, split};

use crate::act::Monitor;
use crate::console::{self, println};

const PROMPT: &str = "blockmap> ";

/// Carries out the commands of `script`, then those that are typed, for ever.
pub(crate) fn serve(monitor: &Monitor<'_>, script: Option<&str>) -> ! {
    for command in script.into_iter().flat_map(split) {
        println!("{PROMPT}{command}");
        carry_out(monitor, command);
    }
    println!("This is blockmap's monitor; help lists its commands.");
    let mut editor = LineEditor::new();
    prompt();
    loop {
        let reaction = editor.press(wait_byte(monitor));
        console::print(format_args!("{reaction}"));
        match reaction {
            Reaction::Finished(line) => {
                split(line).for_each(|command| carry_out(monitor, command));
                prompt();
            }
            Reaction::Cancelled => prompt(),
            Reaction::Nothing | Reaction::Added(_) | Reaction::Erased(_) | Reaction::Refused => {}
        }
    }
}

/// Waits for a byte to be typed; meanwhile the map heals.
fn wait_byte(monitor: &Monitor<'_>) -> u8 {
    loop {
        match console::read_byte() {
            Some(byte) => return byte,
            None => monitor.rest(),
        }
    }
}

fn prompt() {
    console::print(format_args!("{PROMPT}"));
}

fn carry_out(monitor: &Monitor<'_>, text: &str) {
    match parse(text) {
        Ok(command) => {
            if command.changes_tables() {
                monitor.system.recording().note(text);
            }
            monitor.carry_out(command);
        }
        Err(error) => println!("{error}"),
    }
}
