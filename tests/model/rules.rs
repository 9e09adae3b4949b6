//! A model of a memory file: what each operation does, and which are refused.

/// The kernel's numbers of the seals.
pub const SEAL: u32 = 0x1;
pub const SHRINK: u32 = 0x2;
pub const GROW: u32 = 0x4;
pub const WRITE: u32 = 0x8;
pub const FUTURE_WRITE: u32 = 0x10;

/// One step of a script. `handle` and `map` are indices, taken modulo the number that are open.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Op {
    Write {
        handle: usize,
        offset: u64,
        len: usize,
        byte: u8,
    },
    Read {
        handle: usize,
        offset: u64,
        len: usize,
    },
    SetLen {
        handle: usize,
        len: u64,
    },
    Allocate {
        handle: usize,
        offset: u64,
        len: u64,
    },
    AddSeals {
        handle: usize,
        seals: u32,
    },
    /// Makes another descriptor with the same access, by `dup` or through a socket.
    Clone {
        handle: usize,
    },
    Receive {
        handle: usize,
    },
    ReopenReadOnly {
        handle: usize,
    },
    ReopenReadWrite {
        handle: usize,
    },
    Close {
        handle: usize,
    },
    /// A forked child writes or adds seals.
    ChildWrites {
        handle: usize,
        offset: u64,
        byte: u8,
    },
    ChildSeals {
        handle: usize,
        seals: u32,
    },
    /// Makes a `SharedMap`, a `SharedView`, or a `Map` and a `CowMap` of a `SealedFile`.
    Share {
        handle: usize,
    },
    View {
        handle: usize,
    },
    Prove {
        handle: usize,
    },
    WriteShared {
        map: usize,
        offset: usize,
        byte: u8,
    },
    WritePrivate {
        map: usize,
        offset: usize,
        byte: u8,
    },
    Unshare {
        map: usize,
    },
}

const PAGE: u64 = 4096;

/// Any two bytes and a 16-bit number are a step, so that any source of bytes yields scripts.
impl From<(u8, u8, u16)> for Op {
    fn from((kind, index, number): (u8, u8, u16)) -> Self {
        let handle = usize::from(index);
        let byte = number.to_le_bytes()[0] | 1;
        // Around the boundaries of the first pages, where behaviour changes.
        let offset = u64::from(number % 4) * PAGE + u64::from(number / 4 % 16);
        let len = usize::from(number / 64 % 8) * 1000;
        let seals =
            [SHRINK, GROW, WRITE, FUTURE_WRITE, SEAL, SHRINK | GROW, SHRINK | WRITE, SHRINK | GROW | WRITE | SEAL]
                [usize::from(number % 8)];
        match kind % 32 {
            0..=4 => Self::Write { handle, offset, len, byte },
            5..=6 => Self::Read { handle, offset, len },
            7..=9 => Self::SetLen { handle, len: offset },
            10..=11 => Self::Allocate { handle, offset, len: len as u64 },
            12..=14 => Self::AddSeals { handle, seals },
            15 => Self::Clone { handle },
            16 => Self::Receive { handle },
            17 => Self::ReopenReadOnly { handle },
            18 => Self::ReopenReadWrite { handle },
            19 => Self::Close { handle },
            20 if number % 4 == 0 => Self::ChildWrites { handle, offset, byte },
            20 if number % 4 == 1 => Self::ChildSeals { handle, seals },
            20..=22 => Self::Share { handle },
            23 => Self::View { handle },
            24..=25 => Self::Prove { handle },
            26..=28 => Self::WriteShared { map: handle, offset: offset as usize, byte },
            29 => Self::WritePrivate { map: handle, offset: offset as usize, byte },
            _ => Self::Unshare { map: handle },
        }
    }
}

/// Why an operation is refused: the kernel returns an errno, or the crate misses seals.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Refused {
    Errno(i32),
    Lacks(u32),
}

pub const EPERM: Refused = Refused::Errno(libc::EPERM);
pub const EBADF: Refused = Refused::Errno(libc::EBADF);
pub const EINVAL: Refused = Refused::Errno(libc::EINVAL);
pub const EACCES: Refused = Refused::Errno(libc::EACCES);
pub const EBUSY: Refused = Refused::Errno(libc::EBUSY);

/// The state of the file.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub bytes: Vec<u8>,
    pub seals: u32,
    /// The number of writable mappings. An empty map has no mapping.
    pub writers: usize,
}

impl Model {
    fn has(&self, seals: u32) -> bool {
        self.seals & seals != 0
    }

    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many bytes can be written. `Ok(None)` if kernels differ: they may write nothing, or what
    /// fits before the end.
    pub fn may_write(&self, writable: bool, offset: u64, len: usize) -> Result<Option<usize>, Refused> {
        if !writable {
            return Err(EBADF);
        }
        if len == 0 {
            return Ok(Some(0));
        }
        let beyond = offset + len as u64 > self.len();
        if self.has(WRITE | FUTURE_WRITE) || self.has(GROW) && offset >= self.len() {
            return Err(EPERM);
        }
        Ok(if self.has(GROW) && beyond { None } else { Some(len) })
    }

    pub fn write(&mut self, offset: u64, len: usize, byte: u8) {
        if len > 0 {
            let (start, end) = (offset as usize, offset as usize + len);
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[start..end].fill(byte);
        }
    }

    pub fn read(&self, offset: u64, len: usize) -> &[u8] {
        let start = self.bytes.len().min(offset as usize);
        &self.bytes[start..self.bytes.len().min(start + len)]
    }

    pub fn set_len(&mut self, writable: bool, len: u64) -> Result<(), Refused> {
        if !writable {
            return Err(EINVAL);
        }
        if self.has(SHRINK) && len < self.len() || self.has(GROW) && len > self.len() {
            return Err(EPERM);
        }
        self.bytes.resize(len as usize, 0);
        Ok(())
    }

    pub fn allocate(&mut self, writable: bool, offset: u64, len: u64) -> Result<(), Refused> {
        if len == 0 {
            return Err(EINVAL);
        }
        if !writable {
            return Err(EBADF);
        }
        if self.has(GROW) && offset + len > self.len() {
            return Err(EPERM);
        }
        self.bytes.resize(self.len().max(offset + len) as usize, 0);
        Ok(())
    }

    pub fn add_seals(&mut self, writable: bool, seals: u32) -> Result<(), Refused> {
        if !writable || self.has(SEAL) {
            return Err(EPERM);
        }
        if seals & WRITE != 0 && self.writers > 0 {
            return Err(EBUSY);
        }
        self.seals |= seals;
        Ok(())
    }

    fn lacks(&self, seals: u32) -> Result<(), Refused> {
        match seals & !self.seals {
            0 => Ok(()),
            missing => Err(Refused::Lacks(missing)),
        }
    }

    /// Makes a writable mapping of the file up to its current length.
    pub fn share(&mut self, writable: bool) -> Result<(), Refused> {
        self.lacks(SHRINK)?;
        if self.bytes.is_empty() {
            return Ok(());
        }
        if !writable {
            return Err(EACCES);
        }
        if self.has(WRITE | FUTURE_WRITE) {
            return Err(EPERM);
        }
        self.writers += 1;
        Ok(())
    }

    pub fn view(&self) -> Result<(), Refused> {
        self.lacks(SHRINK)
    }

    pub fn prove(&self) -> Result<(), Refused> {
        self.lacks(SHRINK | WRITE)
    }
}
