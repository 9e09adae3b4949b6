//! [`FileCommand`]: a program run from a memory file.

use core::ops::{Deref, DerefMut};
use std::process::Command;

use super::MemFile;
use super::proc::Path;
use crate::error::{Error, Reason};
use crate::sys;
use crate::sys::fd::{AsFd, OwnedFd};

/// A [`Command`] whose program is a memory file, together with a descriptor of it: what
/// [`MemFile::to_command`] returns.
///
/// Use it as the `Command` that it dereferences to; [`MemFile::to_command`] has an example. Do not
/// swap the command out of it: once the descriptor is closed, its path may lead to another file.
#[derive(Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct FileCommand {
    command: Command,
    file: OwnedFd,
}

impl MemFile {
    /// A command that runs the program in this file. Add arguments and environment as usual.
    ///
    /// The child executes `/proc/thread-self/fd/N`. The kernel opens that path before it closes the
    /// descriptor, which is close-on-exec, so neither this child nor another one inherits it.
    /// The program sees this path as its first argument, unless
    /// [`arg0`](std::os::unix::process::CommandExt::arg0) sets another, and itself as
    /// `/memfd:NAME (deleted)` in `/proc/self/exe`.
    ///
    /// The file must have been created with [`Exec::Allow`](crate::Exec::Allow). It should be sealed, so
    /// that nobody can change the program before it runs; then call
    /// [`SealedFile::to_command`](crate::SealedFile::to_command).
    ///
    /// The command runs the file by its descriptor, which has a number of 500 or more if possible. If you
    /// give the child descriptors with certain numbers, for example with the crate command-fds, do not
    /// use the number in [`get_program`](Command::get_program): the child would run that other file.
    ///
    /// A script is refused. Its interpreter would open the path after the descriptor is closed, and
    /// find nothing or another file. Start the interpreter instead:
    /// `Command::new("sh").stdin(script.to_stdio()?)`. The same holds for programs that run by
    /// `binfmt_misc`, which this call cannot recognize.
    ///
    /// # Errors
    /// - no errno: no execute permission in the file's mode, a script, or a file shorter than two
    ///   bytes
    /// - EBADF: opened write-only; EMFILE: out of descriptors
    ///
    /// Running the command can fail with
    /// - ENOENT: `/proc` is not mounted; EACCES: no execute permission for this user
    /// - ETXTBSY: the file was opened for writing through its path, as
    ///   [`find_inherited`](Self::find_inherited) does, and is still open; a descriptor made by
    ///   `memfd_create` does not count
    /// - ENOEXEC: not a program
    ///
    /// # Example
    /// ```
    /// use std::os::unix::process::CommandExt;
    ///
    /// use memfile::{CreateOptions, Exec, SealedFile};
    ///
    /// let options = SealedFile::options().create_options(CreateOptions::new().exec(Exec::Allow));
    /// let program = options.copy_of("echo", std::fs::File::open("/bin/echo")?)?;
    /// let output = program.to_command()?.arg0("echo").arg("hello").output()?;
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    /// [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html)
    #[doc(alias = "execve")]
    #[doc(alias = "fexecve")]
    pub fn to_command(&self) -> Result<FileCommand, Error> {
        const EXECUTE_BITS: u32 = 0o111;

        // `spawn` would report EACCES, without saying which file or why.
        if sys::fstat(self.as_fd())?.mode & EXECUTE_BITS == 0 {
            return Err(Error::new(Reason::NotExecutable));
        }
        let mut magic = [0; 2];
        self.read_exact_at(&mut magic, 0)?;
        if magic == *b"#!" {
            return Err(Error::new(Reason::Script));
        }
        // A descriptor of its own keeps the path valid even if `self` is dropped before the command runs.
        let file = sys::dup_high(self.as_fd())?;
        let command = Command::new(Path::of_thread(file.as_fd()));
        Ok(FileCommand { command, file })
    }
}

impl FileCommand {
    /// The command, for functions that take a `Command`, and the descriptor, which must stay open until
    /// the command runs.
    #[must_use = "the program is closed when the descriptor is dropped"]
    pub fn into_parts(self) -> (Command, OwnedFd) {
        (self.command, self.file)
    }
}

impl Deref for FileCommand {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.command
    }
}

impl DerefMut for FileCommand {
    fn deref_mut(&mut self) -> &mut Command {
        &mut self.command
    }
}
