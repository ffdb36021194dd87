//! Failures of the file system, as states of the world.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use rustix::io::Errno;
use stocktake_core::{Error, Location};

/// The error for a failed call, where no more is known than what the system says.
///
/// `action` says what was tried, on which name.
pub(crate) fn failure(location: &Location, action: impl Into<String>, source: io::Error) -> Error {
    let (location, action) = (location.clone(), action.into());
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let path = PathBuf::from(location.as_str());
            Error::LocalStorage { action: "find room on the disk of", path, source }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::AccessDenied { location, action, source: source.into() }
        }
        _ if is_passing(&source) => Error::Unavailable { location, action, source: source.into() },
        _ => Error::Rejected { location, action, source: source.into() },
    }
}

/// Whether the system may answer otherwise next time: too many open files, or a network file system that hangs.
fn is_passing(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::STALE | Errno::TIMEDOUT | Errno::AGAIN))
        || error.kind() == ErrorKind::Interrupted
}

/// Whether nothing of the name is there: no entry, or something that is no folder stands in the way to it.
///
/// A symbolic link where a folder should be reads as `NotADirectory`, one where a
/// file should be as `FilesystemLoop`, since links are not followed.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(errno: Errno) -> &'static str {
        failure(&Location::new("/backup"), "write x", errno.into()).code()
    }

    #[test]
    fn a_failure_tells_what_the_caller_can_do() {
        assert_eq!(code_of(Errno::NOSPC), "local_storage");
        assert_eq!(code_of(Errno::DQUOT), "local_storage");
        assert_eq!(code_of(Errno::ACCESS), "access_denied");
        assert_eq!(code_of(Errno::ROFS), "access_denied");
        assert_eq!(code_of(Errno::MFILE), "unavailable");
        assert_eq!(code_of(Errno::IO), "store_error");
    }

    #[test]
    fn a_full_disk_is_named() {
        let error = failure(&Location::new("/backup"), "write x", Errno::NOSPC.into());
        assert_eq!(error.to_string(), "could not find room on the disk of /backup");
    }
}
