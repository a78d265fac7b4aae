//! `antiphon mount`: creates, shows and changes mounts through the API of a node.

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::{Api, NodeArgs};
use super::fields::{self, Assignment, AssignmentParser};
use super::places::{self, GEO_TOKEN};
use super::terminal::{self, Side, TextTable};
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::geo::CountryRule;
use crate::model::mount::{MountName, MountSpec};
use crate::model::source_user::SourceUser;
use crate::settings::{Machine, PublicUrl};

const MOUNTS: &str = "/api/v1/mounts";

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
    },
    /// Delete a mount; its source and its listeners are disconnected
    Delete {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
    },
}

/// A right use of `set`, for those who get it wrong.
pub(super) const SET_EXAMPLE: &str = "antiphon mount set /radio.mp3 name=Radio linger_s=30";

#[derive(Debug, Args)]
struct CreateArgs {
    /// Path of the mount, such as /radio.mp3
    path: MountName,
    #[command(flatten)]
    settings: NewMount,
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

/// The answer when a mount was created.
#[derive(Deserialize)]
struct Created {
    #[serde(flatten)]
    spec: MountSpec,
    password: String,
}

impl MountArgs {
    /// Finds a mistake that no argument alone shows.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.command {
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
        MountCommand::Set { path, changes } => {
            let has_password = changes.iter().any(|change| change.key == "password");
            let body = Value::Object(fields::object(changes));
            let path = below(&path);
            let is_steered = ["countries", "policy"].map(|key| body.get(key).is_some());
            let changed = api.ask_for(Method::PATCH, &path, Some(&body)).await?;
            if is_steered.contains(&true) {
                note_places(&api, &changed).await;
            }
            describe(&changed, has_password.then_some("changed"))
        }
        MountCommand::Delete { path } => {
            api.ask(Method::DELETE, &below(&path), None).await?;
            format!("deleted {path}\n")
        }
    };
    Ok(terminal::print(&text)?)
}

/// Creates a mount and returns its spec and the password of its source.
pub(super) async fn make(
    api: &Api,
    path: &MountName,
    mut fields: Map<String, Value>,
) -> anyhow::Result<(MountSpec, String)> {
    fields.insert("path".to_owned(), path.as_str().into());
    let body = Value::Object(fields);
    let created: Created = api.ask_for(Method::POST, MOUNTS, Some(&body)).await?;
    Ok((created.spec, created.password))
}

async fn create(api: &Api, node: &PublicUrl, args: CreateArgs) -> anyhow::Result<String> {
    let settings = fields::object(args.settings.0);
    let generated = !settings.contains_key("password");
    let (spec, password) = make(api, &args.path, settings).await?;
    note_places(api, &spec).await;
    let MountSpec { path, user, .. } = spec;
    // An operator that gave a password knows it; it need not be in the scrollback too.
    Ok(if generated {
        let url = source_url(node, &user, &path, &password);
        format!("created {path}\npassword: {password}\nsource:   {url}\n")
    } else {
        format!("created {path}\n")
    })
}

/// Says what the rules of a mount on places do if the node that was asked knows none.
async fn note_places(api: &Api, spec: &MountSpec) {
    let steering = &spec.steering;
    if steering.countries != CountryRule::Everywhere {
        places::note_unknown(api, "`countries` keeps no listener out").await;
    } else if steering.policy.contains(GEO_TOKEN) {
        places::note_unknown(api, "`geo` in the policy does nothing").await;
    }
}

/// The characters of a password that are escaped in a URL: all that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL for a source, with its user and its password.
pub(super) fn source_url(
    node: &PublicUrl,
    user: &SourceUser,
    path: &MountName,
    password: &str,
) -> String {
    let host = node.as_str().trim_start_matches("http://");
    let user = utf8_percent_encode(user.as_str(), RESERVED);
    let password = utf8_percent_encode(password, RESERVED);
    format!("http://{user}:{password}@{host}{path}")
}

/// The path of one mount in the API.
fn below(path: &MountName) -> String {
    // The characters of a mount are valid in a URL's path, so nothing needs escaping.
    format!("{MOUNTS}{path}")
}

fn list(mounts: &[MountSpec]) -> String {
    if mounts.is_empty() {
        return "no mounts yet; make one: antiphon mount create /radio.mp3\n".to_owned();
    }
    let mut table = TextTable::new(&[
        ("MOUNT", Side::Left),
        ("MAX LISTENERS", Side::Right),
        ("HIDDEN", Side::Left),
        ("NAME", Side::Left),
    ]);
    for spec in mounts {
        let most = spec.max_listeners;
        let most = most.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        let hidden = spec.hidden.to_string();
        table.row([spec.path.to_string(), most, hidden, spec.name.clone()]);
    }
    table.render()
}

/// The settings of a mount; of its password only what was done to it, if anything was.
fn describe(spec: &MountSpec, password: Option<&str>) -> String {
    let path = ("path", spec.path.to_string());
    let settings = fields::shown(&MOUNT_KIND, spec, |_| password.map(str::to_owned));
    fields::lines([path].into_iter().chain(settings))
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
        let changed = describe(&spec(), Some("changed"));
        assert!(changed.contains("\npassword          changed\nuser              source\nname "));
        let shown = describe(&spec(), None);
        assert!(!shown.contains("password"), "{shown}");
        assert!(
            shown.starts_with("path              /radio.mp3\n"),
            "{shown}"
        );
        assert!(shown.contains("\ndescription\n"), "{shown}");
        let limits = "\nmax_listeners     unlimited\nmax_per_address   unlimited\n\
                      max_listener_s    unlimited\nhidden            false\nlinger_s          10\n";
        assert!(shown.contains(limits), "{shown}");
        assert!(
            shown.ends_with("\noverflow_percent  100\ncountries\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_creation_is_answered_by_a_spec_with_a_password() {
        let text = r#"{"path":"/r.mp3","name":"","description":"","genre":"","url":"",
            "max_listeners":7,"password":"pw"}"#;
        let created: Created = serde_json::from_str(text).unwrap();
        assert_eq!(created.spec.max_listeners, Some(7));
        assert_eq!(created.password, "pw");
    }
}
