//! The settings of a mount's ladder: what its listeners hear beside its own stream.

use crate::logic::ladder::{FALLBACK, SWITCHED_TO};
use crate::logic::records::field::{Field, FieldKind, FlagWords};
use crate::logic::records::texts::read_as;
use crate::model::fallback::Fallbacks;
use crate::model::mount::MountSpec;
use crate::model::switch::Switch;

/// The list of fallbacks.
pub(super) const FALLBACK_LIST: Field<MountSpec> = Field {
    key: FALLBACK,
    help: "the mounts and files that listeners hear when this one has no stream of its own, the best first, such as \
           `/auto.mp3,file:loop.mp3`: of the same format, at most 10; empty: none",
    required: false,
    kind: FieldKind::Text {
        word: "LIST",
        clears: false,
        read: read_as::<Fallbacks>,
        // What only newer nodes know must not take the mount off the air.
        put: |mount, list| {
            mount.fallback = Fallbacks::known(list);
            Ok(())
        },
        show: |mount| mount.fallback.to_string(),
    },
};

/// The return from a fallback.
pub(super) const FALLBACK_OVERRIDE: Field<MountSpec> = Field {
    key: "fallback_override",
    help: "`true` brings listeners back as soon as the mount, or a better fallback, has a stream again; `false` lets them \
           hear a fallback for as long as it has one",
    required: false,
    kind: FieldKind::Flag {
        words: FlagWords::TrueFalse,
        put: |mount, flag| mount.fallback_override = flag,
        get: |mount| mount.fallback_override,
    },
};

/// The fallback of a full mount.
pub(super) const FALLBACK_WHEN_FULL: Field<MountSpec> = Field {
    key: "fallback_when_full",
    help: "`true` lets listeners who find the mount full (`max_listeners`) hear its best fallback mount that is on air, as its \
           listeners: they do not return; `false` refuses them",
    required: false,
    kind: FieldKind::Flag {
        words: FlagWords::TrueFalse,
        put: |mount, flag| mount.fallback_when_full = flag,
        get: |mount| mount.fallback_when_full,
    },
};

/// An operator's order which stream is heard.
pub(super) const ORDER: Field<MountSpec> = Field {
    key: SWITCHED_TO,
    help: "the mount or file that listeners hear for as long as it is on air, whatever else is, such as `/auto.mp3`, or \
           `/auto.mp3 until Mon, 30 Nov 2026 15:20:00 GMT`: `antiphon mount switch` sets it; empty: none",
    required: false,
    kind: FieldKind::Text {
        word: "MOUNT",
        clears: true,
        read: |text| match text.is_empty() {
            true => Ok(String::new()),
            false => read_as::<Switch>(text),
        },
        // What only newer nodes know must not take the mount off the air.
        put: |mount, text| {
            mount.switched_to = text.parse().ok();
            Ok(())
        },
        show: |mount| {
            mount
                .switched_to
                .as_ref()
                .map(Switch::to_string)
                .unwrap_or_default()
        },
    },
};
