//! The login of a client: the `Authorization` header.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::text::text_of;

/// Encoders have their own base64 code, and some forget the padding or leave bits set in the last
/// letter. Both can be decoded in one way only, so it is safe to accept them.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A user and a password, as the client typed them. Shows itself without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, `source` for most encoders. May be empty.
    pub user: String,
    /// The password. May be empty, and may hold colons.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &"***")
            .finish()
    }
}

/// The `Authorization` of `USER:PASSWORD`.
pub fn basic_of(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

/// Reads `Basic` credentials as UTF-8 if they are valid, otherwise as Latin-1, so that a password with an accent
/// is the same from every encoder.
pub fn basic(authorization: &str) -> Option<Credentials> {
    let decoded = TOLERANT
        .decode(after_scheme(authorization, "basic")?)
        .ok()?;
    if decoded.iter().any(u8::is_ascii_control) {
        return None;
    }
    let text = text_of(&decoded);
    let (user, password) = text.split_once(':')?;
    Some(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

/// Reads a `Bearer` token.
pub fn bearer(authorization: &str) -> Option<&str> {
    let token = after_scheme(authorization, "bearer")?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (!token.is_empty() && token.bytes().all(letter)).then_some(token)
}

fn after_scheme<'a>(authorization: &'a str, scheme: &str) -> Option<&'a str> {
    let (named, rest) = authorization.split_once([' ', '\t'])?;
    named
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(authorization: &str) -> Option<(String, String)> {
        basic(authorization).map(|found| (found.user, found.password))
    }

    fn text(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn the_password_begins_after_the_first_colon() {
        assert_eq!(pair("Basic c291cmNlOmhhY2ttZQ=="), text("source", "hackme"));
        assert_eq!(pair("basic   c291cmNlOmE6Yg=="), text("source", "a:b"));
        assert_eq!(pair("BASIC Og=="), text("", ""));
    }

    #[test]
    fn sloppy_base64_is_taken_and_wrong_base64_is_not() {
        assert_eq!(pair("Basic c291cmNlOmhhY2ttZQ"), text("source", "hackme"));
        assert_eq!(pair("Basic c291cmNlOmhhY2ttZR=="), text("source", "hackme"));
        for bad in [
            "Basic",
            "Basic ",
            "Basic !!!!",
            "Basic c291cmNl",
            "Basic YQA6Yg==",
            "Digest c291cmNlOmhhY2ttZQ==",
            "Basic c291 cmNlOmhhY2ttZQ==",
        ] {
            assert_eq!(pair(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_accent_is_the_same_in_both_encodings() {
        let latin = format!("Basic {}", TOLERANT.encode(b"source:caf\xe9"));
        let utf8 = format!("Basic {}", TOLERANT.encode("source:café"));
        assert_eq!(pair(&latin), text("source", "café"));
        assert_eq!(pair(&utf8), pair(&latin));
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(bearer("Bearer abc-._~+/="), Some("abc-._~+/="));
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Basic abc",
            "Bearer \u{e9}",
        ] {
            assert_eq!(bearer(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_do_not_print_their_password() {
        let found = basic("Basic c291cmNlOmhhY2ttZQ==");
        assert!(!format!("{found:?}").contains("hackme"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (basic(&text), bearer(&text));
            let _ = basic(&format!("Basic {text}"));
        }

        #[test]
        fn encoded_credentials_come_back(user in "[^:\\pC]*", password in "\\PC*") {
            let header = format!("Basic {}", TOLERANT.encode(format!("{user}:{password}")));
            prop_assert_eq!(pair(&header), Some((user, password)));
        }
    }
}
