//! Secrets of meshes, and the files in which nodes find them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A new secret for a cluster.
pub(crate) fn new_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a secret as only its owner can read it.
pub(super) fn write_secret(file: &Path, secret: &str) {
    fs::write(file, format!("{secret}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
