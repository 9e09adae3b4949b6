//! Sends a payload to the socket of the journal in files of several kinds: journal SOCKET PAYLOAD

use std::error::Error;
use std::os::unix::net::UnixDatagram;
use std::{env, fs};

use memfile::{CreateOptions, Exec, MemFile, SealedFile, socket};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let journal = UnixDatagram::unbound()?;
    journal.connect(arguments.next().ok_or("no socket")?)?;
    let payload = fs::read(arguments.next().ok_or("no payload")?)?;
    let message = |kind: &str| [format!("MESSAGE={kind}\nDUMP=").as_bytes(), &payload, b"\n"].concat();
    let sealed = |exec, kind: &str| {
        let options = CreateOptions::new().exec(exec);
        SealedFile::options().create_options(options).from_bytes("journal", &message(kind))
    };

    sealed(Exec::DenyUnsealed, "without Exec")?.send(&journal, b"")?;
    // A kernel before 6.3 has no such seal.
    sealed(Exec::Deny, "with Exec")?.send(&journal, b"")?;

    let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    let unsealed = MemFile::create("journal", options)?;
    unsealed.write_all_at(&message("unsealed"), 0)?;
    socket::send(&journal, b"", &[unsealed.as_fd()])?;
    Ok(())
}
