//! Files that a program of another user reads: that user's alone, and put in their place at once or not at all.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::Path;

use super::file::sync_dir_of;
use crate::model::system_user::SystemUser;

/// Others get through to the folder below, and see nothing on the way.
const WAY: u32 = 0o711;

/// Makes a folder for a user, or for the node's own, unless there is one already, which is left as it is.
pub fn make_folder(path: &Path, user: Option<&SystemUser>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
        DirBuilder::new().recursive(true).mode(WAY).create(parent)?;
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Puts a file in its place that nobody but the user may read. The folder may be the user's own: no link that waits there
/// is followed.
pub fn write(path: &Path, bytes: &[u8], user: Option<&SystemUser>) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    if let Some(user) = user {
        fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_dir_of(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use rustix::process::geteuid;

    use super::*;
    use crate::io::child::user_named;

    #[test]
    fn a_file_is_its_users_alone_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        let user = geteuid().is_root().then(|| user_named("nobody").unwrap());
        let user = user.as_ref();
        make_folder(&folder, user).unwrap();
        make_folder(&folder, user).unwrap();
        let (file, victim) = (folder.join("x.xml"), dir.path().join("victim"));
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, folder.join("x.new")).unwrap();
        for text in ["one", "two"] {
            write(&file, text.as_bytes(), user).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        let uid = user.map_or(geteuid().as_raw(), |user| user.uid);
        for (path, mode) in [(&file, 0o600), (&folder, 0o700)] {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!((metadata.mode() & 0o777, metadata.uid()), (mode, uid));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
