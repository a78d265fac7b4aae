//! Tips for mistyped command lines, beyond those that the parser gives by itself.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};

use crate::model::suggest::nearest;

/// Adds the tip for a setting that `set` got as a flag, since `--linger-s 30` is written `linger_s=30` there, or for a
/// word in the wrong place.
pub(super) fn add(error: &mut clap::Error, grammar: &clap::Command, arguments: &[OsString]) {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let words: Vec<&str> = arguments.iter().filter_map(|it| it.to_str()).collect();
    let right = setting(grammar, &words, wrong).map(|right| format!("write {right}"));
    let Some(tip) = right.or_else(|| word_in_place(&words)) else {
        return;
    };
    let tip = vec![tip.into()];
    error.remove(ContextKind::SuggestedArg);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
}

/// The tip for a mistyped command in the place of a mount, or for an address as other encoders write it.
fn word_in_place(words: &[&str]) -> Option<String> {
    match words {
        [_, "listeners", word, ..] if *word != "kill" => {
            let meant = nearest(word, &["kill"])?;
            Some(format!("did you mean {meant}?"))
        }
        [_, "source", rest @ ..] if rest.iter().any(|word| word.starts_with("icecast://")) => {
            Some("write http:// in place of icecast://".to_owned())
        }
        _ => None,
    }
}

/// The setting that a flag of a `set` command stands for, as that command takes it.
fn setting(grammar: &clap::Command, words: &[&str], flag: &str) -> Option<String> {
    let command = grammar.find_subcommand(words.get(1)?)?;
    let set = command.find_subcommand("set")?;
    let flag = flag.split('=').next()?;
    let key = flag.strip_prefix("--")?.replace('-', "_");
    let begin = format!("{key}=");
    let parsers = set.get_positionals().map(clap::Arg::get_value_parser);
    let mut known = parsers
        .filter_map(|parser| parser.possible_values())
        .flatten();
    let is_known = known.any(|word| word.get_name().starts_with(&begin));
    if !words.contains(&"set") || !is_known {
        return None;
    }
    let value = match key.as_str() {
        // A password need not be in the scrollback once more.
        "password" | "login" => None,
        _ => value(words, flag),
    };
    Some(begin + value.unwrap_or("VALUE"))
}

/// The value that a flag is given, behind `=` or a blank.
fn value<'a>(words: &[&'a str], flag: &str) -> Option<&'a str> {
    let behind = |word: &&'a str| word.strip_prefix(flag)?.strip_prefix('=');
    let after = || {
        let at = words.iter().position(|word| *word == flag)?;
        words.get(at + 1).copied()
    };
    let value = words.iter().find_map(behind).or_else(after);
    value.filter(|value| !value.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use crate::cli::parse;

    #[test]
    fn a_slip_is_answered_with_the_right_form() {
        let kill = "did you mean kill?";
        for (line, tip) in [
            (
                "antiphon mount set /r.mp3 --linger-s 30",
                Some("write linger_s=30"),
            ),
            (
                "antiphon mount set /r.mp3 --linger-s=30",
                Some("write linger_s=30"),
            ),
            (
                "antiphon mount set /r.mp3 --standby",
                Some("write standby=VALUE"),
            ),
            ("antiphon mount set /r.mp3 --name x", Some("write name=x")),
            (
                "antiphon mount set /r.mp3 --password hackme",
                Some("write password=VALUE"),
            ),
            ("antiphon node set n1 --weight 50", Some("write weight=50")),
            ("antiphon mount set /r.mp3 --colour red", None),
            ("antiphon mount delete /r.mp3 --linger-s 30", None),
            ("antiphon run --weight 50", None),
            ("antiphon listeners kil 1@n1", Some(kill)),
            ("antiphon listeners klil", Some(kill)),
            ("antiphon listeners radio", None),
            (
                "antiphon source f.mp3 icecast://source:pw@h:8000/r.mp3",
                Some("write http:// in place of icecast://"),
            ),
            ("antiphon listeners kill 1", None),
        ] {
            let told = parse(line.split(' ')).err().map(|it| it.to_string());
            let told = told.unwrap_or_default();
            match tip {
                Some(tip) => assert!(told.contains(&format!("tip: {tip}\n")), "{told}"),
                None => assert!(
                    !told.contains("tip: write") && !told.contains("did you mean"),
                    "{told}"
                ),
            }
            assert!(
                !told.contains("hackme") && told.contains("--help"),
                "{told}"
            );
        }
    }
}
