//! Memory that several processes write and read: [`SharedMap`] and [`SharedView`].

use memfile::{MemFile, Seals, SharedMap, SharedView};

mod access;
mod atomic;
mod freeze;
mod grow;
mod latest_value;
mod parts;
mod ring;
mod wait;

fn file(name: &str, len: u64) -> MemFile {
    let file = MemFile::create_sealable(name).unwrap();
    file.set_len(len).unwrap();
    file.add_seals(Seals::FIXED_SIZE).unwrap();
    file
}

fn map(name: &str, len: u64) -> SharedMap {
    SharedMap::try_from(file(name, len)).unwrap()
}

fn view(map: &SharedMap) -> SharedView {
    SharedView::try_from(map.reader().unwrap()).unwrap()
}
