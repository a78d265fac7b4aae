//! Parses the text of a policy into its stages.
//!
//! An invalid policy is refused as a whole, and the error says where it is invalid: half a policy would send listeners
//! where its author did not want them.

use std::str::FromStr;

use super::{Nearness, Policy, Selector, Spill, Stage};
use crate::model::suggest::nearest;

/// The longest text of a policy. It is a value of the replicated document, and a person reads it.
pub const MAX_BYTES: usize = 1_024;

/// The most tokens of a policy, the selector included: each choice runs through all of them.
pub const MAX_STAGES: usize = 32;

/// The most letters of an invalid token that an error repeats: the longest valid one is `bandwidth_available`.
const MAX_QUOTED: usize = 40;

/// The names of all tokens, for "did you mean".
const NAMES: [&str; 16] = [
    "bandwidth_available",
    "bandwidth_score",
    "best",
    "cpu_score",
    "geo",
    "holds_mount",
    "icecast_active",
    "listeners_available",
    "listeners_score",
    "not_tag",
    "random",
    "tag",
    "two_choices",
    "water",
    "weight",
    "weighted",
];

/// Why a text is not a policy. Nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// The policy is longer than [`MAX_BYTES`].
    #[error("the policy is too long: {0} bytes, at most {MAX_BYTES}")]
    TooLong(usize),
    /// The policy has more tokens than [`MAX_STAGES`].
    #[error("the policy has too many tokens: at most {MAX_STAGES}")]
    TooMany,
    /// One token is invalid.
    #[error("token {number} (column {column}): {fault}")]
    Token {
        /// The number of the token, from 1.
        number: usize,
        /// The letter of the text at which the token begins, from 1.
        column: usize,
        /// The fault of the token.
        fault: Fault,
    },
}

/// The fault of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing stands between two commas, or in the whole policy.
    #[error("a token is missing; the usual policy is `weight,water`")]
    Missing,
    /// No token has this name.
    #[error("{token:?} is unknown{}", did_you_mean(*.nearest))]
    Unknown {
        /// The word that was written.
        token: String,
        /// The token that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The token's arguments are invalid.
    #[error("invalid arguments of `{token}`: write {usage}")]
    Arguments {
        /// The token's name.
        token: &'static str,
        /// How the token is written.
        usage: &'static str,
    },
    /// A bracket is opened and not closed, or something follows it.
    #[error("{0:?} has brackets that do not match")]
    Brackets(String),
    /// A selector was named before.
    #[error("a policy has one selector, and `{0}` is one already")]
    SecondSelector(Selector),
    /// Something follows the selector.
    #[error("`{0}` selects a node, so it must be the last token")]
    SelectorNotLast(Selector),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || format!("; known are {}", NAMES.join(", ")),
        |name| format!("; did you mean `{name}`?"),
    )
}

/// The meaning of a token.
enum ParsedToken {
    Stage(Stage),
    Selector(Selector),
}

/// The place of a token in the text.
#[derive(Clone, Copy)]
struct TokenPlace {
    number: usize,
    column: usize,
}

impl TokenPlace {
    fn is_wrong(self, fault: Fault) -> BadPolicy {
        let Self { number, column } = self;
        BadPolicy::Token {
            number,
            column,
            fault,
        }
    }
}

impl FromStr for Policy {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        if text.len() > MAX_BYTES {
            return Err(BadPolicy::TooLong(text.len()));
        }
        let mut stages = Vec::new();
        let mut selector: Option<(Selector, TokenPlace)> = None;
        for (place, token) in tokens(text)? {
            let part = part(token).map_err(|fault| place.is_wrong(fault))?;
            match (part, selector) {
                (ParsedToken::Stage(stage), None) => stages.push(stage),
                (ParsedToken::Selector(it), None) => selector = Some((it, place)),
                (ParsedToken::Selector(_), Some((first, _))) => {
                    return Err(place.is_wrong(Fault::SecondSelector(first)));
                }
                (ParsedToken::Stage(_), Some((first, its_place))) => {
                    return Err(its_place.is_wrong(Fault::SelectorNotLast(first)));
                }
            }
        }
        let selector = selector.map_or_else(Selector::default, |(it, _)| it);
        Ok(Self { stages, selector })
    }
}

impl TryFrom<String> for Policy {
    type Error = BadPolicy;

