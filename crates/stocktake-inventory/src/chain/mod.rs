//! Chains: a full inventory of OSS, and the incremental ones that follow it, read as one.
//!
//! [`plan`] says which of them belong together. The events of the incremental ones
//! are put in order of keys ([`rows`], [`record`], [`sort`]), those of a key are put
//! together ([`fold`]), and what came of each key stands in a [`table`]. A part of the
//! base is then read without the keys that have events; one more part holds what
//! came of those ([`inventory`]). Neither has to know the other, so parts are read in
//! any order, again, and at once.
//!
//! Only where older versions decide which is the current one is the base read once
//! more, for all versions of those keys.

mod delta;
mod fold;
mod inventory;
mod plan;
mod record;
mod rows;
mod sort;
mod table;

use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::{Error, InventoryFormat, InventoryInfo, Location, Result, Timestamp};

use crate::discovery::{Candidate, discover, discover_deltas};
use crate::fault::Fault;
use crate::manifest::DeltaManifest;
use crate::names;
use crate::reader::{MANIFESTS_AT_ONCE, ManifestReader};
use inventory::Chain;
use plan::{Link, Span};

/// The chains of the incremental inventories at `path` in `folder`, newest first.
pub(crate) async fn inventories(reader: &ManifestReader, folder: &str, path: &str) -> Result<Vec<InventoryInfo>> {
    let surroundings = Surroundings::look(reader, folder).await?;
    let mut infos = surroundings.infos();
    infos.retain(|(name, _)| path == folder || name == path || names::is_below(name, path));
    infos.sort_by(|(_, a), (_, b)| (b.created, b.location.as_str()).cmp(&(a.created, a.location.as_str())));
    Ok(infos.into_iter().map(|(_, info)| info).collect())
}

/// Opens the chain that ends in the incremental inventory with the manifest of this name.
pub(crate) async fn open(reader: &ManifestReader, folder: &str, name: &str) -> Result<Chain> {
    let surroundings = Surroundings::look(reader, folder).await?;
    let (info, base, deltas) = surroundings.chain(name, reader.location(name))?;
    let base = reader.open_report(base).await?;
    let deltas = stream::iter(deltas).map(|name| delta::open_delta(reader, name)).buffered(MANIFESTS_AT_ONCE);
    Chain::new(info, base, deltas.try_collect().await?, reader.temp_dir.clone())
}

/// What lies in a folder of incremental inventories and beside it.
struct Surroundings {
    /// Where the folder is: the identity of all chains.
    configuration: String,
    /// Full inventories that are ready, and the names of their manifests.
    bases: Vec<(String, InventoryInfo)>,
    deltas: Vec<Delta>,
}

/// An incremental inventory that was found, and what its manifest says or why it is no link of a chain.
struct Delta {
    name: String,
    location: Location,
    manifest: Result<Brief, Problem>,
}

/// What matters of a manifest before it is opened.
struct Brief {
    span: Span,
    files: u64,
    bytes: u64,
}

enum Problem {
    /// Its span, if its manifest tells it.
    NotReady(Span, String),
    Unreadable(Fault),
}

