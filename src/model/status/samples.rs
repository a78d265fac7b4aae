//! Statuses for the tests of all code that shows them: nodes and mounts of which nothing special is to be said.

use std::collections::BTreeMap;

use super::{MountStatus, NodeState, NodeStatus};
use crate::model::format::{CodecName, Container, StreamFormat};
use crate::model::geo::Whereabouts;
use crate::model::traits::NodeTraits;

impl NodeStatus {
    /// A node that is alive and serves nobody.
    pub(crate) fn sample(name: &str) -> Self {
        Self {
            name: name.try_into().unwrap(),
            url: format!("http://{name}.example:8000"),
            https_url: None,
            state: NodeState::Alive,
            master: false,
            rank: 100,
            listeners: 0,
            max_listeners: 500,
            bandwidth_bps: 0,
            max_bandwidth_bps: 100_000_000,
            utilization: 0.0,
            predicted_utilization: 0.0,
            version: "0.1.0".to_owned(),
            dns: false,
            address_trouble: None,
            traits: NodeTraits::default(),
            place: Whereabouts::default(),
            disk: None,
            logs: None,
            engine: None,
            clock_offset_ms: None,
        }
    }
}

impl MountStatus {
    /// A mount of MP3 whose source has gone, and whom nobody hears.
    pub(crate) fn sample(path: &str) -> Self {
        Self {
            path: path.try_into().unwrap(),
            name: String::new(),
            description: String::new(),
            genre: String::new(),
            url: String::new(),
            listener_auth: Default::default(),
            content_type: "audio/mpeg".to_owned(),
            bitrate_bps: 127_706,
            bitrate_kbps: 128,
            format: Some(StreamFormat {
                container: Container::Mpeg,
                codec: CodecName::Mp3,
                bitrate_bps: 127_706,
                sample_rate_hz: 44_100,
                channels: 2,
                video: None,
            }),
            audio_info: String::new(),
            stated_type: None,
            trouble: None,
            sound: None,
            silent_s: None,
            closed: None,
            intro_troubles: BTreeMap::new(),
            listeners: 0,
            listener_peak: 0,
            slow_listeners: 0,
            holders: Vec::new(),
            title: String::new(),
            now_playing: None,
            standby: Vec::new(),
            waiting: Vec::new(),
            waiting_untold: 0,
            rungs: Vec::new(),
            circle: Vec::new(),
            switched_to: None,
            transcoder: None,
            outside_relay: None,
            source: None,
        }
    }
}
