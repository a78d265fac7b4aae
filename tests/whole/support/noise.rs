//! Noise in every format that can follow itself, from a real encoder.

use std::process::{Child, Command, Stdio};

use super::node::TestNode;

/// A format, and how ffmpeg makes it.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// The ending of its mounts.
    pub(crate) ending: &'static str,
    /// The options by which it encodes, and its container.
    pub(crate) encoder: &'static str,
    pub(crate) media_type: &'static str,
    /// The least that a second of it takes.
    pub(crate) second_bytes: usize,
}

/// The formats that listeners can go on with from one stream to another.
pub(crate) const FORMATS: [Format; 5] = [
    Format {
        ending: "mp3",
        encoder: "-c:a libmp3lame -b:a 48k -f mp3",
        media_type: "audio/mpeg",
        second_bytes: 5_000,
    },
    Format {
        ending: "aac",
        encoder: "-c:a aac -b:a 48k -f adts",
        media_type: "audio/aac",
        second_bytes: 4_500,
    },
    Format {
        ending: "opus",
        encoder: "-c:a libopus -b:a 48k -f ogg",
        media_type: "audio/ogg",
        second_bytes: 4_500,
    },
    Format {
        ending: "ogg",
        encoder: "-c:a libvorbis -f ogg",
        media_type: "audio/ogg",
        second_bytes: 3_500,
    },
    Format {
        ending: "flac",
        encoder: "-c:a flac -f flac",
        media_type: "audio/flac",
        second_bytes: 25_000,
    },
];

/// An ffmpeg that sends noise in real time until it is dropped.
pub(crate) struct Noise(Child);

impl Noise {
    /// Begins to send to a mount at this node.
    pub(crate) fn start(node: &TestNode, mount: &str, password: &str, format: Format) -> Self {
        let mut command = Command::new("ffmpeg");
        let noise = "-nostdin -v error -re -f lavfi -i anoisesrc=amplitude=0.2:sample_rate=16000";
        command
            .args(noise.split(' '))
            .args(format.encoder.split(' '));
        command.args(["-flush_packets", "1", "-content_type", format.media_type]);
        let target = format!("icecast://source:{password}@{}{mount}", node.address());
        command.arg(target).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}
