//! Many workers start from one prepared image, and each gets a private copy of the pages that it changes.
//! Run it with `cargo run --example cow_image`.

use std::io::Result;
use std::panic::resume_unwind;
use std::thread;

use memfile::SealedFile;

const PAGE: usize = 4096;
const PAGES: usize = 4096;

fn main() -> Result<()> {
    let template = SealedFile::create_with("template", PAGES * PAGE, |image| {
        for (page, number) in image.chunks_exact_mut(PAGE).zip((0..=u8::MAX).cycle()) {
            page.fill(number);
        }
    })?;

    thread::scope(|scope| -> Result<()> {
        let template = &template;
        let workers: Vec<_> = (1..=4).map(|id| scope.spawn(move || work(template, id))).collect();
        for worker in workers {
            println!("{}", worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(())
    })?;
    println!("the template still starts with {:?}", template.map()?.first_chunk::<4>());
    Ok(())
}

/// Starts from the template and changes one page of its own.
fn work(template: &SealedFile, id: u8) -> Result<String> {
    let mut image = template.map_copy_on_write()?;
    if let Some(page) = image.chunks_exact_mut(PAGE).next() {
        page.fill(100 + id);
    }
    let sum: u64 = image.iter().map(|&byte| u64::from(byte)).sum();
    Ok(format!("worker {id}: starts with {:?}, sum {sum}", image.first_chunk::<4>()))
}
