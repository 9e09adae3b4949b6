//! What this kernel can do: run it before you report a bug, and paste what it prints.

fn main() {
    println!("memfile {}", env!("CARGO_PKG_VERSION"));
    println!("{}", memfile::KernelSupport::probe());
}
