//! A stream in Ogg: an encoder that keeps a copy of all that it sends, and what decodes of it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::node::TestNode;
use super::player::ffmpeg;

/// How the first page of a link begins.
pub(crate) const FIRST_PAGE: &[u8] = b"OggS\0\x02";
/// The pitch of the tone.
const PITCH_HZ: u32 = 440;

/// The serial number of the next tone. ffmpeg would draw lots, for what it sends and for its copy.
static NEXT_SERIAL: AtomicU32 = AtomicU32::new(1);

/// An encoder that sends a tone in real time until it is dropped.
#[derive(Debug)]
pub(crate) struct Tone {
    child: Child,
    folder: TempDir,
}

impl Tone {
    /// Starts to send to a mount of a node.
    pub(crate) fn start(node: &TestNode, mount: &str, password: &str, codec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        let output = format!(
            "-map 0:a -c:a {codec} -fflags +bitexact -serial_offset {serial} -flush_packets 1 -f ogg"
        );
        let mut command = Command::new("ffmpeg");
        command.args("-nostdin -v error -re -f lavfi".split(' '));
        command.args([
            "-i",
            &format!("sine=frequency={PITCH_HZ}:sample_rate=16000"),
        ]);
        command
            .args(output.split(' '))
            .arg(folder.path().join("sent"));
        command.args(output.split(' '));
        command.args(["-content_type", "application/ogg"]);
        command.arg(format!(
            "icecast://source:{password}@{}{mount}",
            node.address()
        ));
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, folder }
    }

    /// All that it has sent, or is about to send; the last page may be missing for a moment.
    pub(crate) fn sent(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("sent")).unwrap_or_default()
    }
}

impl Drop for Tone {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A link of what was received: streams that begin together.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The serial numbers of the streams.
    pub(crate) serials: BTreeSet<u32>,
}

/// The links of a stream that begins with a page; what is behind the last whole page belongs to none.
pub(crate) fn links(bytes: &[u8]) -> Vec<Link> {
    const FIRST: u8 = 2;
    let (mut links, mut at, mut was_first): (Vec<Link>, usize, bool) = (Vec::new(), 0, false);
    while let Some(page) = page_at(&bytes[at..]) {
        let is_first = page[5] & FIRST != 0;
        if is_first && !was_first {
            let serials = BTreeSet::new();
            links.push(Link { serials });
        }
        at += page.len();
        let link = links.last_mut().expect("it begins with a first page");
        link.serials
            .insert(u32::from_le_bytes(page[14..18].try_into().unwrap()));
        was_first = is_first;
    }
    links
}

/// The complaints of ogginfo about pages that belong to another stream than they say, or come twice. A listener that came late
/// lacks pages, and an encoder that was killed sends no last one: these are no faults here.
pub(crate) fn complaints(bytes: &[u8]) -> Vec<String> {
    const FAULTS: [&str; 3] = ["stream start flag", "decreases from", "checksum"];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heard.ogg");
    fs::write(&file, bytes).unwrap();
    let output = Command::new("ogginfo").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let is_fault = |line: &&str| FAULTS.iter().any(|fault| line.contains(fault));
    said.lines().filter(is_fault).map(str::to_owned).collect()
}

/// The page at the beginning of some bytes, if it is whole.
pub(crate) fn page_at(bytes: &[u8]) -> Option<&[u8]> {
    const HEAD_BYTES: usize = 27;
    let lacing = bytes.get(HEAD_BYTES..HEAD_BYTES + usize::from(*bytes.get(HEAD_BYTES - 1)?))?;
    assert!(bytes.starts_with(b"OggS\0"), "page by page");
    let body_bytes: usize = lacing.iter().map(|part| usize::from(*part)).sum();
    bytes.get(..HEAD_BYTES + lacing.len() + body_bytes)
}

/// The sound of a tone that was received as a file, decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sound {
    /// How long it is.
    seconds: f64,
    /// The pitch that is heard.
    hz: f64,
}

impl Sound {
    /// Decodes what was received as a file. The decoder must find no fault in it.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        assert!(
            bytes.starts_with(FIRST_PAGE),
            "it begins with the first page of a link"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heard.ogg");
        // The last page is cut off in the middle: nothing of it is to be decoded.
        let last = bytes.windows(5).rposition(|it| it == b"OggS\0").unwrap();
        fs::write(&file, &bytes[..last]).unwrap();
        let samples = ffmpeg(file.to_str().unwrap(), 60);
        let seconds = samples.len() as f64 / 8_000.0;
        // The samples are of one channel at 8 kHz; each period crosses zero upwards once.
        let crossings = samples
            .windows(2)
            .filter(|pair| pair[0] < 0 && pair[1] >= 0);
        let hz = crossings.count() as f64 / seconds;
        Self { seconds, hz }
    }

    /// Checks that it is the tone, and longer than that.
    pub(crate) fn check(self, longer_than_s: f64) {
        assert!(self.seconds > longer_than_s, "{self:?}");
        assert!(
            (self.hz - f64::from(PITCH_HZ)).abs() < 5.0,
            "another pitch: {self:?}"
        );
    }
}
