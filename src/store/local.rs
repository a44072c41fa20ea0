//! Files in a folder of this machine.
//!
//! A file appears whole or not at all: it is written under another name, synced, and given its own. So a crash leaves no half
//! line and no empty file under that name, and what was said to be durable is. A name that something has already is never
//! given to a new file, whichever process is quicker.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::NamedTempFile;

use super::files::File;
use super::persist::{Put, Trouble};

/// What stands at the end of a name while the file is written.
pub(super) const UNFINISHED: &str = ".tmp";
/// Airbyte's word for the file that a check puts and takes away.
pub(super) const PROBE: &str = "_check_test";

/// A folder, which need not be there yet.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Whether the folders that it stands in were synced since it was made.
    stands: Arc<AtomicBool>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { root: path.to_owned(), stands: Arc::default() }
    }

    pub(super) fn words(&self) -> String {
        words(&self.root)
    }

    /// Puts a file: a new one unless something has its name, else over the one that was put before.
    pub(super) async fn put(&self, file: &File) -> Result<Put, Trouble> {
        let (root, stands, file) = (self.root.clone(), Arc::clone(&self.stands), file.clone());
        aside(move || put(&root, &stands, &file, &sync)).await
    }

    /// Puts a file and takes it away, with the folders that were not there before.
    pub(super) async fn probe(&self) -> Result<(), Trouble> {
        let (root, stands) = (self.root.clone(), Arc::clone(&self.stands));
        aside(move || probe(&root, &stands, &sync)).await
    }
}

pub(super) fn words(root: &Path) -> String {
    format!("the folder {}", root.display())
}

/// Files block: they are left to a thread that may.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| trouble(&error)),
        Err(_) => Err(Trouble::passing("the thread that writes ended")),
    }
}

/// Makes the names in a folder outlive a crash.
type Sync = dyn Fn(&Path) -> io::Result<()>;

fn probe(root: &Path, stands: &AtomicBool, sync: &Sync) -> io::Result<()> {
    let absent: Vec<&Path> = root.ancestors().take_while(|folder| !folder.exists()).collect();
    let name = format!("{PROBE}_{}", uuid::Uuid::new_v4());
    let file = File { place: 0, is_new: true, path: name.clone(), body: b"probe".as_slice().into() };
    let probed = put(root, stands, &file, sync).and_then(|_| fs::remove_file(root.join(&name)));
    // Those that are not empty were not made here, or are of use to somebody by now.
    absent.iter().filter(|folder| !folder.as_os_str().is_empty()).for_each(|folder| drop(fs::remove_dir(folder)));
    probed
}

fn put(root: &Path, stands: &AtomicBool, file: &File, sync: &Sync) -> io::Result<Put> {
    let path = root.join(&file.path);
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    if !stands.load(Ordering::Relaxed) {
        // So do the name of the root itself and those of the folders above it, whoever has just made them.
        root.canonicalize()?.ancestors().skip(1).try_for_each(|folder| where_it_can_be(sync(folder)))?;
        stands.store(true, Ordering::Relaxed);
    }
    // Of a name that nobody else has, and gone again where anything goes wrong.
    let mut names = tempfile::Builder::new();
    let names = names.prefix("").suffix(UNFINISHED);
    let mut unfinished = names.make_in(folder, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
    unfinished.write_all(&file.body)?;
    unfinished.as_file().sync_all()?;
    if !file.is_new {
        unfinished.persist(&path)?;
    } else if place(unfinished, &path)? == Put::Taken {
        return Ok(Put::Taken);
    }
    // The names have to outlive a crash too.
    let synced = folder.ancestors().take_while(|folder| folder.starts_with(root)).try_for_each(sync);
    if synced.is_err() && file.is_new {
        // Else the next attempt would find the name taken, and a check would leave it behind.
        let _ = fs::remove_file(&path);
    }
    synced.map(|()| Put::There)
}

/// Gives a file its name, unless something has it.
fn place(file: NamedTempFile, path: &Path) -> io::Result<Put> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(Put::There),
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => Ok(Put::Taken),
        Err(refused) => reserve(refused.file, path),
    }
}

