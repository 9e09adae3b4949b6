//! Passes files between two dependents of `memfile`. It compiles only if both use the same types,
//! above all for descriptors.

use std::os::fd::{AsRawFd, OwnedFd};

fn main() -> std::io::Result<()> {
    let fd: OwnedFd = asks_nothing::make()?;
    let from_nothing = asks_nothing::receive(fd)?;
    let from_all = asks_nothing::receive(asks_all::make()?)?;
    assert_eq!(asks_nothing::seals(&from_nothing)?, asks_nothing::seals(&from_all)?);
    assert_eq!(asks_all::borrow(&from_all).as_raw_fd(), from_all.as_raw_fd());
    println!("both dependents mean the same types");
    Ok(())
}
