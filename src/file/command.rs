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
/// It is used as the `Command` that it dereferences to; [`MemFile::to_command`] has an example. Do
/// not swap the command out of it: without this descriptor its path may lead to another file.
#[derive(Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct FileCommand {
    command: Command,
    file: OwnedFd,
}

impl MemFile {
    /// The program in this file as a command, to be given arguments and environment, and run.
    ///
    /// The child executes `/proc/thread-self/fd/N`: the kernel opens that path before it closes the
    /// descriptor, which stays close-on-exec, so neither this child nor another one inherits it.
    /// The program sees this path as its first argument, unless
    /// [`arg0`](std::os::unix::process::CommandExt::arg0) sets another, and itself as
    /// `/memfd:NAME (deleted)` in `/proc/self/exe`.
    ///
    /// The file must have been created with [`Exec::Allow`](crate::Exec::Allow), and should be
    /// sealed, so that nobody can change the program on its way:
    /// [`SealedFile::to_command`](crate::SealedFile::to_command).
    ///
    /// A script is refused. Its interpreter opens the path after the descriptor is closed, so it
    /// would find nothing, or another file. Give it to the interpreter:
    /// `Command::new("sh").stdin(script.to_stdio()?)`. The same holds for programs that run by
    /// `binfmt_misc`, which cannot be recognized beforehand.
    ///
    /// # Errors
    /// - no errno: no execute permission in the file's mode, a script, or a file shorter than two
    ///   bytes
    /// - EBADF: opened write-only; EMFILE: out of descriptors
    ///
    /// Running the command fails with
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

        if sys::fstat(self.as_fd())?.mode & EXECUTE_BITS == 0 {
            return Err(Error::new(Reason::NotExecutable));
        }
        let mut magic = [0; 2];
        self.read_exact_at(&mut magic, 0)?;
        if magic == *b"#!" {
            return Err(Error::new(Reason::Script));
        }
        let file = sys::dup(self.as_fd())?;
        let command = Command::new(Path::of_thread(file.as_fd()));
        Ok(FileCommand { command, file })
    }
}

impl FileCommand {
    /// The command, and the descriptor that must stay open until it is run. For functions that take
    /// a `Command`.
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
