//! The command line: its commands and their exit codes.
//!
//! All but `run`, which is a node, `demo`, `secret`, `source` and `completion` are clients of a node's HTTP API.

mod account;
mod api;
mod cert;
mod completion;
mod demo;
mod failure;
mod fields;
mod file;
mod import;
mod listeners;
mod log_fields;
mod logging;
mod mount;
mod mount_changes;
mod moving_in;
mod node;
mod node_url;
mod outside;
mod password;
mod places;
mod policy;
mod quantities;
mod run;
mod rungs;
mod secret;
mod signals;
mod source;
mod status;
mod terminal;
mod tips;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use self::failure::{EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE};
use self::failure::{exit_code, is_untrusted, reasons};
use crate::io::child::guard;
use crate::settings::{Machine, RunArgs, Settings};

/// The advice for a node that does not answer.
const UNREACHABLE_HINT: &str =
    "; does a node run there? Name another one by --node http://HOST:PORT";

/// The advice for a node that does not prove by HTTPS that it is the one that was named.
const UNTRUSTED_HINT: &str = "; has the node a certificate for this very name? If that is of an authority of your own, name \
                              its certificate by --node-ca FILE";

/// A mesh that makes a handful of machines one fault-tolerant Icecast cluster
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 node unreachable";

const RUN_HELP: &str = "\
Each of these is also a key of the settings file and an environment variable:
--max-listeners is max_listeners in the file and ANTIPHON_MAX_LISTENERS;
several peers are written A:8000,B:8000 in ANTIPHON_JOIN. Flags win over
variables, and variables over the file, which is /etc/antiphon/antiphon.toml
for root, else ~/.config/antiphon/antiphon.toml, when it exists.

kill -HUP makes a node read the file, its secret and its geo database again.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node; with no flags at all it is a complete Icecast server
    #[command(after_help = RUN_HELP)]
    Run(Box<RunArgs>),
    /// Run a whole mesh on this machine, with a radio on air, to see it survive
    Demo(demo::DemoArgs),
    /// Make the secret that the nodes of one mesh share
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Send an MP3 or Ogg file over and over, as a radio would; end a source
    Source(source::SourceArgs),
    /// Create, show and change mounts
    Mount(mount::MountArgs),
    /// Show the nodes, take one out of service and back, move the master's seat
    Node(node::NodeCommandArgs),
    /// Show the listeners of all nodes, and end some of them
    Listeners(listeners::ListenersArgs),
    /// Show, change and explain how listeners are spread over the nodes
    Policy(policy::PolicyArgs),
    /// Change the admin password of the cluster, or that of Icecast servers which relay from it
    Password(password::PasswordArgs),
    /// Add, change, import and remove the accounts with which listeners log in to a mount
    Account(account::AccountArgs),
    /// Sign tokens by which listeners are let in to a mount, and make them void
    Token(token::TokenArgs),
    /// Keep files on all nodes that mounts play when nothing better flows
    File(file::FileArgs),
    /// Send listeners to Icecast servers that do not run antiphon, too
    Outside(outside::OutsideArgs),
    /// Make the mesh that an icecast.xml describes, or relay all streams that an Icecast server lists
    Import(import::ImportArgs),
    /// Get, show, renew and import certificates for HTTPS
    Cert(cert::CertArgs),
    /// Show the nodes and mounts of a mesh
    Status(status::StatusArgs),
    /// Print the script by which a shell completes commands, flags and settings
    Completion(completion::CompletionArgs),
}

/// The grammar of all commands, for tests that check a command without running it.
pub fn grammar() -> clap::Command {
    CommandLine::command()
}

/// Runs the command that the arguments of this process name, unless a node has started it to become another program.
pub fn main() -> ExitCode {
    if let Some(failed) = guard::take_over(std::env::args_os()) {
        return failed;
    }
    ExitCode::from(run_with(std::env::args_os()))
}

/// Reads the arguments, and checks what no argument alone shows: what makes no sense is refused before anything is done.
fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<CommandLine, clap::Error> {
    let mut grammar = CommandLine::command();
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let matches = grammar.try_get_matches_from_mut(&arguments);
    let matches = matches.map_err(|mut error| {
        tips::add(&mut error, &grammar, &arguments);
        error
    })?;
    let line = CommandLine::from_arg_matches(&matches).map_err(|why| why.format(&mut grammar))?;
    let checked = match &line.command {
        Command::Import(args) => args.check(),
        Command::Mount(args) => args.check(),
        Command::Node(args) => args.check(),
        Command::Listeners(args) => args.check(),
        Command::Outside(args) => args.check(),
        _ => Ok(()),
    };
    match checked {
        Ok(()) => Ok(line),
        Err(why) => Err(given(&mut grammar, &matches).error(ErrorKind::ArgumentConflict, why)),
    }
}

