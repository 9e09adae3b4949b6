//! The part of Wayland's wire format that a window needs. A message consists of the number of an object,
//! the number of one of its requests or events, and arguments, all in words of four bytes.

use std::io::{BufReader, Error, Read, Result, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use memfile::socket;

/// The object that exists at the start of every connection.
pub(super) const DISPLAY: u32 = 1;

/// A connection to a compositor.
pub(super) struct Wayland(BufReader<UnixStream>);

/// A message from the compositor. The events of a window carry no descriptors.
pub(super) struct Event {
    pub(super) object: u32,
    pub(super) opcode: u32,
    pub(super) arguments: Vec<u32>,
}

impl Wayland {
    pub(super) fn connect(path: &Path) -> Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(path)?)))
    }

    pub(super) fn request(&self, object: u32, opcode: u32, arguments: &[u32]) -> Result<()> {
        self.0.get_ref().write_all(&message(object, opcode, arguments)?)
    }

    /// Sends a request with a descriptor, which goes with the first byte.
    pub(super) fn request_with(&self, fd: BorrowedFd<'_>, object: u32, opcode: u32, arguments: &[u32]) -> Result<()> {
        let message = message(object, opcode, arguments)?;
        let sent = socket::send(self.0.get_ref(), &message, &[fd])?;
        self.0.get_ref().write_all(message.get(sent..).unwrap_or_default())
    }

    /// Waits for the next event. If the compositor reports a mistake of this client, that is an error.
    pub(super) fn event(&mut self) -> Result<Event> {
        let (object, head) = (self.word()?, self.word()?);
        // The size in bytes, including these two words.
        let size = head >> 16;
        let arguments = (2..size / 4).map(|_| self.word()).collect::<Result<_>>()?;
        let event = Event { object, opcode: head & 0xffff, arguments };
        match (object, event.opcode) {
            (DISPLAY, 0) => Err(Error::other(format!("the compositor says: {}", event.text(2)))),
            _ => Ok(event),
        }
    }

    fn word(&mut self) -> Result<u32> {
        let mut word = [0; 4];
        self.0.read_exact(&mut word)?;
        Ok(u32::from_ne_bytes(word))
    }
}

impl Event {
    /// The text at this word: its length, then bytes with a NUL at the end.
    pub(super) fn text(&self, index: usize) -> String {
        let words = self.arguments.get(index + 1..).unwrap_or_default();
        let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|&byte| byte != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    }
}

fn message(object: u32, opcode: u32, arguments: &[u32]) -> Result<Vec<u8>> {
    let size = u16::try_from(8 + 4 * arguments.len()).map_err(Error::other)?;
    let head = [object, u32::from(size) << 16 | opcode];
    Ok(head.iter().chain(arguments).flat_map(|word| word.to_ne_bytes()).collect())
}
