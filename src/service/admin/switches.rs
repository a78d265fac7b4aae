//! The API of operators' orders which stream the listeners of a mount hear.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Admin;
use super::body;
use super::call::{Answer, Call};
use super::declined::Declined;
use super::mounts::{is_forced, mount, set_fields, spec};
use super::reply;
use crate::io::clock;
use crate::logic::ladder::{self, SWITCHED_TO};
use crate::model::mount::{MountName, MountSpec};
use crate::model::rung_name::RungName;
use crate::model::status::rung::RungState;
use crate::model::switch::{MAX_SWITCH_S, Switch};
use crate::proto::on_air;

/// The word for the stream of the mount itself.
const OWN: &str = "own";
/// The word of who wants to end an order.
const BACK: &str = "back";

/// Switches the listeners of a mount to a rung, for some time or until they are switched back, and shows the order.
pub(super) async fn switch(admin: &Admin, call: Call) -> Answer {
    let (mount, is_forced) = (mount(&call)?, is_forced(&call)?);
    let mut fields = body::object(call.request).await?;
    let to = fields.remove("to").ok_or_else(|| {
        Declined::bad("`to` is missing: a rung, such as \"/auto.mp3\", \"own\" or 2")
    })?;
    let for_s = fields.remove("for_s").map(read_time).transpose()?;
    if let Some(key) = fields.keys().next() {
        return Err(Declined::bad(format!(
            "there is no `{key}`: only to, for_s"
        )));
    }
    let before = spec(admin, &mount)?;
    let to = find_rung(admin, &before, &to)?;
    let order = order(to, for_s);
    set_order(admin, &mount, Some(order.clone()), is_forced).await?;
    let mesh = &admin.0.mesh;
    let (mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
    let after = spec(admin, &mount)?;
    let rungs = on_air::rungs(clock::unix_s(), &after, &mounts, &view);
    let ordered = rungs.into_iter().find(|rung| rung.rung == order.to);
    let state = ordered.map_or(RungState::Missing, |rung| rung.state);
    Ok(reply::json(
        StatusCode::OK,
        &json!({ "mount": mount, SWITCHED_TO: order, "state": state }),
    ))
}

/// Ends the order: listeners hear the highest rung that flows.
pub(super) async fn switch_back(admin: &Admin, call: Call) -> Answer {
    let mount = mount(&call)?;
    spec(admin, &mount)?;
    set_order(admin, &mount, None, false).await?;
    Ok(reply::no_content())
}

/// An order that holds from now on.
pub(super) fn order(to: RungName, for_s: Option<u64>) -> Switch {
    let until = |seconds| clock::unix_s() + seconds;
    Switch {
        to,
        until_unix_s: for_s.map(until),
    }
}

/// Whether the listeners of a mount are switched to this one now.
pub(super) fn is_switched_to(spec: &MountSpec, mount: &MountName) -> bool {
    let order = spec.ordered_rung(clock::unix_s());
    order.is_some_and(|rung| rung.is_mount(mount))
}

/// Writes an order, or none; one that is forced whatever the formats are.
pub(super) async fn set_order(
    admin: &Admin,
    mount: &MountName,
    order: Option<Switch>,
    is_forced: bool,
) -> Result<(), Declined> {
    let order = order.map_or(Value::Null, |order| order.to_string().into());
    let fields = Map::from_iter([(SWITCHED_TO.to_owned(), order)]);
    set_fields(admin, mount, fields, is_forced).await
}

fn read_time(value: Value) -> Result<u64, Declined> {
    let seconds = value.as_u64();
    let seconds = seconds.filter(|seconds| (1..=MAX_SWITCH_S).contains(seconds));
    seconds.ok_or_else(|| {
        Declined::bad(format!(
            "for_s: a number of seconds from 1 to {MAX_SWITCH_S}"
        ))
    })
}

/// The rung that an operator means: by its number in the list, by `own`, or by its name, which need not be on the ladder.
fn find_rung(admin: &Admin, spec: &MountSpec, told: &Value) -> Result<RungName, Declined> {
    let text = match told {
        Value::String(text) => text.clone(),
        told => told.to_string(),
    };
    let mounts = admin.0.mesh.documents.mounts();
    let rungs = ladder::rungs_at(clock::unix_s(), spec, &mounts);
    if text == OWN {
        return Ok(spec.path.clone().into());
    }
    if text == BACK {
        return Err(Declined::bad(format!(
            "to: write antiphon mount switch {} --back (in the API DELETE), which ends the order",
            spec.path
        )));
    }
    if let Ok(number) = text.parse::<usize>() {
        let rung = number.checked_sub(1).and_then(|index| rungs.get(index));
        return rung.cloned().ok_or_else(|| {
            let (path, most) = (&spec.path, rungs.len());
            Declined::bad(format!(
                "to: there is no rung {number}, only 1 to {most}: antiphon mount sources {path} lists them"
            ))
        });
    }
    if text.starts_with("1.") && !spec.relay.is_empty() {
        return Err(Declined::bad(format!(
            "to: {text} is an address of the mount's own relay, and of these the best one that works is heard: name `{OWN}`, and \
             change their order by `relay`"
        )));
    }
    let named: Result<RungName, _> = text.parse();
    named.map_err(|why| {
        Declined::bad(format!(
            "to: {why}; name a number of antiphon mount sources {}, `own`, a mount such as /auto.mp3, or a file such as file:loop.mp3",
            spec.path
        ))
    })
}
