//! [`HugePages`]: transparent huge pages for a file that is being filled, where they can be had.

use crate::error::{Error, ErrorWith};
use crate::map::Exclusive;
use crate::sealed::Fresh;
use crate::sys;

/// No processor has smaller ones, so nobody asks for their size because of a shorter file.
const SMALLEST: usize = 1 << 20;

/// How the file gets its next huge page, which is found out while it is filled, and never from the
/// version of the kernel or from its settings.
///
/// The kernel makes a huge page in one of two ways. Where its policy
/// (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`) allows them, the first byte that is touched
/// brings one. Whatever the policy, a range that has a page can be collapsed to a huge one (since
/// Linux 6.1, unless the policy is `deny`). So a byte is touched, the range is collapsed, and what
/// memory the file has by then shows whether there is a huge page. If not, the rest of the file gets
/// ordinary pages: a kernel that has no room for one will not have it for the next one, and asking
/// is expensive then.
pub(super) struct HugePages {
    /// The size of one, or 1 if no more are wanted.
    size: usize,
    /// How much of the file has huge pages.
    end: usize,
    /// Whether collapsing has worked so far.
    collapses: bool,
}

impl HugePages {
    /// For a file of about this length; one of unknown length has `usize::MAX`.
    pub(super) fn wanted(wanted: bool, len: usize) -> Self {
        let size = if wanted && len >= SMALLEST { sys::transparent_huge_page_size() } else { 1 };
        Self { size, end: 0, collapses: true }
    }

    /// The size of one, or 1 if no more are to be had.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Whether collapsing has worked so far.
    pub(super) const fn collapses(&self) -> bool {
        self.collapses
    }

    /// How much of a source of unknown length goes to ordinary pages first: it may have no more.
    pub(super) const fn least(&self) -> usize {
        if self.size == 1 { 0 } else { self.size }
    }

    /// Gets the next huge page of the file. Returns where it ends, or `None` if the rest of the file
    /// is for ordinary pages.
    #[inline(never)]
    pub(super) fn take(&mut self, map: &mut Exclusive) -> Result<Option<usize>, Error> {
        let (start, end) = (self.end, self.end.saturating_add(self.size));
        if self.size == 1 || end > map.fresh().len() {
            return Ok(None);
        }
        // The kernel populates and does not return SIGBUS if no memory is left, as a store would.
        map.populate(start.saturating_add(1))?;
        self.collapses = self.collapses && map.collapse(start, self.size);
        if map.fresh().memory()? < end as u64 {
            self.size = 1;
            return Ok(None);
        }
        map.set_allocated(end);
        self.end = end;
        Ok(Some(end))
    }

    /// Makes the file longer, up to `len` or a little less, by what `read` puts into whole huge
    /// pages. It ends earlier if `read` returns 0, or if there are no more huge pages.
    pub(super) fn fill<E: From<Error>>(
        &mut self,
        mut fresh: Fresh,
        len: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Fresh, E> {
        let mut done = fresh.len();
        let len = len & !(self.size - 1);
        if self.size == 1 || len <= done {
            return Ok(fresh);
        }
        fresh.resize(len)?;
        let mut map = Exclusive::new(fresh, self.size).map_err(ErrorWith::into_error)?;
        'filling: while let Some(end) = self.take(&mut map)? {
            while let Some(page @ [_, ..]) = map.bytes_mut().get_mut(done..end) {
                match read(page)? {
                    0 => break 'filling,
                    n => done = done.saturating_add(n),
                }
            }
        }
        let mut fresh = map.into_fresh();
        if done < len {
            fresh.resize(done)?;
        }
        Ok(fresh)
    }

    /// As [`fill`](Self::fill), for a source of unknown length, of which the file has the
    /// [`least`](Self::least) already. The file does not become longer than `limit`.
    pub(super) fn stream<E: From<Error>>(
        &mut self,
        mut fresh: Fresh,
        limit: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Fresh, E> {
        loop {
            let len = fresh.len().saturating_add(self.size);
            if len > limit || fresh.len() < self.size {
                return Ok(fresh);
            }
            fresh = self.fill(fresh, len, &mut read)?;
            if fresh.len() < len {
                return Ok(fresh);
            }
        }
    }

    /// The file was made shorter.
    pub(super) fn cut(&mut self, len: usize) {
        self.end = self.end.min(len & !(self.size - 1));
    }
}
