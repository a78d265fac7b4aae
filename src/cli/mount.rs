//! `antiphon mount`: creates, shows and changes mounts through the API of a node.

use anyhow::bail;
use clap::{Args, Subcommand};
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::{Api, NodeArgs};
use super::terminal::{self, Side, TextTable};
use crate::logic::records::mounts::{MAX_LINGER_S, MountEdit};
use crate::model::charset::Charset;
use crate::model::mount::{MountName, MountSpec, Takeover};
use crate::model::suggest::nearest;
use crate::settings::{Machine, PublicUrl, whole_number};

const MOUNTS: &str = "/api/v1/mounts";

/// The fields that `mount set` may change.
const FIELDS: [&str; 15] = MountEdit::KEYS;

/// What the settings of a mount do, shown below the help of `create` and `set`.
const SETTINGS_HELP: &str = "\
max_listeners  the most in the whole mesh: a number, or `unlimited`
linger_s       how long listeners are kept, in silence, when the source has
               gone: 0 to 600 seconds; 10 is the default, and gives an encoder
               the time to come back on any node
takeover       what happens to a second source with the right password:
               `refuse` (the default) tells it that the mount is in use;
               `takeover` puts it in the place of the first one, and listeners
               continue with it
standby        `true` keeps a source that finds the mount taken connected, and
               puts it on air when the other one leaves; `false` (the
               default) refuses it
charset        the charset of titles and names that are not UTF-8, such as
               windows-1251 or shift_jis, if their source names none;
               windows-1252 is the default
policy         how a node is chosen for a listener, such as tag(big),water;
               empty: as for all mounts, see antiphon policy
redirect       `false` serves listeners on the node that they ask; `true` is
               the default
overflow_url   the address for listeners, such as a CDN, when the mesh is too
               full for them
overflow_percent
               how full the node that would be chosen must be for that: 1 to
               100, the default
countries      the countries in which it may be heard: de,at for only these,
               !us,!cn for all but these";

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
    #[command(after_help = SETTINGS_HELP)]
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
    #[command(after_help = SETTINGS_HELP)]
    Set {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
        /// New value of a field, such as name="My Radio"
        #[arg(required = true, value_name = "FIELD=VALUE", value_parser = assignment)]
        changes: Vec<Assignment>,
    },
    /// Delete a mount; its source and its listeners are disconnected
    Delete {
        /// Path of the mount, such as /radio.mp3
        path: MountName,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Path of the mount, such as /radio.mp3
    path: MountName,
    /// Password for the source [default: one is made and printed]
    #[arg(long)]
    password: Option<String>,
    /// The station's name
    #[arg(long)]
    name: Option<String>,
    /// Description of the station
    #[arg(long)]
    description: Option<String>,
    /// Genre of the station
    #[arg(long)]
    genre: Option<String>,
    /// Web page of the station
    #[arg(long)]
    url: Option<String>,
    /// The most listeners in the whole mesh [default: as many as the nodes take]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(0..=u32::MAX.into(), 500))]
    max_listeners: Option<u32>,
    /// Seconds that listeners are kept for a source that has gone [default: 10]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(0..=MAX_LINGER_S.into(), 30))]
    linger_s: Option<u32>,
    /// What happens when a second source connects: refuse or takeover [default: refuse]
    #[arg(long, value_name = "WHAT")]
    takeover: Option<Takeover>,
    /// Keep a source that finds the mount taken, and put it on air when the other one leaves
    #[arg(long)]
    standby: bool,
    /// Charset of titles that are not UTF-8 [default: windows-1252]
    #[arg(long, value_name = "NAME")]
    charset: Option<Charset>,
}

/// One field and its new value.
#[derive(Clone, Debug, PartialEq)]
struct Assignment {
    field: &'static str,
    value: Value,
}

