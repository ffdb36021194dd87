//! Finding where to cut a range.

use stocktake_core::Result;

use super::border::{self, Border, Dispute};
use super::ledger::Cut;
use super::{Ask, Listing, Page, Rest, Start};

/// Questions about disputed keys that one border is worth.
const DISPUTES: usize = 8;
/// How often a border is moved towards the middle of what lies behind it.
const HALVINGS: usize = 4;

impl Listing {
    /// Cuts a range where something lies behind the border; `None` where no border was found.
    ///
    /// It costs some five to ten requests; the last page is the first of what is cut off.
    pub(super) async fn cut(&self, cut: &Cut) -> Result<Option<Rest>> {
        let Some((border, page)) = self.find_border(cut).await? else { return Ok(None) };
        if !self.is_undisputed(&border).await? {
            return Ok(None);
        }
        let Some(range) = self.ledger.cut(cut, &border) else { return Ok(None) };
        let (prefix, start) = (cut.prefix.clone(), Start::After(border.key().to_owned()));
        Ok(Some(Rest { range, prefix, start, begin: Some(border), page: Some(page) }))
    }

    /// The farthest border behind which there are keys of the range, and they.
    async fn find_border(&self, cut: &Cut) -> Result<Option<(Border, Page)>> {
        let end = cut.end.as_ref().map(|end| end.key().as_bytes());
        let candidates = border::candidates(&cut.prefix, &cut.listed_to, end);
        let (mut from, mut to) = (0, candidates.len());
        let mut found = None;
        // What lies behind a border lies behind all nearer ones.
        while from < to {
            let middle = from.midpoint(to);
            let (at, border) = &candidates[middle];
            match self.page_behind(border, cut).await? {
                Some(page) => {
                    found = Some((*at, border.clone(), page));
                    to = middle;
                }
                None => from = middle + 1,
            }
        }
        let Some((at, border, page)) = found else { return Ok(None) };
        self.move_to_the_middle(cut, at, border, page).await.map(Some)
    }

    /// Tries borders that are greater at one place, since all of the alphabet may lie behind the first.
    async fn move_to_the_middle(&self, cut: &Cut, at: usize, border: Border, page: Page) -> Result<(Border, Page)> {
        let end = cut.end.as_ref().map(|end| end.key().as_bytes());
        let (low, mut high) = (border.key().as_bytes()[at], b'~');
        for _ in 0..HALVINGS {
            let middle = low.midpoint(high);
            let farther = border::border_at(&cut.prefix, &cut.listed_to, at, middle);
            let Some(farther) = farther.filter(|_| middle > low) else { break };
            let within = end.is_none_or(|end| farther.key().as_bytes() < end);
            match if within { self.page_behind(&farther, cut).await? } else { None } {
                Some(page) => return Ok((farther, page)),
                None => high = middle,
            }
        }
        Ok((border, page))
    }

    /// The page behind a border, where that has keys of the range.
    async fn page_behind(&self, border: &Border, cut: &Cut) -> Result<Option<Page>> {
        let start = Start::After(border.key().to_owned());
        let page = self.pages.page(Ask { prefix: &cut.prefix, start, by_folder: false, limit: None }).await?;
        let keys = || page.entries.iter().map(|entry| entry.key.as_bytes());
        if keys().any(|key| !border.is_before(key) && !border.is_disputed(key)) {
            self.ledger.never_cut();
            return Ok(None);
        }
        let belongs = |key: &[u8]| border.is_before(key) && cut.end.as_ref().is_none_or(|end| !end.is_before(key));
        Ok(keys().any(belongs).then_some(page))
    }

    /// Whether no key is there on whose side of the border stores disagree.
    async fn is_undisputed(&self, border: &Border) -> Result<bool> {
        let disputes = border.disputes();
        if disputes.len() > DISPUTES {
            return Ok(false);
        }
        // One after the other: a lane sends one request at a time.
        for dispute in &disputes {
            if !self.is_settled(dispute).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn is_settled(&self, dispute: &Dispute) -> Result<bool> {
        match dispute {
            Dispute::Folder(folder) => {
                let ask = Ask { prefix: folder, start: Start::Beginning, by_folder: false, limit: Some(1) };
                let page = self.pages.page(ask).await?;
                Ok(page.entries.is_empty() && page.next.is_none())
            }
            Dispute::Siblings(name) => {
                let ask = Ask { prefix: name, start: Start::Beginning, by_folder: true, limit: None };
                let page = self.pages.page(ask).await?;
                let keys = page.entries.iter().map(|entry| entry.key.as_bytes());
                let mut names = keys.chain(page.folders.iter().map(Vec::as_slice));
                let is_sibling = |key: &[u8]| key.get(name.len()).is_some_and(|byte| *byte < b'/');
                Ok(page.next.is_none() && !names.any(is_sibling))
            }
        }
    }
}