/// The same where the file system can do neither, rename to a free name alone nor link: the right to the name is what one
/// process alone can make. Left behind by a crash it is a name that is not used.
fn reserve(file: NamedTempFile, path: &Path) -> io::Result<Put> {
    let mut right = path.as_os_str().to_owned();
    right.push(UNFINISHED);
    match OpenOptions::new().write(true).create_new(true).open(&right) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Put::Taken),
        Err(error) => return Err(error),
    }
    let placed = match path.symlink_metadata() {
        Ok(_) => Ok(Put::Taken),
        Err(error) if error.kind() == ErrorKind::NotFound => file.persist(path).map(|_| Put::There).map_err(io::Error::from),
        Err(error) => Err(error),
    };
    let _ = fs::remove_file(right);
    placed
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// High up much is not ours, and need not be such that anything can be made or synced there.
fn where_it_can_be(synced: io::Result<()>) -> io::Result<()> {
    use ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    match synced {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported) => Ok(()),
        synced => synced,
    }
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn file(path: &str, body: &'static str, is_new: bool) -> File {
        File { place: 0, is_new, path: path.to_owned(), body: body.into() }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_name_is_taken_once_and_nothing_unfinished_stays() {
        let directory = tempfile::tempdir().unwrap();
        let put = |file: &File| put(directory.path(), &AtomicBool::default(), file, &sync).unwrap();
        let text = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(put(&file("a", "first", true)), Put::There);
        assert_eq!((put(&file("a", "other", true)), &*text("a")), (Put::Taken, "first"));
        assert_eq!((put(&file("a", "first and more", false)), &*text("a")), (Put::There, "first and more"));
        assert_eq!(names(directory.path()), ["a"]);

        // The same where the file system has no way of its own.
        let unfinished = || tempfile::Builder::new().suffix(UNFINISHED).tempfile_in(directory.path()).unwrap();
        let path = |name: &str| directory.path().join(name);
        assert_eq!(reserve(unfinished(), &path("a")).unwrap(), Put::Taken);
        assert_eq!(reserve(unfinished(), &path("b")).unwrap(), Put::There);
        fs::write(path("c.tmp"), "").unwrap();
        assert_eq!(reserve(unfinished(), &path("c")).unwrap(), Put::Taken, "somebody is about to");
        assert_eq!(names(directory.path()), ["a", "b", "c.tmp"]);
    }

    #[test]
    fn all_folders_that_were_made_are_synced_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap().join("new/deep/root");
        let (seen, stands) = (Rc::new(RefCell::new(Vec::new())), AtomicBool::default());
        let synced = Rc::clone(&seen);
        let sync: Box<Sync> = Box::new(move |folder: &Path| {
            synced.borrow_mut().push(folder.to_owned());
            sync(folder)
        });
        put(&root, &stands, &file("7/users/a", "x", true), &sync).unwrap();
        let made = ["7/users", "7", "", "..", "../.."].map(|folder| root.join(folder).canonicalize().unwrap());
        assert!(made.iter().all(|folder| seen.borrow().contains(folder)), "{:?}", seen.borrow());
        seen.borrow_mut().clear();
        put(&root, &stands, &file("7/users/b", "x", true), &sync).unwrap();
        assert_eq!(seen.borrow().len(), 3, "what stands above is synced already: {:?}", seen.borrow());
    }

    #[test]
    fn what_can_not_be_made_durable_is_not_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let within = root.clone();
        let sync: Box<Sync> = Box::new(move |folder: &Path| match folder == within {
            true => Err(ErrorKind::PermissionDenied.into()),
            false => sync(folder),
        });
        assert!(probe(&root, &AtomicBool::default(), &sync).is_err());
        assert!(put(&root, &AtomicBool::default(), &file("a", "x", true), &sync).is_err());
        assert_eq!(names(&root), [""; 0]);
        put(&root, &AtomicBool::default(), &file("a", "x", true), &super::sync).unwrap();
        assert!(put(&root, &AtomicBool::default(), &file("a", "x and y", false), &sync).is_err());
        assert_eq!(names(&root), ["a"], "it holds what was kept before");
    }
}
