//! `antiphon file`: puts files into the mesh that mounts play when nothing better flows.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use hyper::Method;

use super::api::{Api, NodeArgs};
use super::quantities;
use super::terminal::{self, Side, TextTable};
use crate::model::file_name::FileName;
use crate::model::kept_file::MAX_FILE_BYTES;
use crate::model::status::file::FileStatus;
use crate::settings::Machine;

const FILES: &str = "/api/v1/files";

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: FileCommand,
}

#[derive(Debug, Subcommand)]
enum FileCommand {
    /// Keep a file on all nodes: MP3, AAC (ADTS) or Ogg, at most 16 MiB, and 64 MiB of all files together
    Put {
        /// The file
        path: PathBuf,
        /// Name in the mesh, if not that of the file
        #[arg(long)]
        name: Option<FileName>,
        /// Put it although the listeners of a mount that plays the name could not go on with its format
        #[arg(long)]
        force: bool,
    },
    /// Show all files, the mounts that play them, and nodes that lack them
    List {
        /// Print the node's own JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Delete a file
    Delete {
        /// Name of the file, such as loop.mp3
        name: FileName,
        /// Delete it although mounts play it
        #[arg(long)]
        force: bool,
    },
}

/// Runs one command on files.
pub(super) async fn file(args: FileArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        FileCommand::Put { path, name, force } => put(&api, &path, name, force).await?,
        FileCommand::List { json: true } => api.ask_for_json(FILES).await?,
        FileCommand::List { json: false } => {
            let files: Vec<FileStatus> = api.ask_for(Method::GET, FILES, None).await?;
            list(&files)
        }
        FileCommand::Delete { name, force } => {
            let forced = if force { "?force=true" } else { "" };
            api.ask(Method::DELETE, &format!("{FILES}/{name}{forced}"), None)
                .await?;
            format!("deleted {name}\n")
        }
    };
    Ok(terminal::print(&text)?)
}

async fn put(
    api: &Api,
    path: &Path,
    name: Option<FileName>,
    force: bool,
) -> anyhow::Result<String> {
    let name = match name {
        Some(name) => name,
        None => {
            let named = path.file_name().and_then(|name| name.to_str());
            let named = named.unwrap_or_default().parse();
            named.context("give it another name, by --name loop.mp3")?
        }
    };
    let bytes = read(path).with_context(|| format!("cannot put {}", path.display()))?;
    let forced = if force { "?force=true" } else { "" };
    let put: FileStatus = api.put(&format!("{FILES}/{name}{forced}"), bytes).await?;
    Ok(format!(
        "put {name}: {}, {}, {}; a mount plays it by fallback=file:{name}\n",
        put.file.format,
        quantities::duration(u64::from(put.file.plays_ms) / 1_000),
        quantities::size(put.file.bytes.into()),
    ))
}

/// The bytes of a file that is not too long.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(u64::from(MAX_FILE_BYTES) + 1)
        .read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() <= MAX_FILE_BYTES as usize,
        "it has more than {} MiB: make it shorter, or encode it at a lower bitrate",
        MAX_FILE_BYTES >> 20
    );
    Ok(bytes)
}

fn list(files: &[FileStatus]) -> String {
    if files.is_empty() {
        return "there are no files: antiphon file put loop.mp3\n".to_owned();
    }
    let mut table = TextTable::new(&[
        ("NAME", Side::Left),
        ("FORMAT", Side::Left),
        ("PLAYS", Side::Right),
        ("SIZE", Side::Right),
        ("PLAYED BY", Side::Left),
    ]);
    for FileStatus {
        file, played_by, ..
    } in files
    {
        let mounts: Vec<&str> = played_by.iter().map(|mount| mount.as_str()).collect();
        table.row([
            file.name.to_string(),
            terminal::printable(&file.format),
            quantities::duration(u64::from(file.plays_ms) / 1_000),
            quantities::size(file.bytes.into()),
            match mounts.is_empty() {
                true => "-".to_owned(),
                false => mounts.join(" "),
            },
        ]);
    }
    let mut text = table.render();
    for file in files {
        for (node, why) in &file.troubles {
            text += &format!(
                "\n{node} cannot play {}: {}",
                file.file.name,
                terminal::printable(why)
            );
        }
    }
    let has_troubles = files.iter().any(|file| !file.troubles.is_empty());
    text + if has_troubles { "\n" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kept_file::{FileHash, KeptFile};

    #[test]
    fn files_are_listed_with_those_who_play_and_those_who_lack_them() {
        let file = KeptFile {
            name: "loop.mp3".parse().unwrap(),
            sha256: FileHash([1; 32]),
            bytes: 160_000,
            plays_ms: 10_004,
            format: "MP3, 44.1 kHz, stereo".to_owned(),
        };
        let listed = list(&[FileStatus {
            file,
            played_by: vec!["/live.mp3".parse().unwrap(), "/b".parse().unwrap()],
            troubles: [(
                "n3".parse().unwrap(),
                "no such file on this node".to_owned(),
            )]
            .into(),
        }]);
        assert!(listed.contains("MP3, 44.1 kHz, stereo"), "{listed}");
        assert!(listed.contains("/live.mp3 /b"), "{listed}");
        let trouble = "\nn3 cannot play loop.mp3: no such file on this node\n";
        assert!(listed.ends_with(trouble), "{listed}");
        assert!(list(&[]).contains("antiphon file put"));
    }
}
