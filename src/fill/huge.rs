//! [`HugePages`]: transparent huge pages for a file that is being filled, if the kernel has any.

use crate::error::Error;
use crate::map::Exclusive;
use crate::sealed::Fresh;
use crate::sys;

/// How a file gets its next huge page. This is found out while the file is filled, not from the version
/// or the settings of the kernel.
///
/// The kernel makes a huge page in one of two ways. Where its policy
/// (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`) allows huge pages, touching the first byte
/// allocates one. Under any policy but `deny`, a range that already has a page can be collapsed
/// into a huge page (since Linux 6.1). So we touch a byte and collapse the range; how much memory
/// the file then has shows whether it got a huge page. If it got none, the rest of the file
/// gets ordinary pages: a kernel that has no room for one huge page will not have it for the next,
/// and asking again is expensive.
pub(super) struct HugePages {
    wanted: bool,
    /// The size of a huge page, or 1 if none are wanted or the file is still too short for one.
    size: usize,
    /// How much of the file has huge pages.
    end: usize,
    /// Whether collapsing has worked so far.
    collapses: bool,
}

/// How many huge pages to get at once. Getting many saves calls of `madvise(MADV_COLLAPSE)`, each
/// of which makes all processors empty their own batches of pages. Getting few means that
/// memory that was just cleared is still in the cache when it is filled.
const AT_ONCE: usize = 2;

impl HugePages {
    pub(super) const fn new(wanted: bool) -> Self {
        Self { wanted, size: 1, end: 0, collapses: true }
    }

    /// The size of a huge page for a file of this length, or 1 if it is to have none.
    pub(super) fn size(&mut self, len: usize) -> usize {
        if self.wanted && self.size == 1 {
            self.size = sys::transparent_huge_page_size(len);
        }
        if len < self.size { 1 } else { self.size }
    }

    /// Whether collapsing has worked so far.
    pub(super) const fn collapses(&self) -> bool {
        self.collapses
    }

    /// Gets the next huge pages of the file. Returns where they end, or `None` if the rest of the
    /// file gets ordinary pages.
    #[inline(never)]
    pub(super) fn take(&mut self, map: &mut Exclusive) -> Result<Option<usize>, Error> {
        // The file's length, rounded down to whole huge pages.
        let whole = map.fresh().len() & !(self.size - 1);
        if self.size == 1 || self.end >= whole {
            return Ok(None);
        }
        let end = whole.min(self.end.saturating_add(self.size.saturating_mul(AT_ONCE)));
        let mut next = self.end;
        while next < end && map.touch(next) {
            next = next.saturating_add(self.size);
        }
        let touched = next >= end;
        // Under the policy `always` touching was enough, and a failed collapse does not matter.
        self.collapses = touched && self.collapses && map.collapse(self.end, end);
        if !touched || map.fresh().memory()? < end as u64 {
            // If no memory is left at all, allocating ordinary pages will report it.
            self.give_up();
            return Ok(None);
        }
        map.set_allocated(end);
        self.end = end;
        Ok(Some(end))
    }

    /// Makes the file longer by huge pages that `read` fills, up to `len` rounded down to whole
    /// ones. Stops earlier if `read` returns 0, or if no huge page or no address space is
    /// left.
    pub(super) fn fill<E: From<Error>>(
        &mut self,
        mut fresh: Fresh,
        len: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Fresh, E> {
        let mut done = fresh.len();
        let size = self.size(len);
        let len = len & !(size - 1);
        if size == 1 || len <= done {
            return Ok(fresh);
        }
        fresh.resize(len)?;
        let mut map = match Exclusive::new(fresh, size) {
            Ok(map) => map,
            Err(error) => {
                // No address space is left. Ordinary pages need none, because they are written.
                self.give_up();
                let mut fresh = error.into_inner();
                fresh.resize(done)?;
                return Ok(fresh);
            }
        };
        'filling: while let Some(end) = self.take(&mut map)? {
            while let Some(page @ [_, ..]) = map.bytes_mut().get_mut(done..end) {
                match read(page)? {
                    0 => break 'filling,
                    n => done = done.saturating_add(n),
                }
            }
        }
        let mut fresh = map.into_fresh();
        // The source or the huge pages have ended early: the file has just what was read.
        if done < len {
            fresh.resize(done)?;
        }
        Ok(fresh)
    }

    /// How much of a source of unknown length goes to ordinary pages first, because the source may have
    /// no more.
    pub(super) fn least(&mut self, limit: usize) -> usize {
        match self.size(limit) {
            1 => 0,
            size => size,
        }
    }

    /// Like [`fill`](Self::fill), for a source of unknown length, once the file has
    /// [`least`](Self::least) bytes. The file does not become longer than `limit`.
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
            // One huge page at a time, so that a short source does not cost memory for a long one.
            fresh = self.fill(fresh, len, &mut read)?;
            if fresh.len() < len {
                return Ok(fresh);
            }
        }
    }

    fn give_up(&mut self) {
        (self.wanted, self.size) = (false, 1);
    }

    /// To be called when the file becomes shorter: forgets the huge pages past its new end.
    pub(super) fn cut(&mut self, len: usize) {
        self.end = self.end.min(len & !(self.size - 1));
    }
}
