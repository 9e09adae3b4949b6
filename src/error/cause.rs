//! The one table of what can go wrong: each cause with its `std::io` kind, and the sentences that
//! explain it.

/// Declares [`Cause`] and [`Reason`] from one table, so that no fact stands in two lists:
///
/// ```text
/// /// documentation
/// PublicCause, IoErrorKind { Reason => "sentence", … }
/// ```
///
/// `{}` in a sentence stands for the error's next number, `{bytes}` for the next one as a number of
/// bytes, and `{seals}` for the error's seals. There are at most three numbers.
macro_rules! causes {
    ($($(#[$doc:meta])* $Cause:ident, $Kind:ident { $($Reason:ident => $text:literal,)* })*) => {
        /// What went wrong, for programs that react to it. The [`Display`](core::fmt::Display) of
        /// an [`Error`](crate::Error) says more, and what to do.
        ///
        /// ```
        /// use memfile::{Cause, MemFile};
        ///
        /// let on_disk = std::fs::File::open("Cargo.toml")?;
        /// match MemFile::from_fd(on_disk.into()) {
        ///     Err(error) if error.error().cause() == Cause::NotAMemoryFile => println!("{error}"),
        ///     _ => panic!("a file on disk is not a memory file"),
        /// }
        /// # Ok::<(), std::io::Error>(())
        /// ```
        ///
        /// # References
        /// [errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html)
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$doc])* $Cause,)*
        }

        impl Cause {
            /// The kind of `std::io::Error` that fits where the kernel gave no errno.
            #[cfg(feature = "std")]
            pub(super) const fn io_kind(self) -> std::io::ErrorKind {
                match self {
                    $(Self::$Cause => std::io::ErrorKind::$Kind,)*
                }
            }
        }

        /// A cause, more precisely: each has a sentence of its own.
        // Every reason exists in every build, so that no `cfg` splits the table.
        #[allow(dead_code, reason = "some belong to one feature or system alone")]
        #[derive(Copy, Clone, PartialEq, Eq)]
        pub(crate) enum Reason {
            $($($Reason,)*)*
        }

        impl Reason {
            pub(crate) const fn cause(self) -> Cause {
                match self {
                    $($(Self::$Reason => Cause::$Cause,)*)*
                }
            }

            pub(super) const fn text(self) -> &'static str {
                match self {
                    $($(Self::$Reason => $text,)*)*
                }
            }
        }
    };
}

