//! `antiphon mount`: creates, shows and changes mounts through the API of a node.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::{Api, NodeArgs};
use super::fields::{self, Assignment, AssignmentParser};
use super::mount_changes::{self, MOUNTS, Shown, below, describe, forced, note_places};
use super::node_url::NodeUrl;
use super::rungs;
use super::terminal::{self, Side, TextTable};
use crate::logic::records::mounts::{MOUNT_KIND, relay_fault};
use crate::logic::transcoding::order::strict_order;
use crate::logic::transcoding::variants::{Variant, variants};
use crate::model::mount::{MountName, MountSpec};
use crate::model::source_user::SourceUser;
use crate::settings::Machine;

#[derive(Debug, Args)]
pub(super) struct MountArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: MountCommand,
}

#[derive(Debug, Subcommand)]
enum MountCommand {
    /// Create a mount, on all nodes at once
    Create(CreateArgs),
    /// List all mounts
    List {
        /// Print the node's own JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one mount
    Show {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
        /// Print the node's own JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Change a mount: its password, its texts, its limits, what happens to its sources and its listeners
    #[command(after_help = fields::help(&MOUNT_KIND))]
    Set {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
        /// New value of a field, such as name="My Radio"
        #[arg(required = true, value_name = "FIELD=VALUE", value_parser = AssignmentParser(&MOUNT_KIND), hide_possible_values = true)]
        changes: Vec<Assignment>,
        /// Show all settings of the mount afterwards, and not only those that were changed
        #[arg(long)]
        verbose: bool,
        /// Set fallbacks although their formats, or what their names say of these, do not fit together
        #[arg(long)]
        force: bool,
    },
    /// Delete a mount; its source and its listeners are disconnected
    Delete {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
        /// Delete it also if other mounts are transcoded from it, which have no stream then, or fall back to it
        #[arg(long)]
        force: bool,
    },
    /// Show what the listeners of a mount may hear, the best first: its own source, then its fallbacks
    Sources {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
    },
    /// Let the listeners of a mount hear a certain stream, whatever else is on air
    Switch(rungs::SwitchArgs),
    /// Create a usual family of mounts that are transcoded from one: mp3 of 128k and 64k, opus of 64k, aac of 96k
    #[command(after_help = LADDER_HELP)]
    Ladder {
        /// Path of the mount from which all are made, such as /radio.mp3
        path: MountName,
        /// Say what would be created, and create nothing
        #[arg(long)]
        dry_run: bool,
    },
}

const LADDER_HELP: &str = "\
The mounts of /radio.mp3 are /radio-128.mp3, /radio-64.mp3, /radio-64.opus and
/radio-96.aac. One that is there already with the same settings is left as it
is, so the command can be given again. If another mount has one of the names,
nothing is created.";

/// A right use of `set`, for those who get it wrong.
pub(super) const SET_EXAMPLE: &str = "antiphon mount set /radio.mp3 name=Radio linger_s=30";

#[derive(Debug, Args)]
struct CreateArgs {
    /// Path of the mount, such as /radio.mp3
    path: MountName,
    #[command(flatten)]
    settings: NewMount,
    /// Create it although the formats of its fallbacks, or what their names say of these, do not fit together
    #[arg(long)]
    force: bool,
}

/// The settings of a new mount, each by a flag.
#[derive(Debug)]
struct NewMount(Vec<Assignment>);

impl Args for NewMount {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(fields::flags(&MOUNT_KIND, &[]))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for NewMount {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(fields::given(&MOUNT_KIND, matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl NewMount {
    /// Checks what no flag alone shows: whether such a stream can be made by a transcoder.
    fn check(&self) -> Result<(), String> {
        let mut spec = (MOUNT_KIND.unset)();
        // Nobody knows the hash of the password yet.
        let kept = fields::kept(&MOUNT_KIND, &self.0);
        let _missing = MOUNT_KIND.load_edited(&mut spec, None, &kept);
        if let Some(fault) = relay_fault(&kept, &spec) {
            return Err(fault.to_string());
        }
        let order = strict_order(&spec.transcode);
        order.map(drop).map_err(|bad| bad.to_string())
    }
}

/// The answer when a mount was created.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    /// The settings of the mount.
    #[serde(flatten)]
    pub(super) spec: MountSpec,
    /// The password of its source; `None` if it is transcoded, and takes none.
    pub(super) password: Option<String>,
}

impl MountArgs {
    /// Finds a mistake that no argument alone shows.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.command {
            MountCommand::Create(args) => args.settings.check(),
            MountCommand::Set { changes, .. } => fields::check_once(changes, SET_EXAMPLE),
            _ => Ok(()),
        }
    }
}

/// Runs one command on mounts.
pub(super) async fn mount(args: MountArgs) -> anyhow::Result<()> {
    let node = args.node.node.clone();
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        MountCommand::Create(args) => create(&api, &node, args).await?,
        MountCommand::List { json: true } => api.ask_for_json(MOUNTS).await?,
        MountCommand::Show { path, json: true } => api.ask_for_json(&below(&path)).await?,
        MountCommand::List { json: false } => {
            let mounts: Vec<MountSpec> = api.ask_for(Method::GET, MOUNTS, None).await?;
            list(&mounts)
        }
        MountCommand::Show { path, json: false } => {
            let spec = api.ask_for(Method::GET, &below(&path), None).await?;
            describe(&spec, None)
        }
        MountCommand::Set {
            path,
            changes,
            verbose,
            force,
        } => {
            let shown = match verbose {
                true => Shown::All,
                false => Shown::Changed,
            };
            let target = below(&path) + forced(force);
            mount_changes::set(&api, &target, changes, shown).await?
        }
        MountCommand::Delete { path, force } => mount_changes::delete(&api, &path, force).await?,
        MountCommand::Sources { path } => rungs::list(&api, &path).await?,
        MountCommand::Switch(args) => rungs::switch(&api, args).await?,
        MountCommand::Ladder { path, dry_run } => create_ladder(&api, &path, dry_run).await?,
    };
    Ok(terminal::print(&text)?)
}

/// Creates a mount and returns its spec and the password of its source.
pub(super) async fn make(
    api: &Api,
    path: &MountName,
    fields: Map<String, Value>,
) -> anyhow::Result<Created> {
    make_forced(api, path, fields, false).await
}

async fn make_forced(
    api: &Api,
    path: &MountName,
    mut fields: Map<String, Value>,
    force: bool,
) -> anyhow::Result<Created> {
    fields.insert("path".to_owned(), path.as_str().into());
    let (target, body) = (MOUNTS.to_owned() + forced(force), Value::Object(fields));
    api.ask_for(Method::POST, &target, Some(&body)).await
}

async fn create(api: &Api, node: &NodeUrl, args: CreateArgs) -> anyhow::Result<String> {
    let given = fields::given_keys(&args.settings.0);
    let settings = fields::object(args.settings.0);
    let generated = !settings.contains_key("password");
    let made = make_forced(api, &args.path, settings, args.force).await?;
    let Created { spec, password } = made;
    note_places(api, &spec).await;
    let notes = mount_changes::notes(&spec, &given);
    let MountSpec { path, user, .. } = spec;
    let text = match (password, spec.transcode.transcode_from) {
        (_, Some(from)) => format!("created {path}, transcoded from {from}\n"),
        (Some(password), None) if generated => {
            let url = source_url(node, &user, &path, &password);
            format!("created {path}\npassword: {password}\nsource:   {url}\n")
        }
        // An operator that gave a password knows it; it need not be in the scrollback too.
        _ => format!("created {path}\n"),
    };
    Ok(text + &notes)
}

/// Creates the mounts of a family that are not there yet, or only says which.
async fn create_ladder(api: &Api, source: &MountName, dry_run: bool) -> anyhow::Result<String> {
    let mounts: Vec<MountSpec> = api.ask_for(Method::GET, MOUNTS, None).await?;
    let mounts: BTreeMap<MountName, MountSpec> = mounts
        .into_iter()
        .map(|spec| (spec.path.clone(), spec))
        .collect();
    let family = variants(source, &mounts)?;
    for variant in family.iter().filter(|it| !it.is_there && !dry_run) {
        let made = make(api, &variant.path, settings_of(variant, source)).await;
        made.with_context(|| {
            format!(
                "{} was not created; when that is mended, the same command creates what is missing",
                variant.path
            )
        })?;
    }
    Ok(list_family(&family, dry_run))
}

fn settings_of(variant: &Variant, source: &MountName) -> Map<String, Value> {
    let settings = [
        ("transcode_from", source.as_str().into()),
        ("codec", variant.codec.word().into()),
        ("bitrate", variant.bitrate.to_string().into()),
    ];
    let settings = settings.into_iter();
    settings
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn list_family(family: &[Variant], dry_run: bool) -> String {
    let columns = ["MOUNT", "CODEC", "BITRATE", ""];
    let mut table = TextTable::new(&columns.map(|name| (name, Side::Left)));
    for variant in family {
        let outcome = match (variant.is_there, dry_run) {
            (true, _) => "is there already",
            (false, true) => "would be created",
            (false, false) => "created",
        };
        table.row([
            variant.path.to_string(),
            variant.codec.to_string(),
            variant.bitrate.to_string(),
            outcome.to_owned(),
        ]);
    }
    table.render()
}

/// The characters of a password that are escaped in a URL: all that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL for a source, with its user and its password.
pub(super) fn source_url(
    node: &NodeUrl,
    user: &SourceUser,
    path: &MountName,
    password: &str,
) -> String {
    let (scheme, host) = node.parts();
    let user = utf8_percent_encode(user.as_str(), RESERVED);
    let password = utf8_percent_encode(password, RESERVED);
    format!("{scheme}://{user}:{password}@{host}{path}")
}

fn list(mounts: &[MountSpec]) -> String {
    if mounts.is_empty() {
        return "no mounts yet; make one: antiphon mount create /radio.mp3\n".to_owned();
    }
    let source = |spec: &MountSpec| spec.transcode.transcode_from.clone();
    let mut columns = vec![("MOUNT", Side::Left), ("MAX LISTENERS", Side::Right)];
    // Where no mount is transcoded, nobody needs to know that some could be.
    let has_sources = mounts.iter().any(|spec| source(spec).is_some());
    columns.extend(has_sources.then_some(("TRANSCODED FROM", Side::Left)));
    columns.extend([("HIDDEN", Side::Left), ("NAME", Side::Left)]);
    let mut table = TextTable::new(&columns);
    for spec in mounts {
        let most = spec.max_listeners;
        let most = most.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        let mut cells = vec![spec.path.to_string(), most];
        let from = source(spec).map_or_else(String::new, String::from);
        cells.extend(has_sources.then_some(from));
        cells.extend([spec.hidden.to_string(), spec.name.clone()]);
        table.row(cells);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> MountSpec {
        MountSpec {
            name: "My\x1b Radio".to_owned(),
            genre: "Jazz".to_owned(),
            ..MountSpec::new("/radio.mp3".parse().unwrap())
        }
    }

    #[test]
    fn the_url_of_a_source_survives_any_password() {
        let node = "http://[::1]:8000".parse().unwrap();
        let url = |user: &str| {
            let (user, path) = (user.parse().unwrap(), "/r/a.mp3".parse().unwrap());
            source_url(&node, &user, &path, "p@ss/w:rd")
        };
        let rest = "p%40ss%2Fw%3Ard@[::1]:8000/r/a.mp3";
        assert_eq!(url("source"), format!("http://source:{rest}"));
        assert_eq!(url("a@b"), format!("http://a%40b:{rest}"));
    }

    #[test]
    fn mounts_are_shown_plainly() {
        assert_eq!(
            list(&[spec()]),
            "MOUNT       MAX LISTENERS  HIDDEN  NAME\n/radio.mp3      unlimited  false   My  Radio\n"
        );
        assert!(list(&[]).contains("antiphon mount create"));
        let mut small = MountSpec::new("/small.aac".parse().unwrap());
        small.transcode.transcode_from = "/radio.mp3".parse().ok();
        let expected = "MOUNT       MAX LISTENERS  TRANSCODED FROM  HIDDEN  NAME\n\
                        /radio.mp3      unlimited                   false   My  Radio\n\
                        /small.aac      unlimited  /radio.mp3       false\n";
        assert_eq!(list(&[spec(), small]), expected);
        let changed = describe(&spec(), Some("changed"));
        assert!(
            changed.contains("\npassword            changed\nuser                source\nname ")
        );
        let shown = describe(&spec(), None);
        assert!(!shown.contains("password"), "{shown}");
        assert!(
            shown.starts_with("path                /radio.mp3\n"),
            "{shown}"
        );
        assert!(shown.contains("\ndescription\n"), "{shown}");
        let limits = "\nmax_listeners       unlimited\nmax_per_address     unlimited\n\
                      max_listener_s      unlimited\nhidden              false\nlinger_s            10\n";
        assert!(shown.contains(limits), "{shown}");
        assert!(
            shown.contains("\noverflow_percent    100\ncountries\nlistener_auth       none\n"),
            "{shown}"
        );
        assert!(
            shown.contains("\ntoken_series        0\nrelay\nimported_from\ntranscode_from\ncodec\nbitrate\nsample_rate         usual\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_creation_is_answered_by_a_spec_with_a_password() {
        let text = r#"{"path":"/r.mp3","name":"","description":"","genre":"","url":"",
            "max_listeners":7,"password":"pw"}"#;
        let created: Created = serde_json::from_str(text).unwrap();
        assert_eq!(created.spec.max_listeners, Some(7));
        assert_eq!(created.password.as_deref(), Some("pw"));
        let text = r#"{"path":"/s.aac","name":"","description":"","genre":"","url":"",
            "max_listeners":null,"transcode_from":"/r.mp3","codec":"aac","bitrate":null}"#;
        let created: Created = serde_json::from_str(text).unwrap();
        assert_eq!(created.password, None);
        let from = created.spec.transcode.transcode_from;
        assert_eq!(from, "/r.mp3".parse().ok());
    }

    #[test]
    fn a_family_is_listed_with_its_outcome() {
        let variant = |path: &str, is_there| Variant {
            path: path.parse().unwrap(),
            codec: "mp3".parse().unwrap(),
            bitrate: "64k".parse().unwrap(),
            is_there,
        };
        let family = [variant("/a.mp3", false), variant("/b.mp3", true)];
        let shown = list_family(&family, false);
        let expected = "MOUNT   CODEC  BITRATE\n/a.mp3  mp3    64k      created\n\
                        /b.mp3  mp3    64k      is there already\n";
        assert_eq!(shown, expected);
        assert!(list_family(&family, true).contains("64k      would be created\n"));
        let source = "/r.mp3".parse().unwrap();
        let body = Value::Object(settings_of(&family[0], &source)).to_string();
        let expected = r#"{"bitrate":"64k","codec":"mp3","transcode_from":"/r.mp3"}"#;
        assert_eq!(body, expected);
    }
}
