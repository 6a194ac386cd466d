//! A gdbstub made by hand: whether the machine is let go, whatever happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use blockmap_inspect::{GdbAddress, GdbError, OpenError, Overrides, SourceSpec, open};

use crate::image::{BASE, Image, ROOT, Temporary};
use crate::raw::dump;

/// The values of registers by their numbers.
type Values = BTreeMap<u32, u64>;

/// TCR_EL1 of 4 KiB pages and 48 bits in both halves, output addresses of 48 bits.
const TCR: u64 = 0x5_b510_3510;

/// Serves one client from an image, and returns what it was asked.
struct Stub {
    asked: JoinHandle<Vec<String>>,
    socket: Temporary,
}

/// Registers by name, and after how many requests the stub goes away.
fn serve(name: &str, values: &[(&str, u64)], most_requests: usize) -> Stub {
    let socket = Temporary::name(name);
    let listener = UnixListener::bind(socket.path()).unwrap();
    let mut text = String::from("<target><xi:include href=\"a.xml\"/></target>\n<feature>");
    let mut numbered = Values::new();
    for ((name, value), number) in values.iter().zip(70..) {
        write!(text, "<reg name=\"{name}\" bitsize=\"64\" regnum=\"{number}\"/>").unwrap();
        numbered.insert(number, *value);
    }
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        answer_all(&stream, (&text, &numbered), most_requests)
    });
    Stub { asked, socket }
}

fn answer_all(mut stream: &UnixStream, machine: (&str, &Values), most: usize) -> Vec<String> {
    // Why the machine stopped, before anything was asked.
    stream.write_all(b"$T05thread:01;#07").unwrap();
    let mut bytes = BufReader::new(stream).bytes().map_while(Result::ok);
    let mut asked = Vec::new();
    while asked.len() < most {
        let is_packet = bytes.by_ref().any(|byte| byte == b'$');
        let packet: Vec<u8> = bytes.by_ref().take_while(|byte| *byte != b'#').collect();
        if !is_packet {
            break;
        }
        let request = String::from_utf8(packet).unwrap();
        let answer = answer(&request, machine);
        asked.push(request);
        let sum = answer.bytes().fold(0_u8, u8::wrapping_add);
        if write!(stream, "+${answer}#{sum:02x}").is_err() {
            break;
        }
    }
    asked
}

fn answer(request: &str, (features, values): (&str, &Values)) -> String {
    let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
    if request.starts_with("qSupported") {
        return "PacketSize=1000;qXfer:features:read+".to_owned();
    }
    if request.starts_with("qXfer:features:read:target.xml") {
        return "l<xi:include href=\"a.xml\"/>".to_owned();
    }
    if request.starts_with("qXfer:features:read:a.xml") {
        return format!("l{features}");
    }
    if let Some(register) = request.strip_prefix('p') {
        let value = values.get(&u32::try_from(number(register)).unwrap()).unwrap();
        return digits(&value.to_le_bytes());
    }
    if let Some((at, bytes)) = request.strip_prefix('m').and_then(|rest| rest.split_once(',')) {
        let image = Image::linux();
        let at = usize::try_from(number(at) - BASE).unwrap();
        let bytes = image.bytes.get(at..at + usize::try_from(number(bytes)).unwrap());
        let Some(bytes) = bytes else { return "E14".to_owned() };
        return digits(bytes);
    }
    match request {
        "qfThreadInfo" => "m01,02".to_owned(),
        "qsThreadInfo" => "l".to_owned(),
        // With several inferiors, QEMU wants to know which.
        "D" => "E22".to_owned(),
        _ => "OK".to_owned(),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn registers() -> Vec<(&'static str, u64)> {
    vec![
        ("cpsr", 5),
        ("TCR_EL1", TCR),
        ("TTBR0_EL1", ROOT + 0x8000),
        ("TTBR1_EL1", ROOT | 0x0010_0000_0000_0001),
        ("MAIR_EL1", 0x4_0044_ffff),
    ]
}

impl Stub {
    fn spec(&self) -> SourceSpec {
        SourceSpec::Gdb(GdbAddress::Unix(self.socket.path().to_owned()))
    }
}

#[test]
fn a_machine_behind_a_gdbstub_is_read_and_let_go() {
    let stub = serve("stub", &registers(), usize::MAX);
    let inspected = open(&stub.spec(), &Overrides::default()).unwrap();
    assert!(dump(&inspected).contains("1984K PTE       RW NX SHD"), "{}", dump(&inspected));
    assert_eq!(inspected.trees.len(), 2);
    let asked = stub.asked.join().unwrap();
    let end: Vec<&str> = asked.iter().rev().take(3).map(String::as_str).collect();
    assert_eq!(end, ["D;1", "D", "Qqemu.PhyMemMode:0"]);
}

#[test]
fn a_kernel_at_el2_has_its_own_registers() {
    let mut values = registers();
    values[3].1 = 0;
    let vhe = [
        ("HCR_EL2", 0x4_8800_0038_u64),
        ("TCR_EL2", TCR),
        ("TTBR0_EL2", ROOT + 0x8000),
        ("TTBR1_EL2", ROOT),
        ("MAIR_EL2", 0xff),
    ];
    values.extend(vhe);
    let stub = serve("vhe", &values, usize::MAX);
    let inspected = open(&stub.spec(), &Overrides::default()).unwrap();
    assert!(dump(&inspected).contains("1984K PTE       RW NX SHD"));
}

#[test]
fn a_machine_that_is_no_arm_machine_is_let_go() {
    let stub = serve("x86", &[("eflags", 2), ("cr3", 0x1000)], usize::MAX);
    let error = open(&stub.spec(), &Overrides::default()).unwrap_err();
    assert!(matches!(error, OpenError::Gdb(GdbError::NoRegister("TCR_EL1"))), "{error}");
    assert_eq!(stub.asked.join().unwrap().last().unwrap(), "D;1");
}

#[test]
fn a_stub_may_go_away_after_any_request() {
    for most in 0..16 {
        let stub = serve(&format!("gone-{most}"), &registers(), most);
        match open(&stub.spec(), &Overrides::default()) {
            Err(OpenError::Gdb(_) | OpenError::Root { .. }) => {}
            Err(error) => panic!("after {most}: {error}"),
            Ok(inspected) => assert!(dump(&inspected).contains("SKIPPED"), "after {most}"),
        }
        stub.asked.join().unwrap();
    }
}
