//! The settings of a mount that say who may listen.

use crate::logic::records::field::{FROM_ONE, Field, FieldKind};
use crate::model::listener_auth::ListenerAuth;
use crate::model::mount::MountSpec;

pub(super) const LISTENER_AUTH: Field<MountSpec> = Field {
    key: "listener_auth",
    help: "who may listen: `none` asks nobody; `htpasswd` lets in accounts of the mount (`antiphon account`); `token` lets in \
           signed tokens (`antiphon token`), which `htpasswd` takes, too",
    required: false,
    kind: FieldKind::Choice {
        words: &["none", "htpasswd", "token"],
        clears: true,
        // A rule that only newer nodes know must not let everybody in.
        put: |mount, word| {
            mount.listener_auth = word.parse().unwrap_or(ListenerAuth::Token);
            Ok(())
        },
        show: |mount| mount.listener_auth.word(),
    },
};

pub(super) const MAX_PER_ACCOUNT: Field<MountSpec> = Field {
    key: "max_per_account",
    help: "the most listeners of one account at each node: a number, or `unlimited`; Icecast's is 1, which a player that \
           comes back before its old connection has ended does not pass",
    required: false,
    kind: FieldKind::Optional {
        bounds: FROM_ONE,
        example: 2,
        none: "unlimited",
        put: |mount, most| mount.max_per_account = most,
        get: |mount| mount.max_per_account,
    },
};

pub(super) const TOKEN_SERIES: Field<MountSpec> = Field {
    key: "token_series",
    help: "a number that goes into every signed token: another one makes all tokens so far void",
    required: false,
    kind: FieldKind::Number {
        bounds: [0, u32::MAX],
        example: 1,
        put: |mount, series| mount.token_series = series,
        get: |mount| mount.token_series,
    },
};