impl Surroundings {
    async fn look(reader: &ManifestReader, folder: &str) -> Result<Self> {
        let configuration = names::folder(folder);
        let candidates = discover_deltas(&*reader.vault, folder).await?;
        let deltas = stream::iter(candidates).map(|candidate| found(reader, candidate)).buffered(MANIFESTS_AT_ONCE);
        let deltas = deltas.try_filter_map(async |delta| Ok(delta)).try_collect().await?;
        let mut full = discover(&*reader.vault, configuration).await?;
        full.retain(|candidate| names::configuration(&candidate.manifest) == configuration);
        let bases = stream::iter(full).map(async |candidate| {
            let name = candidate.manifest.clone();
            match reader.info(candidate).await {
                Ok(info) if is_base(&info) => Ok(Some((name, info))),
                Ok(_) | Err(Error::InventoryNotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let bases = bases.buffered(MANIFESTS_AT_ONCE).try_filter_map(async |base| Ok(base)).try_collect().await?;
        Ok(Self { configuration: reader.location(folder).to_string(), bases, deltas })
    }

    fn bases(&self) -> Vec<Timestamp> {
        self.bases.iter().map(|(_, info)| info.created).collect()
    }

    /// The deltas that can be links, by index, and their spans.
    fn usable(&self) -> (Vec<usize>, Vec<Span>) {
        let spans = self.deltas.iter().enumerate();
        spans.filter_map(|(index, delta)| Some((index, delta.manifest.as_ref().ok()?.span))).unzip()
    }

    /// What is known of the chain that each delta is the last of, beside the name of its manifest.
    fn infos(&self) -> Vec<(String, InventoryInfo)> {
        let (usable, spans) = self.usable();
        let links = plan::links(&self.bases(), &spans);
        let mut infos: Vec<_> = self.deltas.iter().map(|delta| (delta.name.clone(), self.unlinked(delta))).collect();
        let (mut files, mut bytes) = (vec![0_u64], vec![0_u64]);
        for (place, usable_index) in plan::by_end(&spans).into_iter().enumerate() {
            let index = usable[usable_index];
            let Ok(Brief { files: own_files, bytes: own_bytes, .. }) = &self.deltas[index].manifest else { continue };
            files.push(files[place].saturating_add(*own_files));
            bytes.push(bytes[place].saturating_add(*own_bytes));
            let info = &mut infos[index].1;
            match &links[usable_index] {
                Err(broken) => info.not_ready = Some(self.reason(broken)),
                Ok((base, count)) => {
                    let base = &self.bases[*base].1;
                    let first = place + 1 - count;
                    info.files = base.files.saturating_add(files[place + 1] - files[first]);
                    info.bytes = base.bytes.saturating_add(bytes[place + 1] - bytes[first]);
                    info.bucket.clone_from(&base.bucket);
                    info.fields.clone_from(&base.fields);
                    info.not_ready = None;
                }
            }
        }
        infos
    }

    /// The chain that the delta with this manifest is the last of: what is known of it, and its manifests.
    fn chain(&self, name: &str, location: Location) -> Result<(InventoryInfo, &str, Vec<String>)> {
        let place = self.deltas.iter().position(|delta| delta.name == name);
        let place = place.ok_or_else(|| Error::InventoryNotFound {
            location: location.clone(),
            problem: "it is not there".into(),
        })?;
        match &self.deltas[place].manifest {
            Ok(_) => {}
            Err(Problem::Unreadable(fault)) => return Err(fault.clone().of(&location)),
            Err(Problem::NotReady(_, problem)) => {
                return Err(Error::InventoryIncomplete { inventory: location, problem: problem.clone() });
            }
        }
        let (usable, spans) = self.usable();
        let last = usable.iter().position(|index| *index == place).unwrap_or_default();
        match plan::link(&self.bases(), &spans, last) {
            Link::Whole { base, deltas } => {
                let info = self.infos().swap_remove(place).1;
                let deltas = deltas.into_iter().map(|index| self.deltas[usable[index]].name.clone()).collect();
                Ok((info, &self.bases[base].0, deltas))
            }
            broken => Err(Error::InventoryIncomplete { inventory: location, problem: self.reason(&broken) }),
        }
    }

    /// What is known of a delta without its chain.
    fn unlinked(&self, delta: &Delta) -> InventoryInfo {
        let named = || names::delta_time(names::last_segment(names::folder(&delta.name))).unwrap_or_default();
        let (created, problem) = match &delta.manifest {
            Ok(brief) => (brief.span.end, String::new()),
            Err(Problem::NotReady(span, problem)) => (span.end, problem.clone()),
            Err(Problem::Unreadable(fault)) => (named(), fault.to_string()),
        };
        InventoryInfo {
            configuration: self.configuration.clone(),
            not_ready: Some(problem),
            ..InventoryInfo::new(delta.location.clone(), InventoryFormat::Csv, created)
        }
    }

    /// Why there is no chain, and which delta it is for, if one is there that can't be used.
    fn reason(&self, link: &Link) -> String {
        let Link::Gap(from, to) = link else {
            return "no full inventory of its configuration that is ready was begun before its end".into();
        };
        let gap = format!("no incremental inventory covers {from} to {to}");
        let culprit = self.deltas.iter().find_map(|delta| match &delta.manifest {
            Err(Problem::NotReady(span, problem)) if span.start < *to && span.end > *from => {
                Some(format!("{}: {problem}", delta.location))
            }
            Err(Problem::Unreadable(fault)) => {
                let named = names::delta_time(names::last_segment(names::folder(&delta.name)));
                let fits = named.is_none_or(|time| *from <= time && time <= *to);
                fits.then(|| format!("{}: {fault}", delta.location))
            }
            _ => None,
        });
        culprit.map_or(gap.clone(), |culprit| format!("{gap} ({culprit})"))
    }
}

/// Whether a full inventory can be the first of a chain.
fn is_base(info: &InventoryInfo) -> bool {
    info.not_ready.is_none() && info.format == InventoryFormat::Csv && !info.bucket.is_empty()
}

/// What is known of a manifest; `None` when it was removed since it was listed.
async fn found(
    reader: &ManifestReader,
    Candidate { manifest: name, has_checksum }: Candidate,
) -> Result<Option<Delta>> {
    let location = reader.location(&name);
    let parsed = match reader.read_manifest(&name).await {
        Ok(bytes) => DeltaManifest::parse(&bytes),
        Err(Error::InventoryCorrupt { problem, .. }) => Err(Fault::corrupt(problem)),
        Err(Error::InventoryNotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let manifest = match parsed {
        Err(fault) => Err(Problem::Unreadable(fault)),
        Ok(DeltaManifest { start, end, .. }) if !has_checksum => {
            Err(Problem::NotReady(Span { start, end }, format!("{} is missing", names::CHECKSUM)))
        }
        Ok(DeltaManifest { start, end, manifest }) => {
            Ok(Brief { span: Span { start, end }, files: manifest.files.len() as u64, bytes: manifest.data_bytes() })
        }
    };
    Ok(Some(Delta { name, location, manifest }))
}
