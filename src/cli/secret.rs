//! `antiphon secret generate`: 32 random bytes that make nodes one mesh.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;

use super::terminal;

/// As many as the keys derived from it have: with fewer, the secret would be easier to guess than they are.
const SECRET_BYTES: usize = 32;

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Print a new secret; every node of the mesh needs the same one
    Generate {
        /// Write the secret to this new file, which only you can read
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) fn run(command: SecretCommand) -> anyhow::Result<()> {
    let SecretCommand::Generate { out } = command;
    let secret = generate()?;
    match out {
        Some(path) => write_new(&path, &secret),
        None => Ok(terminal::print(&format!("{secret}\n"))?),
    }
}

/// A fresh secret as 64 hexadecimal digits.
pub(super) fn generate() -> anyhow::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").context("a text takes any digit")?;
    }
    Ok(text)
}

/// Writes a secret to a file that does not exist yet, readable by its owner only.
pub(super) fn write_new(path: &Path, secret: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "{} is there already and is left as it is: \
             nodes that use it would be cut off by a new secret",
            path.display()
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", path.display()));
        }
    };
    let written = writeln!(file, "{secret}").and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_64_digits_and_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn a_secret_on_disk_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_new(&path, "abc").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let error = write_new(&path, "def").unwrap_err();
        assert!(error.to_string().contains("left as it is"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc\n");
    }
}
