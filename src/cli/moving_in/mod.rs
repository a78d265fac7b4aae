//! `antiphon import icecast.xml`: makes the mesh that the configuration of an Icecast describes.

mod apply;
mod mounts;
mod plan;
mod server;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use encoding_rs::WINDOWS_1252;

use self::plan::Plan;
use super::api::Api;
use super::terminal;
use crate::wire::icecast::config_file::{self, ConfigElement, MAX_CONFIG_FILE_BYTES};

#[derive(Debug, Args)]
pub(super) struct MovingInArgs {
    /// Configuration of an Icecast, of which mounts, relays, fallbacks and passwords are made here; no file: see the commands
    #[arg(value_name = "ICECAST_XML")]
    pub(super) file: Option<PathBuf>,
    /// Say what would be made of the file, and make nothing
    #[arg(long, requires = "file")]
    dry_run: bool,
    /// Write the settings for a node into this file, which must not be there yet; without it they are shown
    #[arg(long, value_name = "FILE", requires = "file")]
    settings_file: Option<PathBuf>,
}

impl MovingInArgs {
    /// Makes what the file says, or says what would be made.
    pub(super) async fn run(
        self,
        file: &Path,
        api: impl FnOnce() -> anyhow::Result<Api>,
    ) -> anyhow::Result<()> {
        let plan = translate(&read(file)?);
        let settings = self.settings(&plan)?;
        let (made, failed) = match self.dry_run {
            true => (plan.would_make(), 0),
            false => apply::apply(&plan, &api()?).await?,
        };
        let remarks = plan.remarks();
        let remarks = match remarks.is_empty() {
            true => remarks,
            false => format!("\nOf the lines of {}:\n\n{remarks}", file.display()),
        };
        terminal::print(&format!("{made}{settings}{remarks}"))?;
        match failed {
            0 => Ok(()),
            failed => bail!("{failed} of these could not be done: see above"),
        }
    }

    /// The settings for a node's file, written or to be shown.
    fn settings(&self, plan: &Plan) -> anyhow::Result<String> {
        let text = plan.settings_file();
        match &self.settings_file {
            _ if text.is_empty() => Ok(String::new()),
            Some(path) if !self.dry_run => {
                let written = std::fs::File::create_new(path);
                let written = written
                    .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
                written.with_context(|| format!("cannot write {}", path.display()))?;
                Ok(format!(
                    "\nThe settings for a node are in {}.\n",
                    path.display()
                ))
            }
            _ => Ok(format!(
                "\nFor the settings file of a node (antiphon run --config FILE):\n\n{text}"
            )),
        }
    }
}

/// Reads such a file. One that is not in UTF-8 is in Windows-1252, of which Latin-1 is a part.
fn read(file: &Path) -> anyhow::Result<ConfigElement> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display();
    if bytes.len() > MAX_CONFIG_FILE_BYTES {
        bail!(
            "{name} has more than {} MiB: that is no icecast.xml",
            MAX_CONFIG_FILE_BYTES >> 20
        );
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|bytes| {
        let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes.as_bytes());
        text.into_owned()
    });
    config_file::read(&text).with_context(|| format!("{name} cannot be used"))
}

/// The mesh that a file describes.
fn translate(root: &ConfigElement) -> Plan {
    let mut plan = Plan::default();
    let for_mounts = server::translate(root, &mut plan);
    mounts::translate(root, &for_mounts, &mut plan);
    plan
}
