//! A walk through a folder, in the byte order of whole paths.
//!
//! Within a folder, a folder named `a` sorts as `a/`, since that is how the
//! paths below it begin. With that, going depth first yields all paths in order,
//! and the walk keeps the names of one folder for each level it is in, and
//! nothing else: its memory grows with the largest folders on one path, not with
//! the number of files.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FileType;

use crate::dir::{Dir, Name};
use crate::error::is_absent;
use crate::facts::Facts;
use crate::key;

/// Yields the regular files below a root, ascending by path.
///
/// What disappears between being seen and being looked at is left out. Symbolic
/// links and special files are counted, and named in the log.
#[derive(Debug)]
pub(crate) struct Walk {
    prefix: Vec<u8>,
    after: Vec<u8>,
    levels: Vec<Level>,
    skipped: u64,
}

/// A folder the walk is in.
#[derive(Debug)]
struct Level {
    dir: Arc<Dir>,
    /// The path of the folder, ending in `/` but for the root's, which is empty.
    path: Vec<u8>,
    /// What is still to be visited, ascending; names of folders end in `/`.
    names: VecDeque<Name>,
    /// How many of them are folders.
    folders: usize,
}

/// Names of files that are worth giving away.
const WORTH_GIVING: usize = 256;

impl Walk {
    /// Begins a walk over the paths that begin with `prefix` and come after `after`.
    ///
    /// Nothing is yielded where no folder of the prefix exists. That the root
    /// exists is for the caller to know.
    pub(crate) fn new(root: Dir, prefix: &[u8], after: &[u8]) -> io::Result<Self> {
        let mut walk = Self { prefix: prefix.to_vec(), after: after.to_vec(), levels: Vec::new(), skipped: 0 };
        let folder = &prefix[..prefix.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)];
        if let Some(dir) = descend(root, folder)? {
            walk.enter(dir, folder.to_vec())?;
        }
        Ok(walk)
    }

    /// The next file.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, Facts)>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.pop_front() else {
                self.levels.pop();
                continue;
            };
            let path = [&level.path[..], &name.bytes].concat();
            if name.kind == FileType::Directory {
                level.folders -= 1;
                let dir = level.dir.folder(&name.bytes[..name.bytes.len() - 1]);
                if let Some(dir) = unless_gone(dir)? {
                    self.enter(dir, path)?;
                }
            } else if let Some(facts) = unless_gone(level.dir.facts(&name.bytes))? {
                if facts.is_file() {
                    return Ok(Some((path, facts)));
                }
                self.skip(&path, facts.kind);
            }
        }
        Ok(None)
    }

    /// Gives away the latter half of what is still to be visited in one folder: the highest that has
    /// folders left, or else one with many files. `None` where there is no such folder.
    ///
    /// Both walks ascend by themselves, and no path is in both.
    pub(crate) fn split(&mut self) -> Option<Self> {
        let has_folders = |level: &&mut Level| level.folders > 0 && level.names.len() > 1;
        let level = match self.levels.iter_mut().find(has_folders) {
            Some(level) => level,
            None => self.levels.iter_mut().find(|level| level.names.len() >= WORTH_GIVING)?,
        };
        let names = level.names.split_off(level.names.len() / 2);
        let half = Level::new(Arc::clone(&level.dir), level.path.clone(), names);
        level.folders -= half.folders;
        let (prefix, after) = (self.prefix.clone(), self.after.clone());
        Some(Self { prefix, after, levels: vec![half], skipped: 0 })
    }

    /// How many links and special files were left out so far.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    fn skip(&mut self, path: &[u8], kind: FileType) {
        self.skipped += 1;
        tracing::warn!(path = %stocktake_core::display_key(path), ?kind, "left out: neither a file nor a folder");
    }

    fn enter(&mut self, dir: Dir, path: Vec<u8>) -> io::Result<()> {
        let mut names = Vec::new();
        for mut name in dir.names()? {
            if key::is_temporary(&name.bytes) {
                continue;
            }
            if name.kind == FileType::Unknown {
                let Some(facts) = unless_gone(dir.facts(&name.bytes))? else { continue };
                name.kind = facts.kind;
            }
            if name.kind == FileType::Directory {
                name.bytes.push(b'/');
            }
            if self.may_hold(&path, &name) {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
        names.shrink_to_fit();
        self.levels.push(Level::new(Arc::new(dir), path, names.into()));
        Ok(())
    }

    /// Whether the name is, or leads to, a path that is wanted.
    fn may_hold(&self, folder: &[u8], name: &Name) -> bool {
        let path = [folder, &name.bytes].concat();
        if name.kind == FileType::Directory {
            let in_prefix = path.starts_with(&self.prefix) || self.prefix.starts_with(&path);
            // Every path below begins with this one, so it comes after what this one comes after.
            in_prefix && (path > self.after || self.after.starts_with(&path))
        } else {
            path.starts_with(&self.prefix) && path > self.after
        }
    }
}

impl Level {
    fn new(dir: Arc<Dir>, path: Vec<u8>, names: VecDeque<Name>) -> Self {
        let folders = names.iter().filter(|name| name.kind == FileType::Directory).count();
        Self { dir, path, names, folders }
    }
}

/// Opens the folder at `path`, which is empty or ends in `/`; `None` where there is none.
fn descend(root: Dir, path: &[u8]) -> io::Result<Option<Dir>> {
    let mut dir = root;
    let Some(path) = path.strip_suffix(b"/") else { return Ok(Some(dir)) };
    for name in path.split(|byte| *byte == b'/') {
        if key::check_segment(name).is_err() {
            return Ok(None);
        }
        let Some(next) = unless_gone(dir.folder(name))? else { return Ok(None) };
        dir = next;
    }
    Ok(Some(dir))
}

fn unless_gone<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if is_absent(&error) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Opens the folder that a walk begins in; `None` when it does not exist.
pub(crate) fn open_root(path: &Path) -> io::Result<Option<Dir>> {
    match Dir::root(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(root: &Path, prefix: &str, after: &str) -> Vec<String> {
        let mut walk = Walk::new(Dir::root(root).unwrap(), prefix.as_bytes(), after.as_bytes()).unwrap();
        let mut paths = Vec::new();
        while let Some((path, _)) = walk.next().unwrap() {
            paths.push(String::from_utf8(path).unwrap());
        }
        paths
    }

    fn folder_with(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    const PATHS: [&str; 9] = ["a-b", "a.b", "a/b", "a/b-c", "a/c-d", "a/c.d", "a/c/d", "a0", "b/x/y/z"];

    #[test]
    fn paths_come_in_byte_order_whatever_the_folders() {
        assert_eq!(walk(folder_with(&PATHS).path(), "", ""), PATHS);
    }

    #[test]
    fn every_prefix_and_start_picks_what_plain_text_would() {
        let folder = folder_with(&PATHS);
        let texts =
            ["", "a", "a/", "a/b", "a/b-", "a/c", "a/c/", "a/c/d", "a/c/d/", "a0", "b/x/y", "b/x/y/zz", "c", "a//"];
        for prefix in texts {
            for after in texts {
                let expected: Vec<_> =
                    PATHS.into_iter().filter(|path| path.starts_with(prefix) && *path > after).collect();
                assert_eq!(walk(folder.path(), prefix, after), expected, "{prefix:?} after {after:?}");
            }
        }
    }

    #[test]
    fn a_walk_that_is_split_again_and_again_visits_each_path_once() {
        let mut paths: Vec<String> = PATHS.iter().map(|path| (*path).to_owned()).collect();
        paths.extend((0..600).map(|number| format!("many/{number:03}")));
        paths.extend((0..90).map(|number| format!("deep/{}/{}/{number:03}", number % 3, number % 7)));
        let folder = folder_with(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        for every in 1..5 {
            let mut walks = vec![Walk::new(Dir::root(folder.path()).unwrap(), b"", b"").unwrap()];
            let (mut found, mut splits) = (Vec::new(), 0);
            while let Some(mut walk) = walks.pop() {
                let mut visited = Vec::new();
                while let Some((path, _)) = walk.next().unwrap() {
                    visited.push(String::from_utf8(path).unwrap());
                    if visited.len().is_multiple_of(every) {
                        let before = walks.len();
                        walks.extend(walk.split());
                        splits += walks.len() - before;
                    }
                }
                assert!(visited.is_sorted());
                found.append(&mut visited);
            }
            found.sort();
            paths.sort();
            assert_eq!(found, paths);
            assert!(splits > 10, "{splits}");
        }
    }

    #[test]
    fn links_and_files_being_written_are_left_out() {
        let folder = folder_with(&["a/file"]);
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("a/file", folder.path().join("a/link")).unwrap();
        std::fs::write(folder.path().join("a").join(key::temporary_name(1, 1)), "x").unwrap();
        let mut walk = Walk::new(Dir::root(folder.path()).unwrap(), b"", b"").unwrap();
        assert_eq!(walk.next().unwrap().unwrap().0, b"a/file");
        assert!(walk.next().unwrap().is_none());
        assert_eq!(walk.skipped(), 2);
    }
}
