//! Sends a message that is too large for a datagram as a sealed file, in the way that systemd's journal accepts.
//! Run it with `cargo run --example journal_payload`, or to send to the real journal, with
//! `cargo run --example journal_payload /run/systemd/journal/socket`.

use std::borrow::Cow;
use std::env;
use std::io::Result;
use std::os::unix::net::UnixDatagram;

use memfile::{CreateOptions, Exec, SealedFile, socket};

fn main() -> Result<()> {
    let mut large = b"MESSAGE=core dump\nDUMP=".to_vec();
    large.resize(8 << 20, b'x');
    large.push(b'\n');
    let messages = [b"MESSAGE=started\n", &large[..]];

    if let Some(path) = env::args_os().nth(1) {
        let client = UnixDatagram::unbound()?;
        client.connect(path)?;
        return messages.into_iter().try_for_each(|message| log(&client, message));
    }
    let (client, journal) = UnixDatagram::pair()?;
    for message in messages {
        log(&client, message)?;
        println!("{}", receive(&journal)?);
    }
    Ok(())
}

/// The client sends a datagram if the message fits, and a file otherwise.
fn log(client: &UnixDatagram, message: &[u8]) -> Result<()> {
    const EMSGSIZE: i32 = 90;
    match client.send(message) {
        Err(error) if error.raw_os_error() == Some(EMSGSIZE) => {
            // Before version 254, systemd compares the seals with `==`, so the file must not have Exec.
            let options = CreateOptions::new().exec(Exec::DenyUnsealed);
            let file = SealedFile::options().create_options(options).from_bytes("journal-message", message)?;
            file.send(client, b"")?;
            Ok(())
        }
        result => result.map(drop),
    }
}

/// The journal maps a file only after the proof that its sender cannot change it any more.
fn receive(journal: &UnixDatagram) -> Result<String> {
    let mut datagram = [0; 4096];
    let mut fds = [None];
    let received = socket::recv(journal, &mut datagram, &mut fds)?;
    let [fd] = fds;
    Ok(match fd {
        None => format!("a datagram of {} bytes: {}", received.bytes, first_line(&datagram)),
        Some(fd) => {
            let map = SealedFile::try_from(fd)?.map()?;
            format!("a file of {} bytes: {}", map.len(), first_line(&map))
        }
    })
}

fn first_line(message: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(message.split(|&byte| byte == b'\n').next().unwrap_or_default())
}