    fn try_from(text: String) -> Result<Self, BadPolicy> {
        text.parse()
    }
}

/// The tokens without the spaces around them. A comma within brackets belongs to the arguments.
fn tokens(text: &str) -> Result<Vec<(TokenPlace, &str)>, BadPolicy> {
    let mut inside = false;
    let pieces = text.split(|letter| {
        match letter {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        letter == ',' && !inside
    });
    let (mut tokens, mut begin) = (Vec::new(), 1);
    for (index, piece) in pieces.enumerate() {
        if index == MAX_STAGES {
            return Err(BadPolicy::TooMany);
        }
        let spaces = piece.len() - piece.trim_start().len();
        let place = TokenPlace {
            number: index + 1,
            column: begin + piece[..spaces].chars().count(),
        };
        begin += piece.chars().count() + 1;
        tokens.push((place, piece.trim()));
    }
    Ok(tokens)
}

fn part(token: &str) -> Result<ParsedToken, Fault> {
    if token.is_empty() {
        return Err(Fault::Missing);
    }
    let quoted = || token.chars().take(MAX_QUOTED).collect::<String>();
    let (name, arguments) = match token.split_once('(') {
        None if token.contains(')') => return Err(Fault::Brackets(quoted())),
        None => (token, None),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(inner) if !inner.contains(['(', ')']) => (name.trim_end(), Some(inner)),
            _ => return Err(Fault::Brackets(quoted())),
        },
    };
    let Some(name) = NAMES.iter().copied().find(|known| *known == name) else {
        let token = name.chars().take(MAX_QUOTED).collect::<String>();
        let nearest = nearest(&token, &NAMES);
        return Err(Fault::Unknown { token, nearest });
    };
    let arguments: Option<Vec<&str>> =
        arguments.map(|inner| inner.split(',').map(str::trim).collect());
    read(name, arguments.as_deref()).ok_or_else(|| Fault::Arguments {
        token: name,
        usage: usage(name),
    })
}

/// The stage or selector of this name; `None` if it does not take these arguments.
fn read(name: &str, arguments: Option<&[&str]>) -> Option<ParsedToken> {
    let stage = match (name, arguments) {
        ("icecast_active", None) => Stage::IcecastActive,
        ("listeners_available", None) => Stage::ListenersAvailable,
        ("bandwidth_available", None) => Stage::BandwidthAvailable,
        ("listeners_score", None) => Stage::ListenersScore,
        ("bandwidth_score", None) => Stage::BandwidthScore,
        ("cpu_score", None) => Stage::CpuScore,
        ("weight", None) => Stage::Weight,
        ("holds_mount", None) => Stage::HoldsMount(Spill::default()),
        ("holds_mount", Some([percent])) => Stage::HoldsMount(spill(percent)?),
        ("tag", Some([tag])) => Stage::Tag(tag.parse().ok()?),
        ("not_tag", Some([tag])) => Stage::NotTag(tag.parse().ok()?),
        ("geo", Some([by])) => Stage::Geo(nearness(by)?, Spill::default()),
        ("geo", Some([by, percent])) => Stage::Geo(nearness(by)?, spill(percent)?),
        (_, None) => {
            let selector = Selector::ALL.into_iter().find(|it| it.as_str() == name)?;
            return Some(ParsedToken::Selector(selector));
        }
        _ => return None,
    };
    Some(ParsedToken::Stage(stage))
}

fn usage(name: &str) -> &'static str {
    match name {
        "geo" => {
            "`geo(country)` or `geo(distance)`, or with a spill level in per cent: `geo(country,90)`"
        }
        "holds_mount" => "`holds_mount`, or with a spill level in per cent: `holds_mount(90)`",
        "tag" => {
            "`tag(fast)`, with a tag or a node's name: lower-case letters, digits, dots, underscores and hyphens"
        }
        "not_tag" => {
            "`not_tag(slow)`, with a tag or a node's name: lower-case letters, digits, dots, underscores and hyphens"
        }
        _ => "without brackets",
    }
}

fn nearness(text: &str) -> Option<Nearness> {
    match text {
        "country" => Some(Nearness::Country),
        "distance" => Some(Nearness::Distance),
        _ => None,
    }
}

