//! `antiphon completion`: prints the script by which a shell completes commands, flags and settings.

use std::collections::BTreeSet;

use anyhow::Context;
use clap::Args;
use clap_complete::{Shell, generate};

use super::terminal;

/// The name that is completed.
const PROGRAM: &str = "antiphon";

/// Bash takes `=` for the end of a word: the function of clap needs whole words, and bash only what follows the `=`. It
/// also writes a blank behind a completed word. None belongs between `linger_s=` and its value. And the function of clap
/// offers `true` behind `--standby` and a blank, where it would be refused: the flags of `FLAGS_BEFORE_EQUALS` are
/// passed over there.
const BASH_SETTINGS: &str = r#"
_antiphon_settings() {
    local line=${COMP_LINE:0:COMP_POINT}
    local word=${line##*[[:space:]]}
    local name=${word%%=*}
    if [[ $word != *=* && "FLAGS_BEFORE_EQUALS" == *" $3 "* ]]; then
        local -a given=("${COMP_WORDS[@]}")
        local at=$COMP_CWORD
        local -a COMP_WORDS=("${given[@]:0:at - 1}" "${given[@]:at}")
        local COMP_CWORD=$((at - 1))
        _antiphon "$1" "$2" "${COMP_WORDS[COMP_CWORD - 1]}"
    elif [[ $word != *=* || $COMP_WORDBREAKS != *=* ]]; then
        _antiphon "$@"
    else
        local -a COMP_WORDS
        read -ra COMP_WORDS <<< "$line"
        local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        if [[ $word == -* ]]; then
            COMP_WORDS[COMP_CWORD]=$name
            COMP_CWORD=$((COMP_CWORD + 1))
            COMP_WORDS[COMP_CWORD]=${word#*=}
            _antiphon "$1" "${word#*=}" "$name"
        else
            _antiphon "$1" "$word" "${COMP_WORDS[COMP_CWORD - 1]}"
            COMPREPLY=("${COMPREPLY[@]#"$name="}")
            if [[ -z ${COMPREPLY[*]} ]]; then COMPREPLY=(); fi
            compopt +o default +o bashdefault
        fi
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -F _antiphon_settings -o bashdefault -o default antiphon
"#;

#[derive(Debug, Args)]
pub(super) struct CompletionArgs {
    /// Shell that reads the script
    shell: Shell,
}

/// Prints the script.
pub(super) fn completion(args: &CompletionArgs) -> anyhow::Result<()> {
    Ok(terminal::print(&script(args.shell)?)?)
}

fn script(shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    generate(shell, &mut super::grammar(), PROGRAM, &mut script);
    let mut script = String::from_utf8(script).context("the script is not UTF-8")?;
    let flags = flags_before_equals(&super::grammar());
    match shell {
        Shell::Bash => {
            let flags: String = flags.iter().map(|flag| format!(" --{flag} ")).collect();
            script += &BASH_SETTINGS.replace("FLAGS_BEFORE_EQUALS", &flags);
        }
        Shell::Zsh => {
            for flag in flags {
                script = script.replace(&format!("--{flag}=["), &format!("--{flag}=-["));
            }
        }
        Shell::Fish => script = without_need(&script, &flags) + &fish_settings(),
        _ => {}
    }
    Ok(script)
}

/// The flags of a command and of all below it that take a value behind `=` only, such as `--standby=false`.
fn flags_before_equals(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments();
    let own = own.filter(|arg| arg.is_require_equals_set());
    let own = own.filter_map(|arg| arg.get_long().map(str::to_owned));
    let below = command.get_subcommands().flat_map(flags_before_equals);
    own.chain(below).collect()
}

/// The script for fish, in which these flags do not need a value: fish offers one only behind `=` then.
fn without_need(script: &str, flags: &BTreeSet<String>) -> String {
    let lines = script.lines().map(|line| {
        let is_one = |flag: &String| line.contains(&format!(" -l {flag} "));
        match line.rsplit_once(" -r -f -a ") {
            Some((before, values)) if flags.iter().any(is_one) => {
                format!("{before} -f -a {values}\n")
            }
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// Lines for the settings in fish: its script from clap has flags and commands only.
fn fish_settings() -> String {
    let grammar = super::grammar();
    let mut lines = String::new();
    for command in grammar.get_subcommands() {
        let Some(set) = command.find_subcommand("set") else {
            continue;
        };
        let parsers = set.get_positionals().map(clap::Arg::get_value_parser);
        let words = parsers.filter_map(|parser| parser.possible_values());
        let words: Vec<String> = words
            .flatten()
            .map(|word| word.get_name().to_owned())
            .collect();
        if !words.is_empty() {
            let (name, words) = (command.get_name(), words.join(" "));
            // A path, a node or a value may be called like a command.
            lines += &format!(
                "complete -c {PROGRAM} -n 'set -l words (commandline -opc); \
                 test \"$words[2..3]\" = \"{name} set\"' -f -a '{words}'\n"
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use clap::ValueEnum as _;

    use super::*;

    /// The words that bash offers at the end of this line. `words` are those into which bash splits it.
    fn offered(line: &str, words: &[&str]) -> Vec<String> {
        let script = script(Shell::Bash).unwrap();
        let driver = r#"
COMP_LINE=$1; shift; COMP_POINT=${#COMP_LINE}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
part=${COMP_WORDS[COMP_CWORD]}; if [[ $part == = ]]; then part=; fi
_antiphon_settings antiphon "$part" "${COMP_WORDS[COMP_CWORD - 1]}"
if [[ ${#COMPREPLY[@]} -gt 0 ]]; then printf '%s\n' "${COMPREPLY[@]}"; fi"#;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{script}{driver}").unwrap();
        let mut bash = Command::new("bash");
        bash.arg("--norc").arg(file.path()).arg(line).args(words);
        let output = bash.output().unwrap();
        let offered = String::from_utf8(output.stdout).unwrap();
        offered.lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_the_value_behind_an_equals_sign() {
        let set = ["antiphon", "mount", "set", "/r.mp3"];
        let create = ["antiphon", "mount", "create", "/x"];
        let node = ["antiphon", "node", "set", "n1"];
        for (begun, parts, expected) in [
            (set, &["takeover", "=", "re"][..], &["refuse"][..]),
            (set, &["takeover", "="], &["refuse", "takeover"]),
            (set, &["takeo"], &["takeover=refuse", "takeover=takeover"]),
            (set, &["linger"], &["linger_s="]),
            (set, &["name", "=", "x"], &[]),
            (set, &["linger_s", "="], &[]),
            (node, &["maintenance", "=", "o"], &["on", "off"]),
            (create, &["--standby", "=", "t"], &["true"]),
            (create, &["--takeover", "=", "re"], &["refuse"]),
            (create, &["--takeo"], &["--takeover"]),
        ] {
            let line = format!("{} {}", begun.join(" "), parts.concat());
            let words = [&begun[..], parts].concat();
            assert_eq!(offered(&line, &words), expected, "{line}");
        }
    }

    #[test]
    fn no_value_is_offered_behind_a_blank_where_it_would_be_refused() {
        let create = ["antiphon", "mount", "create", "/x"];
        for flag in ["--standby", "--redirect"] {
            let line = format!("{} {flag} ", create.join(" "));
            let words = [&create[..], &[flag, ""]].concat();
            let other = offered(&line, &words);
            assert!(other.contains(&"--linger-s".to_owned()), "{other:?}");
            assert!(!other.contains(&"true".to_owned()), "{other:?}");
            let words = [&create[..], &[flag, "--takeo"]].concat();
            assert_eq!(offered(&format!("{line}--takeo"), &words), ["--takeover"]);
        }
        let found = offered("antiphon run --found ", &["antiphon", "run", "--found", ""]);
        assert_eq!(found, ["true", "false"], "taken there");
        let value = ["antiphon", "run", "--found", "=", "f"];
        assert_eq!(offered("antiphon run --found=f", &value), ["false"]);

        let (zsh, fish) = (script(Shell::Zsh).unwrap(), script(Shell::Fish).unwrap());
        for flag in ["standby", "redirect", "enabled"] {
            assert!(zsh.contains(&format!("--{flag}=-[")), "{flag}");
            assert!(!zsh.contains(&format!("--{flag}=[")), "{flag}");
            let is_its = |line: &&str| line.contains(&format!(" -l {flag} "));
            let line = fish.lines().find(is_its).unwrap();
            assert!(line.contains(" -f -a ") && !line.contains(" -r "), "{line}");
        }
        let takeover = fish.lines().find(|line| line.contains(" -l takeover "));
        assert!(takeover.unwrap().contains(" -r -f -a "), "{takeover:?}");
    }

    #[test]
    fn fish_offers_settings_only_behind_the_command_that_sets_them() {
        let lines = fish_settings();
        let mount = lines
            .lines()
            .find(|line| line.contains("linger_s="))
            .unwrap();
        assert!(
            mount.contains(r#"test "$words[2..3]" = "mount set"'"#),
            "{mount}"
        );
        assert!(!lines.contains("__fish_seen_subcommand_from"), "{lines}");
    }

    #[test]
    fn every_script_knows_commands_flags_and_settings() {
        for shell in Shell::value_variants() {
            let script = script(*shell).unwrap();
            for word in ["step-down", "overflow-percent"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell).unwrap();
            for word in [
                "linger_s=",
                "takeover=refuse",
                "maintenance=on",
                "poll_url=",
            ] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