/// The innermost command that is given: an error ends with its usage.
fn given<'a>(grammar: &'a mut clap::Command, matches: &ArgMatches) -> &'a mut clap::Command {
    let (mut command, mut matches) = (grammar, matches);
    while let Some((name, below)) = matches.subcommand() {
        command = command
            .find_subcommand_mut(name)
            .expect("the grammar has what it has read");
        matches = below;
    }
    command
}

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let line = match parse(arguments) {
        Ok(line) => line,
        Err(error) => {
            // clap reports help and version as "errors" with code 0. If the text cannot be printed,
            // no one reads it; the code is still right.
            let _unread = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { 0 };
        }
    };
    let machine = Machine::here();
    for complaint in Settings::complaints(&machine) {
        terminal::warn(&complaint);
    }
    match line.command.run(&machine) {
        Ok(()) => 0,
        Err(error) => {
            let code = exit_code(&error);
            let hint = match code {
                EXIT_UNREACHABLE => UNREACHABLE_HINT,
                _ if is_untrusted(&error) => UNTRUSTED_HINT,
                _ => "",
            };
            terminal::complain(&format!("{}{hint}", reasons(&error)));
            code
        }
    }
}

impl Command {
    fn run(self, machine: &Machine) -> anyhow::Result<()> {
        // For a node the settings say what is logged, for the other commands only the variables.
        if !matches!(self, Self::Run(_)) {
            logging::start(&Settings::log_filter(machine)?);
        }
        match self {
            Self::Run(args) => run::run(*args, machine),
            Self::Demo(args) => run::wait_for(demo::demo(args)),
            Self::Secret(command) => secret::run(command),
            Self::Source(args) => run::wait_for(source::source(args)),
            Self::Mount(args) => run::wait_for(mount::mount(args)),
            Self::Node(args) => run::wait_for(node::node(args)),
            Self::Listeners(args) => run::wait_for(listeners::listeners(args)),
            Self::Policy(args) => run::wait_for(policy::policy(args)),
            Self::Password(args) => run::wait_for(password::password(args)),
            Self::Account(args) => run::wait_for(account::account(args)),
            Self::Token(args) => run::wait_for(token::token(args)),
            Self::File(args) => run::wait_for(file::file(args)),
            Self::Outside(args) => run::wait_for(outside::outside(args)),
            Self::Import(args) => run::wait_for(import::import(args)),
            Self::Cert(args) => run::wait_for(cert::cert(args)),
            Self::Status(args) => run::wait_for(status::status(args)),
            Self::Completion(args) => completion::completion(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        super::parse(line.split_whitespace())
    }

    #[test]
    fn the_tree_of_commands_is_sound() {
        CommandLine::command().debug_assert();
    }

    /// Every command below one, and itself.
    fn all(command: &clap::Command) -> Vec<clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        [command.clone()].into_iter().chain(below).collect()
    }

    #[test]
    fn the_text_below_a_help_is_wrapped_once() {
        /// The width of the narrowest terminal in use.
        const COLUMNS: usize = 80;
        for command in all(&CommandLine::command()) {
            let name = command.get_name().to_owned();
            let texts = [command.get_after_help(), command.get_after_long_help()];
            let texts: Vec<String> = texts
                .into_iter()
                .flatten()
                .map(|it| it.to_string())
                .collect();
            let shown = command.term_width(COLUMNS).render_long_help().to_string();
            for line in texts.iter().flat_map(|text| text.lines()) {
                assert!(line.chars().count() < COLUMNS, "{name}: {line}");
                assert!(
                    shown.lines().any(|it| it.trim_end() == line),
                    "{name}: {line}"
                );
            }
        }
    }

    #[test]
    fn a_usage_names_what_must_be_given() {
        for (line, usage) in [
            ("antiphon policy set", "<POLICY | --proxy-agents <TEXT>>"),
            (
                "antiphon outside set r1",
                "<FIELD=VALUE... | --login-file <FILE>>",
            ),
        ] {
            let error = parse(line).err().map(|it| it.to_string());
            assert!(
                error.as_ref().is_some_and(|it| it.contains(usage)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_mistake_is_told_with_an_example_and_the_usage_of_the_command() {
        for (line, example, usage) in [
            (
                "antiphon mount set /r.mp3 name=a name=b",
                "once, such as antiphon mount set /radio.mp3 name=",
                "\n\nUsage: antiphon mount set [OPTIONS] <PATH>",
            ),
            (
                "antiphon node set n1 weight=1 weight=2",
                "once, such as antiphon node set node-3 weight=50",
                "\n\nUsage: antiphon node set [OPTIONS] <NAME>",
            ),
            (
                "antiphon outside set r1 login= --login-file f",
                "once, such as antiphon outside set relay-1 --login-file",
                "\n\nUsage: antiphon outside set [OPTIONS] <NAME>",
            ),
            (
                "antiphon outside add r1 --public-url http://h:1 --mount /a=/b --mount /a=/c",
                ", such as antiphon outside add relay-1 --public-url",
                "\n\nUsage: antiphon outside add [OPTIONS]",
            ),
            (
                "antiphon listeners --json kill 1@n1",
                "ids only: antiphon listeners kill 42@n1",
                "\n\nUsage: antiphon listeners kill [OPTIONS] <ID>",
            ),
        ] {
            let told = parse(line).err().map(|it| it.to_string());
            let told = told.unwrap_or_default();
            assert!(told.contains(example) && told.contains(usage), "{told}");
        }
    }

    #[test]
    fn the_examples_in_mistakes_are_understood() {
        for example in [
            mount::SET_EXAMPLE,
            node::SET_EXAMPLE,
            outside::ADD_EXAMPLE,
            outside::SET_EXAMPLE,
            outside::LOGIN_EXAMPLE,
        ] {
            assert!(parse(example).is_ok(), "{example}");
        }
    }

    #[test]
    fn every_documented_line_is_understood() {
        for line in [
            "antiphon run",
            "antiphon run --config f --name n --data-dir d --listen 127.0.0.1:0 --public-url http://h:1 \
             --join a:1 --join b:2 --secret-file s --max-listeners 5 --max-bandwidth 100M --rank 7",
            "antiphon demo",
            "antiphon demo --nodes 5 --port 9000 --seconds 10 --source f.mp3",
            "antiphon secret generate",
            "antiphon secret generate --out f",
            "antiphon source f.mp3 http://source:pw@h:8000/radio.mp3",
            "antiphon mount create /r.mp3 --password p --name n --description d --genre g --url http://h --max-listeners 5",
            "antiphon mount list --node http://h:1",
            "antiphon mount list --json",
            "antiphon mount show /r.mp3 --json",
            "antiphon node drain node-3 --deadline 5m",
            "antiphon node undrain node-3",
            "antiphon run --log debug",
            "antiphon mount --node http://h:1 list",
            "antiphon mount show /r.mp3 --data-dir d",
            "antiphon mount set /r.mp3 name=n max_listeners=5 --password-file f",
            "antiphon mount create /r.mp3 --linger-s 0 --takeover takeover --standby",
            "antiphon mount create /r.mp3 --standby=false --redirect=false --policy water --countries de,at",
            "antiphon mount set /r.mp3 linger_s=30 takeover=refuse standby=true",
            "antiphon mount delete /r.mp3",
            "antiphon mount delete /r.mp3 --force",
            "antiphon mount create /r-64.opus --transcode-from /r.mp3 --codec opus --bitrate 64k --sample-rate 48000 --channels 2 \
             --on-demand",
            "antiphon mount create /r-v2.mp3 --transcode-from /r.mp3 --codec mp3 --quality 2 --on-demand=false",
            "antiphon mount set /r-64.opus transcode_from=/other.mp3 bitrate=96000 sample_rate= codec=",
            "antiphon mount ladder /r.mp3 --node http://h:1",
            "antiphon mount ladder --dry-run /r.mp3",
            "antiphon password set",
            "antiphon password set secret --node http://h:1 --password-file f",
            "antiphon password set --new-password-file g --data-dir d",
            "antiphon run --join a:1 --found",
            "antiphon run --join a:1 --found=false",
            "antiphon node list",
            "antiphon node list --json --node http://h:1",
            "antiphon node drain",
            "antiphon node drain --deadline 90s --data-dir d",
            "antiphon node --node http://h:1 drain --deadline 2m",
            "antiphon node undrain --password-file f",
            "antiphon node step-down",
            "antiphon node forget node-3",
            "antiphon node set node-3 weight=50 tags=fast,berlin maintenance=on",
            "antiphon listeners",
            "antiphon listeners /r.mp3 --json --node http://h:1",
            "antiphon listeners --data-dir d kill 42@n1 7@n2",
            "antiphon listeners kill 42@n1 --node http://h:1",
            "antiphon policy show",
            "antiphon policy set geo(country),weight,water --node http://h:1",
            "antiphon policy set --proxy-agents ESP32 --proxy-agents Sonos",
            "antiphon policy explain /radio.mp3 --from 192.0.2.7 --json",
            "antiphon outside add r1 --public-url http://h:1 --poll-url http://i:1 --via load-xsl --mount /a=/b --mount /c \
             --weight 50 --country de --max-listeners 90 --login-file f",
            "antiphon outside list --json",
            "antiphon outside set r1 weight=50 mounts=/a=/b,/c login= --data-dir d",
            "antiphon outside set r1 --login-file f",
            "antiphon outside disable r1",
            "antiphon outside enable r1 --node http://h:1",
            "antiphon outside remove r1",
            "antiphon import show --json",
            "antiphon import set import_streamlist=http://relay:pw@h:8000 import_on_demand=true",
            "antiphon cert enable --contact mailto:m@radio.example --directory https://h/d --directory-ca f --names a.example,*.b.example",
            "antiphon cert disable --node http://h:1",
            "antiphon cert list --json",
            "antiphon cert renew",
            "antiphon cert renew radio.example --data-dir d",
            "antiphon cert import chain.pem key.pem",
            "antiphon run --https m@radio.example",
            "antiphon password set --relay",
            "antiphon completion bash",
            "antiphon status",
            "antiphon status --json --node http://h:1",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "antiphon",
            "antiphon runn",
            "antiphon run --lisen 1.2.3.4:5",
            "antiphon run --listen 8000",
            "antiphon run --name Bad_Name",
            "antiphon run --public-url https://h",
            "antiphon run --join h",
            "antiphon run --max-bandwidth fast",
            "antiphon run --max-listeners -1",
            "antiphon demo --nodes 0",
            "antiphon demo --port 0",
            "antiphon source f.mp3",
            "antiphon source f.mp3 http://h/radio.mp3",
            "antiphon mount create radio",
            "antiphon mount create /admin/x",
            "antiphon mount set /r.mp3",
            "antiphon mount set /r.mp3 colour=red",
            "antiphon import set import_prefix=x",
            "antiphon import set import_keep_s=1 import_keep_s=2",
            "antiphon mount set /r.mp3 linger_s=601",
            "antiphon mount set /r.mp3 takeover=yes",
            "antiphon mount set /r.mp3 standby=maybe",
            "antiphon mount create /r.mp3 --takeover yes",
            "antiphon mount create /r.mp3 --url ftp://x",
            "antiphon mount create /r.mp3 --standby=maybe",
            "antiphon mount create /r.opus --codec opus",
            "antiphon mount create /r.opus --transcode-from /r.mp3",
            "antiphon mount create /r.opus --transcode-from /r.mp3 --codec opus --quality 5",
            "antiphon mount create /r.opus --transcode-from /r.mp3 --codec opus --sample-rate 44100",
            "antiphon mount create /s.mp3 --transcode-from /r.mp3 --codec mp3 --bitrate 100k",
            "antiphon mount create /s.mp3 --transcode-from /r.mp3 --codec mp3 --bitrate 64k --quality 2",
            "antiphon mount create /s.ogg --transcode-from /r.mp3 --codec ogg",
            "antiphon mount set /s.mp3 bitrate=64",
            "antiphon mount ladder",
            "antiphon mount list --node ftp://h",
            "antiphon mount list --data-dir d --password-file f",
            "antiphon password",
            "antiphon password set a --new-password-file f",
            "antiphon listeners radio",
            "antiphon listeners kill",
            "antiphon listeners kill 42",
            "antiphon policy",
            "antiphon policy set",
            "antiphon policy set watr",
            "antiphon policy explain",
            "antiphon policy explain /r.mp3 --from home",
            "antiphon node",
            "antiphon node drain --deadline 90",
            "antiphon node forget",
            "antiphon node forget Bad_Name",
            "antiphon completion cmd",
            "antiphon node set node-3",
            "antiphon outside add r1 --mount /a",
            "antiphon outside add r1 --public-url http://h:1",
            "antiphon outside add Bad_Name --public-url http://h:1 --mount /a",
            "antiphon outside add r1 --public-url http://h:1 --mount /a --via ftp",
            "antiphon outside add r1 --public-url h:1 --mount /a",
            "antiphon outside add r1 --public-url http://h:1 --mount a",
            "antiphon outside set r1",
            "antiphon outside set r1 login=a:b",
            "antiphon node set node-3 weight=heavy",
            "antiphon node set node-3 weight=1 weight=2",
            "antiphon node drain --deadline 25h",
            "antiphon mount set /r.mp3 name=a genre=b name=c",
            "antiphon mount set /r.mp3 password=",
            "antiphon mount create /r.mp3 --password=",
            "antiphon listeners /r.mp3 kill 1@n1",
            "antiphon listeners --json kill 1@n1",
            "antiphon outside add r1 --public-url http://h:1 --mount /a=/b --mount /a=/c",
            "antiphon outside set r1 weight=1 weight=2",
            "antiphon outside set r1 login= --login-file f",
        ] {
            let error = parse(line).err();
            assert!(error.is_some_and(|error| error.use_stderr()), "{line}");
        }
    }
}
