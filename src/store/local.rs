//! Files in a folder of this machine.
//!
//! A file appears whole or not at all: it is written under another name, synced, and renamed. So a crash leaves no half
//! line, and what was said to be durable is.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::files::File;
use super::persist::Trouble;

/// What stands at the end of a name while the file is written.
pub(super) const UNFINISHED: &str = ".tmp";
/// Airbyte's word for the file that a check puts and takes away.
pub(super) const PROBE: &str = "_check_test";

/// A folder, which need not be there yet.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn words(&self) -> String {
        format!("the folder {}", self.0.display())
    }

    /// Puts a file, over an older one of its name.
    pub(super) async fn put(&self, file: &File) -> Result<(), Trouble> {
        let (root, file) = (self.0.clone(), file.clone());
        aside(move || put(&root, &file)).await
    }

    /// Puts a file and takes it away, with the folders that were not there before.
    pub(super) async fn probe(&self) -> Result<(), Trouble> {
        let root = self.0.clone();
        aside(move || {
            let absent: Vec<PathBuf> = root.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
            let name = format!("{PROBE}_{}", std::process::id());
            let probed = put(&root, &File { path: name.clone(), body: b"probe".as_slice().into() })
                .and_then(|()| fs::remove_file(root.join(&name)));
            // Those that are not empty were not made here, or are of use to somebody by now.
            absent.iter().filter(|folder| !folder.as_os_str().is_empty()).for_each(|folder| drop(fs::remove_dir(folder)));
            probed
        })
        .await
    }
}

/// Files block: they are left to a thread that may.
async fn aside(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| trouble(&error)),
        Err(_) => Err(Trouble::passing("the thread that writes ended")),
    }
}

fn put(root: &Path, file: &File) -> io::Result<()> {
    let path = root.join(&file.path);
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(UNFINISHED);
    let written = fs::File::create(&unfinished).and_then(|mut writer| {
        writer.write_all(&file.body)?;
        writer.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&unfinished, &path));
    if let Err(error) = renamed {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    // The names have to outlive a crash too, up to what was there before.
    for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::NotFound => Trouble::refused(error.to_string()),
        _ => Trouble::passing(error.to_string()),
    }
}
