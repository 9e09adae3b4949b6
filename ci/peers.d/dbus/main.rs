//! Files as arguments over D-Bus: a service proves what it gets, and its answers are printed. The
//! service and its client are two connections to the session bus.

use std::error::Error;
use std::os::fd::OwnedFd;

use memfile::{MemFile, SealedFile};
use zbus::blocking::{Connection, connection};
use zbus::{fdo, interface, zvariant};

const NAME: &str = "org.example.Memfile";
const PATH: &str = "/org/example/Memfile";

struct Service;

#[interface(name = "org.example.Memfile")]
impl Service {
    fn publish(&self, file: zvariant::OwnedFd) -> fdo::Result<String> {
        let refuse = |error: memfile::Error| fdo::Error::InvalidArgs(error.to_string());
        let file = SealedFile::try_from(OwnedFd::from(file)).map_err(|error| refuse(*error.error()))?;
        let map = file.map().map_err(refuse)?;
        let sum: u64 = map.iter().map(|&byte| u64::from(byte)).sum();
        Ok(format!("proven, {} bytes, sum {sum}", map.len()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let _service = connection::Builder::session()?.name(NAME)?.serve_at(PATH, Service)?.build()?;
    let client = Connection::session()?;
    let publish = |file: OwnedFd| -> zbus::Result<String> {
        client
            .call_method(Some(NAME), PATH, Some(NAME), "Publish", &zvariant::OwnedFd::from(file))?
            .body()
            .deserialize()
    };

    let sealed = SealedFile::from_bytes("page", &[1; 1 << 20])?;
    println!("sealed: {}", publish(sealed.into_fd())?);

    let unsealed = MemFile::create_sealable("page")?;
    unsealed.write_all_at(b"can change", 0)?;
    match publish(unsealed.into_fd()) {
        Ok(answer) => println!("unsealed: {answer}"),
        Err(zbus::Error::MethodError(name, Some(words), _)) => println!("unsealed: {name}: {words}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
