//! `antiphon completion`: prints the script by which a shell completes commands, flags and settings.

use anyhow::Context;
use clap::Args;
use clap_complete::{Shell, generate};

use super::terminal;

/// The name that is completed.
const PROGRAM: &str = "antiphon";

/// Bash writes a blank behind a completed word. None belongs between `linger_s=` and its value.
const BASH_SETTINGS: &str = r#"
_antiphon_settings() {
    _antiphon "$@"
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
    match shell {
        Shell::Bash => script += BASH_SETTINGS,
        Shell::Fish => script += &fish_settings(),
        _ => {}
    }
    Ok(script)
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
            lines += &format!(
                "complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}; \
                 and __fish_seen_subcommand_from set' -f -a '{words}'\n"
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

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
