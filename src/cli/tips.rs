//! Tips for mistyped command lines, beyond those that the parser gives by itself.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::model::suggest::nearest;

/// Adds the tip for a setting that `set` got as a flag, since `--linger-s 30` is written `linger_s=30` there, for a
/// flag whose value is behind a blank, for a word in the wrong place, or where settings are missing.
pub(super) fn add(error: &mut clap::Error, grammar: &clap::Command, arguments: &[OsString]) {
    let words: Vec<&str> = arguments.iter().filter_map(|it| it.to_str()).collect();
    let tip = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, _) => settings_to_see(&words),
        (_, Some(ContextValue::String(wrong))) => {
            let right = setting(grammar, &words, wrong);
            let right = right.or_else(|| joined(grammar, &words, wrong));
            let right = right.map(|right| format!("write {right}"));
            right.or_else(|| word_in_place(&words))
        }
        _ => None,
    };
    let Some(tip) = tip else {
        return;
    };
    let tip = vec![tip.into()];
    error.remove(ContextKind::SuggestedArg);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
}

/// The tip for a `set` without settings.
fn settings_to_see(words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| *word == "set")?;
    let command = words.get(..=at)?.join(" ");
    Some(format!("`{command} --help` lists the settings"))
}

/// The flag with the value that stands behind a blank, where it has to stand behind `=`.
fn joined(grammar: &clap::Command, words: &[&str], wrong: &str) -> Option<String> {
    let at = words.iter().position(|word| *word == wrong)?;
    let flag = words.get(at.checked_sub(1)?)?.strip_prefix("--")?;
    let command = grammar.find_subcommand(words.get(1)?)?;
    let inner = words.iter().find_map(|word| command.find_subcommand(word));
    let mut known = inner.unwrap_or(command).get_arguments();
    let arg = known.find(|arg| arg.get_long() == Some(flag))?;
    if !arg.is_require_equals_set() {
        return None;
    }
    let values = arg.get_possible_values();
    let [yes, no] = [values.first()?, values.get(1)?].map(clap::builder::PossibleValue::get_name);
    let value = match wrong {
        "yes" | "on" | "true" | "1" => yes,
        "no" | "off" | "false" | "0" => no,
        _ => return None,
    };
    Some(format!("--{flag}={value}"))
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
            (
                "antiphon mount create /r.mp3 --hidden yes",
                Some("write --hidden=true"),
            ),
            (
                "antiphon mount create /r.mp3 --redirect off --name x",
                Some("write --redirect=false"),
            ),
            ("antiphon mount create /r.mp3 --hidden perhaps", None),
            (
                "antiphon mount set /r.mp3",
                Some("`antiphon mount set --help` lists the settings"),
            ),
            (
                "antiphon node set n1",
                Some("`antiphon node set --help` lists the settings"),
            ),
            ("antiphon mount create", None),
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