// A sentence names what is wrong, and the call of this crate that helps, if there is one.
causes! {
    /// The descriptor is not a memory file: it is another kind of file, is not open, or was opened
    /// with `O_PATH`.
    NotAMemoryFile, InvalidInput {
        NotAMemoryFile => "the descriptor is not a memory file: pipes, sockets and files on disk have no seals",
        PathOnly => "the descriptor is not open, or was opened with O_PATH",
        NotByMemfd => "the file was not created by memfd_create",
    }

    /// The system is too old, was built without the feature, or hides it. The message says since
    /// when it is available.
    Unsupported, Unsupported {
        NoMemfd => "this system has no memfd_create: it needs Linux 3.17 with CONFIG_MEMFD_CREATE, \
            and a sandbox may hide it",
        UnknownFlag => "this kernel, or a sandbox, refuses a flag of memfd_create",
        UnknownHugeTlb => "this kernel lacks MFD_HUGETLB (since Linux 4.14), or cannot seal such files (since 4.16)",
        NoHugeTlb => "this system has no hugetlbfs",
        HugePageSize => "this machine has no huge pages of that size: /sys/kernel/mm/hugepages lists those it has",
        UnknownSeal => "this kernel lacks one of these seals: FutureWrite is available since Linux 5.1, \
            Exec since 6.3",
        SealingIgnored => "the kernel accepted the seals, but the file is missing the {seals}: \
            a sandbox may pretend to add them",
        NoPopulate => "this kernel lacks MADV_POPULATE_READ (since Linux 5.14): copy the file with `copy_of`",
        NoCollapse => "the kernel did not make a huge page of a memory file: that needs Linux 6.1, free memory in one piece, and \
            a policy other than `deny` in /sys/kernel/mm/transparent_hugepage/shmem_enabled",
        NoFutex => "this system has no futex: it was built without CONFIG_FUTEX, or a sandbox hides it",
        NoProc => "/proc is not mounted, so the file has no path",
        Absent => "this system does not support this operation",
    }

    /// The file has a seal that forbids the change, or forbids adding more seals.
    Sealed, PermissionDenied {
        Sealed => "the file has the seal Seal: it was created without sealing (`create_sealable` permits it), \
            or closed to further seals",
        SealedChange => "a seal forbids this change: put the data into a new file",
        SealedWrite => "the file has the seal Write, so nobody can map it for writing: \
            use `SealedFile::map` or `SharedView`",
        SealedFutureWrite => "the file has the seal FutureWrite: only mappings that existed before can write to it. \
            Map it before you seal it, as `MemFile::share` does",
    }

    /// The descriptor is open for reading only.
    ReadOnly, PermissionDenied {
        ReadOnly => "the descriptor is open for reading only",
    }

    /// The descriptor is not open for reading.
    WriteOnly, PermissionDenied {
        WriteOnly => "the descriptor is not open for reading",
    }

    /// The seal Write cannot be added now: a writable mapping exists, or a page is in use elsewhere
    /// (EBUSY). Nothing was added, and it may work later.
    Busy, ResourceBusy {
        Busy => "a writable mapping of the file exists, here or in another process, or a page is in use elsewhere, \
            so no seal was added: \
            drop the mapping, or try again later, as `into_sealed_timeout` does",
    }

    /// The file is missing seals; [`Error::seals`](crate::Error::seals) names them.
    MissingSeals, InvalidData {
        MissingSeals => "the file is missing the {seals}: seal it with `into_sealed`, or copy it with `copy_of`",
        MissingForGood => "the file is missing the {seals}, and has the seal Seal, so no more can be added: \
            copy it with `copy_of`",
        StillShared => "the file is missing the {seals}, and has FutureWrite: a writer still shares it. \
            Use `SharedView`, wait until the writer freezes it, or copy it with `copy_of`",
        MissingShrink => "the file is missing the {seals}, so another process could shorten the file: \
            add the seal with `add_seals`",
    }

    /// The file has the seal Write, but the kernel may have added it without looking for writable
    /// mappings.
    ForgedWrite, InvalidData {
        ForgedWrite => "the seal Write came with Exec, which on this kernel can leave writable mappings: \
            copy the file with `copy_of`",
        UntestedWrite => "the seal Write came with Exec, and it cannot be tested whether this kernel then looks for \
            writable mappings: copy the file with `copy_of`",
    }

    /// The file has holes, and the policy for [`Holes`](crate::Holes) refuses them.
    Holes, InvalidData {
        Holes => "the file has holes (of its {bytes}, {bytes} are allocated): choose the policy `Holes::Allocate`, \
            or copy the file with `copy_of`",
    }

    /// The file ends inside a huge page.
    PartialHugePage, InvalidData {
        PartialHugePage => "the file ends inside a huge page (its length is {bytes}, a page has {bytes}), \
            which some kernels cannot read: copy it with `copy_of`",
    }

    /// An offset, a range or a length does not fit the file, the map or the address space.
    OutOfBounds, InvalidInput {
        OutOfBounds => "the range {}..{} ends past the end ({bytes})",
        Reversed => "the range {}..{} ends before it starts",
        Misaligned => "the offset {} is not a multiple of the value's size ({bytes})",
        BeyondOffsets => "the range ends past the largest offset that the kernel can map",
        TooLong => "the offset or length {} is more than a file or the address space can hold",
    }

    /// The file ends before the bytes that were asked for.
    EndOfFile, UnexpectedEof {
        EndOfFile => "the file ends after {bytes} of the {bytes} to read",
    }

    /// The file or the source is longer than the limit that the caller has set.
    LimitExceeded, FileTooLarge {
        FileBeyondLimit => "the file has {bytes}, which exceeds the limit of {bytes}",
        SourceBeyondLimit => "the source exceeds the limit of {bytes}",
    }

    /// The file would become larger than `RLIMIT_FSIZE` or the largest file allows.
    FileTooLarge, FileTooLarge {
        FileTooLarge => "the file would exceed RLIMIT_FSIZE or the largest possible size",
    }

    /// No memory, no address space or no free huge page is left, or no more memory may be locked.
    OutOfMemory, OutOfMemory {
        MemlockLimit => "no more memory may be locked: RLIMIT_MEMLOCK is reached (ulimit -l), or no memory is left",
        NoRoom => "no memory is left for a copy of {bytes}",
        NoMemory => "no memory is left, or, for a file of huge pages, no free huge page (/proc/sys/vm/nr_hugepages)",
        NoAddressSpace => "no address space or memory is left, vm.max_map_count or RLIMIT_AS is reached, \
            or, for a file of huge pages, no free huge page is left (/proc/sys/vm/nr_hugepages)",
    }

    /// The process or the system has too many open files, or too many descriptors have been sent over
    /// sockets and not been received yet.
    OutOfDescriptors, Other {
        NoDescriptors => "no descriptor is left: RLIMIT_NOFILE or the system's limit is reached",
        TooManyInFlight => "more descriptors are in flight than RLIMIT_NOFILE allows",
    }

    /// A policy of the system or a security module forbids it.
    Denied, PermissionDenied {
        NoexecPolicy => "vm.memfd_noexec is 2, which forbids executable memory files: use `Exec::Deny`",
        NoexecImplied => "vm.memfd_noexec is 1 or 2, and a sandbox refuses the flag MFD_EXEC: use `Exec::Deny`",
        SandboxDenied => "a sandbox or a security module forbids memory files",
        MapDenied => "the mapping was denied: the descriptor is not open for it, or a security module forbids it",
        OpenDenied => "the file's mode, or a security module, forbids opening it again",
    }

    /// The file cannot be executed by its path.
    NotExecutable, PermissionDenied {
        NotExecutable => "the file's mode forbids execution: create it with `Exec::Allow`",
        Script => "the file is a script, and its interpreter cannot open it, since the descriptor is closed by then: \
            start the interpreter, with the script as its stdin",
    }

    /// The argument can never work.
    InvalidInput, InvalidInput {
        NameTooLong => "the name has {bytes}, more than the 249 that fit",
        NameHasNul => "the name contains a NUL byte",
        NoLength => "the length is 0",
        HugeWrite => "a file of huge pages does not support write(2): fill it through a mapping, \
            for example with `create_with`",
        HugeLength => "the length is not a multiple of the file's huge page size",
        OtherFile => "the descriptor belongs to another file than the one that is mapped",
        Directory => "the source is a directory",
        TooManyFds => "a message can carry at most 253 descriptors, not {}",
        EmptyPayload => "a stream socket carries descriptors only with at least one byte of payload",
        SocketPath => "the path is longer than 108 bytes, which is the most for a socket",
        NotASocket => "the descriptor is not a socket",
        NotConnected => "the socket is not connected: connect it, or use `send_to`",
        MessageTooLong => "the payload is too long for one message: put it into a `SealedFile` and send that",
    }

    /// The socket or the source is not ready, and is non-blocking or has a timeout; or opening the file
    /// would wait for a lease (EAGAIN).
    WouldBlock, WouldBlock {
        WouldBlock => "the descriptor is not ready: it is non-blocking, or its timeout has passed",
        Leased => "the owner of the file holds a lease on it, so opening it again would wait",
    }

    /// The peer has closed the connection, or no socket is open at the path.
    ClosedByPeer, UnexpectedEof {
        ClosedByPeer => "the peer has closed the connection",
        NobodyReceives => "no socket receives there: it was closed, or none is bound to the path",
    }

    /// The message that was received does not have the expected form. It is lost, and its
    /// descriptors are closed.
    UnexpectedMessage, InvalidData {
        NoFd => "the message carries no descriptor, 1 was expected: the sender passed none, or an earlier read of the \
            stream took it",
        StrayFds => "the message carries more descriptors than expected ({}): \
            receive such messages with `socket::recv` and more slots",
        LostFds => "the kernel dropped descriptors or other control data: RLIMIT_NOFILE is reached, \
            a security module forbids them, or the message had too much of it",
        PayloadTruncated => "the message is longer than the buffer ({bytes})",
    }

    /// The kernel returned an errno that this crate cannot explain.
    Other, Other {
        Kernel => "the kernel refused the call",
        ForeignSleeper => "a process that has the file sleeps here as on a lock with priority inheritance, so some \
            sleepers may not have been woken",
        // Not an errno: `write` has returned 0 for a buffer that is not empty.
        WriteZero => "the kernel wrote nothing",
    }
}
