//! The settings of an outside server, each said once.

use super::address::public_url;
use super::mapping::{mounts, written};
use crate::logic::records::field::{FROM_ONE, Field, FieldKind, FlagWords};
use crate::logic::records::mistake::Mistake;
use crate::model::geo::Country;
use crate::model::outside::OutsideServer;
use crate::model::traits::NodeTraits;

/// The longest `user:password`: far below what a head of HTTP can hold, encoded.
const MAX_LOGIN_BYTES: usize = 512;

/// In the order in which they are shown.
pub(super) const FIELDS: &[Field<OutsideServer>] = &[
    Field {
        key: "public_url",
        help: "address for listeners, such as `http://relay.example:8000`; the server's own name of the mount and the \
               listener's query are added to it",
        required: true,
        kind: FieldKind::Text {
            word: "URL",
            clears: false,
            read: read_url,
            put: |server, url| {
                server.public_url = public_url(url)?;
                Ok(())
            },
            show: |server| server.public_url.clone(),
        },
    },
    Field {
        key: "poll_url",
        help: "address at which nodes ask for its load, often an internal one; empty: `public_url`. With `https://` its \
               certificate must be one that the machine trusts",
        required: false,
        kind: FieldKind::Text {
            word: "URL",
            clears: true,
            read: read_url,
            put: |server, url| {
                server.poll_url = public_url(url)?;
                Ok(())
            },
            show: |server| server.poll_url.clone(),
        },
    },
    Field {
        key: "via",
        help: "how nodes ask: `status-json` (every Icecast from 2.4 on; tells no limits), `load-xsl` (a page to be put \
               into its web root; tells free slots) or `admin-stats` (needs a login; tells the limits of mounts)",
        required: false,
        kind: FieldKind::Choice {
            words: &["status-json", "load-xsl", "admin-stats"],
            clears: false,
            put: |server, word| {
                server.via = word.parse()?;
                Ok(())
            },
            show: |server| server.via.word(),
        },
    },
    Field {
        key: "login",
        help: "`USER:PASSWORD` for the question. On a command line only empty, which removes it; give a new one with \
               `--login-file`",
        required: false,
        kind: FieldKind::Secret {
            check: check_login,
            put: |server, login| server.login = Some(login.into()),
        },
    },
    Field {
        key: "weight",
        help: "share of listeners compared with its size, per cent: 0 to 1000; 0 keeps listeners away",
        required: false,
        kind: FieldKind::Number {
            bounds: [0, NodeTraits::MAX_WEIGHT_PERCENT],
            example: 50,
            put: |server, percent| server.weight_percent = percent,
            get: |server| server.weight_percent,
        },
    },
    Field {
        key: "country",
        help: "two letters, for policies such as `geo(country)`; empty: unknown, which is neutral",
        required: false,
        kind: FieldKind::Text {
            word: "CC",
            clears: true,
            read: |text| Ok(text.parse::<Country>().map(String::from)?),
            put: |server, country| {
                server.country = Some(country.parse()?);
                Ok(())
            },
            show: |server| server.country.map_or_else(String::new, String::from),
        },
    },
    Field {
        key: "enabled",
        help: "whether the server is asked and chosen, as by `antiphon outside enable` and `disable`",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::TrueFalse,
            put: |server, flag| server.enabled = flag,
            get: |server| server.enabled,
        },
    },
    Field {
        key: "max_listeners",
        help: "the most listeners to count on, where the server names no limit itself: `<clients>` of its settings. If \
               the server says less, that counts",
        required: false,
        kind: FieldKind::Optional {
            bounds: FROM_ONE,
            example: 500,
            none: "what it says",
            put: |server, most| server.max_listeners = most,
            get: |server| server.max_listeners,
        },
    },
    Field {
        key: "mounts",
        help: "mounts that it carries: `/ours=/theirs`, or `/same` if both names are equal; several with commas, at most 32",
        required: true,
        kind: FieldKind::Text {
            word: "/OURS=/THEIRS",
            clears: false,
            read: |text| Ok(written(&mounts(text)?)),
            put: |server, text| {
                server.mounts = mounts(text)?;
                Ok(())
            },
            show: |server| written(&server.mounts).replace('\n', " "),
        },
    },
];

fn read_url(url: &str) -> Result<String, Mistake> {
    Ok(public_url(url)?)
}

fn check_login(text: &str) -> Result<(), Mistake> {
    let fits = text.len() <= MAX_LOGIN_BYTES && !text.chars().any(char::is_control);
    // The user's name ends with the first colon.
    let user = text.split_once(':').map(|(user, _)| user);
    match fits && user.is_some_and(|user| !user.is_empty()) {
        true => Ok(()),
        false => Err(Mistake::new(format!(
            "must be USER:PASSWORD without control characters, at most {MAX_LOGIN_BYTES} bytes"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::outside::OUTSIDE_KIND;
    use crate::model::record::Value;

    #[test]
    fn a_bad_value_is_refused_with_its_fields_name() {
        let long = format!("u:{}", "x".repeat(MAX_LOGIN_BYTES));
        for (field, value) in [
            ("public_url", ""),
            ("public_url", "relay"),
            ("poll_url", "ftp://a"),
            ("via", "telnet"),
            ("login", "nocolon"),
            ("login", ":x"),
            ("login", "a:b\nc"),
            ("login", &long),
            ("weight", "-1"),
            ("weight", "1001"),
            ("weight", ""),
            ("country", "deu"),
            ("enabled", "on"),
            ("max_listeners", "0"),
            ("max_listeners", "many"),
            ("mounts", ""),
            ("mounts", "radio"),
        ] {
            let error = OUTSIDE_KIND
                .changes([(field, value)])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
            assert!(!error.contains("nocolon"), "{error}");
        }
    }

    #[test]
    fn an_optional_field_is_cleared_by_an_empty_value() {
        for field in ["poll_url", "login", "country", "max_listeners"] {
            let changes = OUTSIDE_KIND.changes([(field, "")]).unwrap();
            assert_eq!(changes.into_fields()[field], Value::Nothing, "{field}");
        }
    }
}
