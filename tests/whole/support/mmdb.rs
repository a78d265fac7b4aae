//! Writes small databases in MaxMind's format: a tree of an address's bits, and what is known at its leaves.

use std::net::IpAddr;

/// The bytes between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];
/// The bytes before the description of the file, at its end.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The bits of a record; a node of the tree is two of them.
const RECORD_BITS: u16 = 32;
/// The part of the tree in which IPv4 addresses live: `::/96`.
const IPV4_BITS: u32 = 96;

/// A value of the format, as far as these databases need it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Degrees(f64),
    Small(u16),
    Number(u32),
    Long(u64),
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

impl Value {
    /// A text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                control(2, text.len(), out);
                out.extend(text.as_bytes());
            }
            Self::Degrees(degrees) => {
                control(3, 8, out);
                out.extend(degrees.to_be_bytes());
            }
            Self::Small(number) => {
                control(5, 2, out);
                out.extend(number.to_be_bytes());
            }
            Self::Number(number) => {
                control(6, 4, out);
                out.extend(number.to_be_bytes());
            }
            Self::Long(number) => {
                control(9, 8, out);
                out.extend(number.to_be_bytes());
            }
            Self::List(values) => {
                control(11, values.len(), out);
                values.iter().for_each(|value| value.write(out));
            }
            Self::Map(pairs) => {
                control(7, pairs.len(), out);
                for (key, value) in pairs {
                    Self::text(key).write(out);
                    value.write(out);
                }
            }
        }
    }
}

/// The byte or two that say what follows and how long it is: 28 at most, which is all that is needed here.
fn control(kind: u8, len: usize, out: &mut Vec<u8>) {
    let len = u8::try_from(len).ok().filter(|len| *len < 29).unwrap();
    match kind {
        1..=7 => out.push((kind << 5) | len),
        _ => out.extend([len, kind - 7]),
    }
}

/// The record of a network in such databases: its country, and where it is in degrees north and east.
pub(crate) fn place(country: &str, position: (f64, f64)) -> Value {
    let (latitude, longitude) = position;
    let location = vec![
        ("latitude", Value::Degrees(latitude)),
        ("longitude", Value::Degrees(longitude)),
    ];
    Value::Map(vec![
        (
            "country",
            Value::Map(vec![("iso_code", Value::text(country))]),
        ),
        ("location", Value::Map(location)),
    ])
}

/// A branch of a node: further on in the tree, or at an end of it.
#[derive(Clone, Copy, Debug)]
enum Branch {
    Nothing,
    Node(usize),
    /// The data that begin at this byte.
    Data(usize),
}

/// The bytes of a database that knows these networks, each an address and the number of its bits that count. A later
/// one replaces an earlier one that contains it only if it comes after it.
pub(crate) fn database(kind: &str, networks: &[((&str, u32), Value)]) -> Vec<u8> {
    let mut nodes = vec![[Branch::Nothing; 2]];
    let mut data = Vec::new();
    for ((address, length), value) in networks {
        let at = Branch::Data(data.len());
        value.write(&mut data);
        let (bits, length) = match address.parse().unwrap() {
            IpAddr::V4(address) => (u128::from(address.to_bits()), length + IPV4_BITS),
            IpAddr::V6(address) => (address.to_bits(), *length),
        };
        insert(&mut nodes, bits, length, at);
    }
    let mut file = Vec::new();
    for branch in nodes.iter().flatten() {
        let record = match *branch {
            Branch::Nothing => nodes.len(),
            Branch::Node(index) => index,
            Branch::Data(at) => nodes.len() + SEPARATOR.len() + at,
        };
        file.extend(u32::try_from(record).unwrap().to_be_bytes());
    }
    file.extend(SEPARATOR);
    file.extend(data);
    file.extend(MARKER);
    description(kind, nodes.len()).write(&mut file);
    file
}

fn insert(nodes: &mut Vec<[Branch; 2]>, bits: u128, length: u32, end: Branch) {
    let mut node = 0;
    for depth in 0..length {
        let side = ((bits >> (127 - depth)) & 1) as usize;
        let branch = nodes[node][side];
        if depth + 1 == length {
            nodes[node][side] = end;
            return;
        }
        node = match branch {
            Branch::Node(next) => next,
            // What was known of the wider network stays true of the rest of it.
            Branch::Nothing | Branch::Data(_) => {
                nodes.push([branch; 2]);
                nodes[node][side] = Branch::Node(nodes.len() - 1);
                nodes.len() - 1
            }
        };
    }
}

fn description(kind: &str, nodes: usize) -> Value {
    Value::Map(vec![
        ("binary_format_major_version", Value::Small(2)),
        ("binary_format_minor_version", Value::Small(0)),
        ("build_epoch", Value::Long(1_795_170_850)),
        ("database_type", Value::text(kind)),
        (
            "description",
            Value::Map(vec![("en", Value::text("made by a test"))]),
        ),
        ("ip_version", Value::Small(6)),
        ("languages", Value::List(vec![Value::text("en")])),
        ("node_count", Value::Number(u32::try_from(nodes).unwrap())),
        ("record_size", Value::Small(RECORD_BITS)),
    ])
}