fn spill(text: &str) -> Option<Spill> {
    // `parse` alone would accept a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    Spill::percent(text.parse().ok().filter(|_| digits)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        text.parse::<Policy>().unwrap_err().to_string()
    }

    #[test]
    fn every_token_is_read_and_written() {
        for text in [
            "weight,water",
            "listeners_available,listeners_score,weighted",
            "icecast_active,bandwidth_available,bandwidth_score,best",
            "not_tag(slow),random",
            "tag(node-1),geo(country),geo(distance,50),holds_mount(80),cpu_score,two_choices",
        ] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
        }
        for name in NAMES {
            let bare = name.parse::<Policy>();
            let known = !matches!(
                bare,
                Err(BadPolicy::Token {
                    fault: Fault::Unknown { .. },
                    ..
                })
            );
            assert!(known, "{name}");
        }
    }

    #[test]
    fn spaces_and_defaults_are_left_out_of_the_canonical_text() {
        let policy: Policy = " geo ( country , 90 ) ,\tholds_mount(90) ".parse().unwrap();
        assert_eq!(policy.to_string(), "geo(country),holds_mount,water");
        let default = Policy::default();
        assert_eq!(default.to_string(), "weight,water");
        assert_eq!("weight".parse(), Ok(default));
    }

    #[test]
    fn an_unknown_token_is_named_with_the_nearest_one() {
        assert_eq!(
            error("weight, listener_score,water"),
            "token 2 (column 9): \"listener_score\" is unknown; did you mean `listeners_score`?"
        );
        assert!(error("wheight").ends_with("did you mean `weight`?"));
        assert!(error("é,colour").starts_with("token 1 (column 1): \"é\" is unknown; known are"));
        assert!(error("geo(country),x").starts_with("token 2 (column 14)"));
    }

    #[test]
    fn a_selector_is_single_and_last() {
        assert_eq!(
            error("water,weight"),
            "token 1 (column 1): `water` selects a node, so it must be the last token"
        );
        assert_eq!(
            error("weight,best,water"),
            "token 3 (column 13): a policy has one selector, and `best` is one already"
        );
    }

    #[test]
    fn wrong_arguments_are_told_the_right_ones() {
        for bad in [
            "geo",
            "geo()",
            "geo(city)",
            "geo(country,0)",
            "geo(country,101)",
            "geo(country,+9)",
            "geo(country,90,1)",
            "tag",
            "tag()",
            "tag(A)",
            "tag(a,b)",
            "weight(2)",
            "water()",
            "holds_mount(x)",
        ] {
            assert!(
                error(bad).starts_with("token 1 (column 1): invalid arguments of"),
                "{bad}: {}",
                error(bad)
            );
        }
        for bad in [
            "geo(country",
            "geo(country))",
            "tag(a)b",
            "water)",
            "tag((a)",
        ] {
            assert!(error(bad).ends_with("brackets that do not match"), "{bad}");
        }
        for bad in ["", ",", "weight,,water", "weight,"] {
            assert!(error(bad).contains("a token is missing"), "{bad}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let many = ["weight"; MAX_STAGES].join(",");
        assert!(many.parse::<Policy>().is_ok());
        assert_eq!(
            format!("{many},water").parse::<Policy>(),
            Err(BadPolicy::TooMany)
        );
        let long = " ".repeat(MAX_BYTES + 1);
        assert_eq!(
            long.parse::<Policy>(),
            Err(BadPolicy::TooLong(MAX_BYTES + 1))
        );
    }

    fn token() -> impl Strategy<Value = String> {
        let name = proptest::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            4 => name,
            1 => "tag\\([a-z0-9._-]{1,8}\\)",
            1 => "geo\\((country|distance)(, ?[0-9]{1,3})?\\)",
            1 => "holds_mount\\([0-9]{1,3}\\)",
            1 => "[a-z(),é ]{0,6}",
        ]
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Policy>().map_err(|error| error.to_string());
        }

        #[test]
        fn a_written_policy_reads_as_the_same(tokens in proptest::collection::vec(token(), 1..6)) {
            if let Ok(policy) = tokens.join(" , ").parse::<Policy>() {
                let text = policy.to_string();
                prop_assert_eq!(text.parse::<Policy>().unwrap().to_string(), text.clone());
                prop_assert_eq!(text.parse::<Policy>().unwrap(), policy);
            }
        }
    }
}
