//! Finding the snapshot that a person means.

use stocktake_core::{Catalog, Error, Location, Result, SnapshotRecord};

/// The fewest characters of an id that stand for it.
const SHORTEST_ID: usize = 4;

/// The snapshot that `text` names: `latest`, an id, a name, or a part of an id.
///
/// `latest` is the one committed last. A part is the beginning or the end of an
/// id, of at least four characters (the end is random, so eight of it tell the
/// snapshots of any vault apart); it has to fit one snapshot only. A name wins
/// over a part of another snapshot's id.
///
/// # Errors
/// - [`SnapshotNotFound`](Error::SnapshotNotFound): nothing fits.
/// - [`InvalidInput`](Error::InvalidInput): several snapshots fit. Two of the same name are possible where two jobs
///   committed at the same moment.
/// - Those of [`Catalog::snapshots`].
pub async fn find_snapshot(catalog: &dyn Catalog, text: &str) -> Result<SnapshotRecord> {
    let snapshots = catalog.snapshots().await?;
    let place = select(&snapshots, text)?.ok_or_else(|| Error::SnapshotNotFound {
        snapshot: text.to_owned(),
        location: Location::new(catalog.to_string()),
    })?;
    Ok(snapshots[place].clone())
}

/// Which of `snapshots` is meant: pure.
fn select(snapshots: &[SnapshotRecord], text: &str) -> Result<Option<usize>> {
    if text == "latest" {
        return Ok((0..snapshots.len()).max_by_key(|place| (snapshots[*place].committed, snapshots[*place].id)));
    }
    let mut exact =
        (0..snapshots.len()).filter(|place| snapshots[*place].name == text || snapshots[*place].id.to_string() == text);
    if let Some(first) = exact.next() {
        return match exact.next() {
            None => Ok(Some(first)),
            Some(second) => Err(Error::invalid(format!(
                "several snapshots are named {text:?}; give the id, such as {} or {}",
                snapshots[first].id, snapshots[second].id
            ))),
        };
    }
    if text.len() < SHORTEST_ID {
        return Ok(None);
    }
    let fits = |record: &SnapshotRecord| {
        let id = record.id.to_string();
        id.starts_with(text) || id.ends_with(text)
    };
    let mut fitting = (0..snapshots.len()).filter(|place| fits(&snapshots[*place]));
    let first = fitting.next();
    match fitting.count() {
        0 => Ok(first),
        others => {
            Err(Error::invalid(format!("{text:?} could be any of {} snapshots; give more of the id", others + 1)))
        }
    }
}