/// The answer when a mount was created.
#[derive(Deserialize)]
struct Created {
    #[serde(flatten)]
    spec: MountSpec,
    password: String,
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
            describe(&api.ask_for(Method::GET, &below(&path), None).await?)
        }
        MountCommand::Set { path, changes } => {
            let changes = changes.into_iter();
            let fields = changes.map(|change| (change.field.to_owned(), change.value));
            let body = Value::Object(fields.collect());
            describe(
                &api.ask_for(Method::PATCH, &below(&path), Some(&body))
                    .await?,
            )
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
    let generated = args.password.is_none();
    let fields = [
        ("password", args.password.map(Value::from)),
        ("name", args.name.map(Value::from)),
        ("description", args.description.map(Value::from)),
        ("genre", args.genre.map(Value::from)),
        ("url", args.url.map(Value::from)),
        ("max_listeners", args.max_listeners.map(Value::from)),
        ("linger_s", args.linger_s.map(Value::from)),
        ("takeover", args.takeover.map(|it| it.word().into())),
        ("standby", args.standby.then_some(true.into())),
        ("charset", args.charset.map(|it| it.name().into())),
    ];
    let given = fields.into_iter();
    let given = given.filter_map(|(field, value)| Some((field.to_owned(), value?)));
    let (spec, password) = make(api, &args.path, given.collect()).await?;
    let path = spec.path;
    // An operator that gave a password knows it; it need not be in the scrollback too.
    Ok(if generated {
        let url = source_url(node, &path, &password);
        format!("created {path}\npassword: {password}\nsource:   {url}\n")
    } else {
        format!("created {path}\n")
    })
}

/// The characters of a password that are escaped in a URL: all that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL for a source, with its password.
pub(super) fn source_url(node: &PublicUrl, path: &MountName, password: &str) -> String {
    let host = node.as_str().trim_start_matches("http://");
    let password = utf8_percent_encode(password, RESERVED);
    format!("http://source:{password}@{host}{path}")
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
        ("NAME", Side::Left),
    ]);
    for spec in mounts {
        let limit = limit(spec.max_listeners);
        table.row([spec.path.to_string(), limit, spec.name.clone()]);
    }
    table.render()
}

fn describe(spec: &MountSpec) -> String {
    let limit = limit(spec.max_listeners);
    let (linger_s, standby) = (spec.linger_s.to_string(), spec.standby.to_string());
    let steering = &spec.steering;
    let (redirect, percent) = (
        steering.redirect.to_string(),
        steering.overflow_percent.to_string(),
    );
    let countries = steering.countries.to_string();
    let lines = [
        ("path", spec.path.as_str()),
        ("name", &spec.name),
        ("description", &spec.description),
        ("genre", &spec.genre),
        ("url", &spec.url),
        ("max_listeners", &limit),
        ("linger_s", &linger_s),
        ("takeover", spec.takeover.word()),
        ("standby", &standby),
        ("charset", spec.charset.name()),
        ("policy", &steering.policy),
        ("redirect", &redirect),
        ("overflow_url", &steering.overflow_url),
        ("overflow_percent", &percent),
        ("countries", &countries),
    ];
    let shown = lines.map(|(field, value)| {
        let line = format!("{field:<16}  {}", terminal::printable(value));
        format!("{}\n", line.trim_end())
    });
    shown.concat()
}

fn limit(listeners: Option<u32>) -> String {
    listeners.map_or_else(|| "unlimited".to_owned(), |most| most.to_string())
}

/// Reads `field=value`.
fn assignment(text: &str) -> anyhow::Result<Assignment> {
    let Some((given, value)) = text.split_once('=') else {
        bail!("write FIELD=VALUE, such as name=\"My Radio\"");
    };
    let Some(field) = FIELDS.into_iter().find(|field| *field == given) else {
        match nearest(given, &FIELDS) {
            Some(meant) => bail!("a mount has no {given:?}; did you mean {meant:?}?"),
            None => bail!("a mount has no {given:?}; it has {}", FIELDS.join(", ")),
        }
    };
    let value = typed(field, value)?;
    Ok(Assignment { field, value })
}

