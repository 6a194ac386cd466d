//! QEMU made by hand: a machine that is stopped runs again, whatever happens meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use blockmap_inspect::{OpenError, Overrides, SourceSpec, open};

use crate::image::{BASE, Image, Temporary};
use crate::raw::{LINEAR, dump};

/// What QEMU prints of its memory.
const FLAT: &str = "FlatView #0\\n AS \\\"memory\\\", root: system\\n  \
    0000000040000000-00000000403fffff (prio 0, ram): ram0\\n";

/// Serves one client, up to so many commands, and returns these.
fn serve(name: &str, shared: Option<PathBuf>, most: usize) -> (JoinHandle<Vec<String>>, Temporary) {
    let socket = Temporary::name(name);
    let listener = UnixListener::bind(socket.path()).unwrap();
    let machine = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        answer_all(&stream, shared.as_ref(), most)
    });
    (machine, socket)
}

fn answer_all(mut stream: &UnixStream, shared: Option<&PathBuf>, most: usize) -> Vec<String> {
    let greeting = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
    let mut asked = Vec::new();
    if stream.write_all(greeting.as_bytes()).is_err() {
        return asked;
    }
    let mut is_running = true;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if asked.len() == most {
            break;
        }
        let name = field(&line, "execute").unwrap().to_owned();
        match name.as_str() {
            "stop" => is_running = false,
            "cont" => is_running = true,
            _ => {}
        }
        let answer = match answer(&name, &line, is_running, shared) {
            Ok(value) => format!("{{\"return\": {value}}}"),
            Err(text) => {
                format!("{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"{text}\"}}}}")
            }
        };
        asked.push(name);
        let event = "{\"event\": \"RTC_CHANGE\", \"data\": {}}";
        if write!(stream, "{event}\r\n{answer}\r\n").is_err() {
            break;
        }
    }
    asked
}

/// The text or number of a field.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    Some(rest.trim_start_matches('"').split(['"', ',', '}']).next().unwrap_or_default())
}

fn answer(
    name: &str,
    line: &str,
    is_running: bool,
    shared: Option<&PathBuf>,
) -> Result<String, &'static str> {
    match name {
        "query-status" => Ok(format!("{{\"running\": {is_running}}}")),
        "query-chardev" => Ok("[]".to_owned()),
        "human-monitor-command" if line.contains("info mtree") => Ok(format!("\"{FLAT}\"")),
        "human-monitor-command" => Ok("\"could not open\"".to_owned()),
        "qom-get" if line.contains("share") => Ok(shared.is_some().to_string()),
        "qom-get" => Ok(format!("\"{}\"", shared.unwrap().display())),
        "pmemsave" => {
            let number = |name| field(line, name).unwrap().parse::<u64>().unwrap();
            let at = usize::try_from(number("val") - BASE).unwrap();
            let bytes = usize::try_from(number("size")).unwrap();
            let image = Image::linux();
            fs::write(field(line, "filename").unwrap(), &image.bytes[at..at + bytes])
                .map_err(|_| "no such file")?;
            Ok("{}".to_owned())
        }
        _ => Ok("{}".to_owned()),
    }
}

fn spec(socket: &Temporary) -> SourceSpec {
    SourceSpec::Qmp(socket.path().to_owned())
}

#[test]
fn a_machine_without_a_shared_file_is_stopped_for_as_long_as_it_is_read() {
    let (machine, socket) = serve("qmp", None, usize::MAX);
    let inspected = open(&spec(&socket), &Overrides::default()).unwrap();
    assert!(dump(&inspected).starts_with(LINEAR), "{}", dump(&inspected));
    assert!(inspected.origin.warnings().any(|text| text.contains("no registers")));
    let asked = machine.join().unwrap();
    let orders: Vec<&str> =
        asked.iter().map(String::as_str).filter(|name| ["stop", "cont"].contains(name)).collect();
    assert_eq!(orders, ["stop", "cont"]);
    assert!(asked.iter().filter(|name| *name == "pmemsave").count() < 12);
}

#[test]
fn a_machine_with_a_shared_file_is_not_stopped() {
    let file = Temporary::new("qmp-ram", &Image::linux().bytes);
    let (machine, socket) = serve("qmp-shared", Some(file.path().to_owned()), usize::MAX);
    let inspected = open(&spec(&socket), &Overrides::default()).unwrap();
    assert!(dump(&inspected).starts_with(LINEAR));
    let asked = machine.join().unwrap();
    assert!(!asked.iter().any(|name| ["stop", "cont", "pmemsave"].contains(&name.as_str())));
}

#[test]
fn qemu_may_go_away_after_any_command() {
    for most in 0..14 {
        let (machine, socket) = serve(&format!("qmp-gone-{most}"), None, most);
        match open(&spec(&socket), &Overrides::default()) {
            Ok(inspected) => assert!(dump(&inspected).starts_with("---[ Linear"), "after {most}"),
            Err(OpenError::Qmp(_) | OpenError::Find(_) | OpenError::Root { .. }) => {}
            Err(error) => panic!("after {most}: {error}"),
        }
        machine.join().unwrap();
    }
}

#[test]
fn what_is_no_qmp_server_is_named() {
    let socket = Temporary::name("no-qmp");
    let missing = open(&spec(&socket), &Overrides::default()).unwrap_err();
    assert!(missing.to_string().contains("no QMP server answers"), "{missing}");
    let listener = UnixListener::bind(socket.path()).unwrap();
    let other = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example ready\r\n").unwrap();
    });
    let error = open(&spec(&socket), &Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("220 mail.example"), "{error}");
    other.join().unwrap();
}
