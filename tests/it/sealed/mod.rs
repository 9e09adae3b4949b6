//! [`memfile::SealedFile`]: what is a proof, what is refused, and what becomes of the file.

mod clean_holes;
mod forged;
mod holes;
mod hostile;
mod kinds;
mod limit;
mod reopen;
mod stdio;
mod to_vec;
mod waiting;