/// The value of a field with the type that the API wants.
fn typed(field: &str, text: &str) -> anyhow::Result<Value> {
    Ok(match (field, text) {
        ("max_listeners", "" | "none" | "unlimited") => Value::Null,
        ("max_listeners", number) => match number.parse::<u32>() {
            Ok(most) => most.into(),
            Err(_) => bail!("max_listeners is a number or `unlimited`, not {number:?}"),
        },
        ("linger_s", number) => match number.parse::<u32>() {
            Ok(seconds) if seconds <= MAX_LINGER_S => seconds.into(),
            _ => bail!("linger_s is a number of seconds from 0 to {MAX_LINGER_S}, not {number:?}"),
        },
        ("takeover", word) => match word.parse::<Takeover>() {
            Ok(takeover) => takeover.word().into(),
            Err(error) => bail!("takeover {error}, not {word:?}"),
        },
        ("standby" | "redirect", word) => match word.parse::<bool>() {
            Ok(flag) => flag.into(),
            Err(_) => bail!("{field} must be `true` or `false`, not {word:?}"),
        },
        // All other fields are checked here as the node checks them, so that a mistake is a usage error.
        ("password", text) => text.into(),
        (field, text) => match MountEdit::of(field, text) {
            Ok(_) => text.into(),
            Err(error) => bail!("{error}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mount::MountSteering;

    fn spec() -> MountSpec {
        MountSpec {
            path: "/radio.mp3".parse().unwrap(),
            password_hash: String::new(),
            name: "My\x1b Radio".to_owned(),
            description: String::new(),
            genre: "Jazz".to_owned(),
            url: String::new(),
            max_listeners: None,
            linger_s: MountSpec::DEFAULT_LINGER_S,
            takeover: Takeover::Refuse,
            standby: false,
            charset: Charset::default(),
            steering: MountSteering::default(),
        }
    }

    #[test]
    fn changes_are_read_with_their_types() {
        let read = |text: &str| {
            let change = assignment(text).unwrap();
            (change.field, change.value)
        };
        assert_eq!(read("name=a=b c"), ("name", "a=b c".into()));
        assert_eq!(read("genre="), ("genre", "".into()));
        assert_eq!(read("max_listeners=5"), ("max_listeners", 5.into()));
        assert_eq!(read("linger_s=600"), ("linger_s", 600.into()));
        assert_eq!(read("takeover=takeover"), ("takeover", "takeover".into()));
        assert_eq!(read("standby=true"), ("standby", true.into()));
        for none in ["", "none", "unlimited"] {
            let text = format!("max_listeners={none}");
            assert_eq!(read(&text), ("max_listeners", Value::Null));
        }
        for (bad, hint) in [
            ("name", "FIELD=VALUE"),
            ("gener=x", "did you mean \"genre\""),
            ("colour=x", "it has password"),
            ("max_listeners=-1", "a number"),
            ("linger_s=601", "from 0 to 600"),
            ("linger_s=10s", "from 0 to 600"),
            ("takeover=yes", "`refuse` or `takeover`"),
            ("standby=1", "`true` or `false`"),
            ("charset=klingon", "windows-1251"),
            ("redirect=no", "`true` or `false`"),
            ("overflow_percent=200", "from 1 to 100"),
            ("countries=de,!us", "mixed rule"),
            ("url=radio.example", "http://"),
        ] {
            let error = assignment(bad).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn the_url_of_a_source_survives_any_password() {
        let node = "http://[::1]:8000".parse().unwrap();
        let url = source_url(&node, &"/r/a.mp3".parse().unwrap(), "p@ss/w:rd");
        assert_eq!(url, "http://source:p%40ss%2Fw%3Ard@[::1]:8000/r/a.mp3");
    }

    #[test]
    fn mounts_are_shown_plainly() {
        assert_eq!(
            list(&[spec()]),
            "MOUNT       MAX LISTENERS  NAME\n/radio.mp3      unlimited  My  Radio\n"
        );
        assert!(list(&[]).contains("antiphon mount create"));
        let shown = describe(&spec());
        assert!(
            shown.starts_with("path              /radio.mp3\n"),
            "{shown}"
        );
        assert!(shown.contains("\ndescription\n"), "{shown}");
        let limits =
            "\nmax_listeners     unlimited\nlinger_s          10\ntakeover          refuse\n";
        assert!(shown.contains(limits), "{shown}");
        assert!(
            shown.ends_with("\noverflow_percent  100\ncountries\n"),
            "{shown}"
        );
    }

    #[test]
    fn the_answer_to_a_creation_is_a_spec_with_a_password() {
        let text = r#"{"path":"/r.mp3","name":"","description":"","genre":"","url":"",
            "max_listeners":7,"password":"pw"}"#;
        let created: Created = serde_json::from_str(text).unwrap();
        assert_eq!(created.spec.max_listeners, Some(7));
        assert_eq!(created.password, "pw");
    }
}
