//! The setting of a mount whose stream is got from a server outside the mesh, while no encoder sends it.

use std::collections::BTreeMap;

use super::transcoding::{ON_DEMAND, TRANSCODE_FROM};
use crate::logic::records::field::{Field, FieldKind};
use crate::model::mount::MountSpec;
use crate::model::outside_relay::{RelayAddress, RelayAddresses};
use crate::model::record::Value;

pub(super) const RELAY: Field<MountSpec> = Field {
    key: "relay",
    help: "addresses on other servers, such as `http://a.example:8000/radio.mp3`, from which one node of the mesh gets the stream \
           while no encoder sends it; the best first, several with commas, at most 8. A login stands in the address, as \
           `http://USER:PASSWORD@HOST/PATH`, and is never shown. Empty: none",
    required: false,
    kind: FieldKind::Text {
        word: "URLS",
        clears: true,
        read: |text| Ok(text.parse::<RelayAddresses>()?.kept()),
        // An address that only newer nodes allow must not take the mount off the air.
        put: |mount, text| {
            mount.relay = text.parse().unwrap_or_default();
            Ok(())
        },
        show: |mount| mount.relay.to_string(),
    },
};

pub(super) const IMPORTED_FROM: Field<MountSpec> = Field {
    key: "imported_from",
    help: "the list of streams of another server because of which the mount is here: `antiphon import` changes and deletes it. \
           Empty: it is your own, and is left alone",
    required: false,
    kind: FieldKind::Text {
        word: "URL",
        clears: true,
        read: |text| Ok(text.parse::<RelayAddress>()?.place()),
        // What only newer nodes write must not take the mount off the air.
        put: |mount, text| {
            mount.imported_from = text
                .parse::<RelayAddress>()
                .map_or_else(|_| String::new(), |it| it.place());
            Ok(())
        },
        show: |mount| mount.imported_from.clone(),
    },
};

/// Why a mount cannot be relayed as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayFault {
    /// The stream is made by a transcoder.
    #[error(
        "relay: the mount is transcoded, so its stream comes from another mount: set relay for that one, or transcode_from= \
         for this one"
    )]
    Transcoded,
    /// An encoder sends the stream whenever it likes.
    #[error(
        "on_demand: only for a mount that is transcoded or relayed; set transcode_from or relay, too, or leave it out"
    )]
    NotOnDemand,
}

/// Whether an edit is about what [`relay_fault`] looks at.
pub fn is_about_relaying(edit: &BTreeMap<String, Value>) -> bool {
    let keys = [RELAY.key, TRANSCODE_FROM.key, ON_DEMAND.key];
    keys.iter().any(|key| edit.contains_key(*key))
}

/// Why a mount cannot be as an edit would leave it, if it is the edit that is wrong.
pub fn relay_fault(edit: &BTreeMap<String, Value>, edited: &MountSpec) -> Option<RelayFault> {
    let sets = |key: &str| edit.get(key).is_some_and(|value| *value != Value::Nothing);
    let is_transcoded = edited.transcode.transcode_from.is_some();
    let is_relayed = !edited.relay.is_empty();
    if is_transcoded && is_relayed && (sets(RELAY.key) || sets(TRANSCODE_FROM.key)) {
        return Some(RelayFault::Transcoded);
    }
    let is_set = edit.get(ON_DEMAND.key) == Some(&Value::Flag(true));
    (is_set && !is_transcoded && !is_relayed).then_some(RelayFault::NotOnDemand)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::mounts::MOUNT_KIND;

    #[test]
    fn addresses_find_their_place_and_secrets_stay_unseen() {
        let set = [("relay", "http://u:p@a/x, https://b/y")];
        let edit = MOUNT_KIND.changes(set).unwrap().into_fields();
        let kept = Value::Text("http://u:p@a/x,https://b/y".to_owned());
        assert_eq!(edit["relay"], kept);
        let mut spec = (MOUNT_KIND.unset)();
        // The password is missing.
        let _missing = MOUNT_KIND.load_edited(&mut spec, None, &edit);
        assert_eq!(spec.relay.as_slice().len(), 2);
        let line = MOUNT_KIND.line(&spec);
        assert!(
            line.contains(" relay=http://***@a/x,https://b/y "),
            "{line}"
        );
        assert_eq!(RELAY.read(""), Ok(Value::Nothing));
    }

    #[test]
    fn a_bad_address_is_refused_with_its_place() {
        let changes = MOUNT_KIND.changes([("relay", "http://a/x,b/y")]);
        let error = changes.unwrap_err().to_string();
        assert!(error.starts_with("relay: `b/y` is no address"), "{error}");
    }

    #[test]
    fn an_address_of_a_newer_node_takes_no_mount_off_the_air() {
        let newer = Value::Text("srt://a/x".to_owned());
        let mut spec = (MOUNT_KIND.unset)();
        let newer = BTreeMap::from([("relay".to_owned(), newer)]);
        let outcome = MOUNT_KIND.load_edited(&mut spec, None, &newer);
        assert_eq!(outcome.unwrap_err().to_string(), "password_hash: missing");
        assert!(spec.relay.is_empty());
    }

    #[test]
    fn a_mount_is_transcoded_or_relayed() {
        let fault = |settings: &[(&str, &str)]| {
            let changes = MOUNT_KIND.changes(settings.iter().copied());
            let edit = changes.unwrap().into_fields();
            let mut spec = (MOUNT_KIND.unset)();
            let _missing = MOUNT_KIND.load_edited(&mut spec, None, &edit);
            relay_fault(&edit, &spec)
        };
        let (relay, from) = (("relay", "http://a/x"), ("transcode_from", "/other"));
        assert_eq!(fault(&[relay]), None);
        assert_eq!(fault(&[relay, from]), Some(RelayFault::Transcoded));
        let on_demand = ("on_demand", "true");
        assert_eq!(fault(&[on_demand]), Some(RelayFault::NotOnDemand));
        assert_eq!(fault(&[on_demand, relay]), None);
        assert_eq!(fault(&[on_demand, from]), None);
        assert_eq!(fault(&[("on_demand", "false")]), None);
    }
}
