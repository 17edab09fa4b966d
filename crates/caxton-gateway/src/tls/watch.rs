//! How a file is known to be another one: by its time, size and identity, which symbolic links that
//! are turned to a new folder (as secrets mounted into a container are) change as well.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Options;

/// Modification time (s, ns), size, device and inode.
type Stamp = (i64, i64, u64, u64, u64);

/// The stamps of certificate, key and client issuers.
pub(super) type Stamps = [Option<Stamp>; 3];

/// What the files are now; `None` inside for one that is not there.
pub(super) fn stamps(options: &Options) -> Option<Stamps> {
    let client_ca = options.client_ca.as_deref().and_then(stamp);
    Some([stamp(&options.cert), stamp(&options.key), client_ca])
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    let (seconds, nanos) = (file.mtime(), file.mtime_nsec());
    Some((seconds, nanos, file.size(), file.dev(), file.ino()))
}
