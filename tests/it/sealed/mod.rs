//! [`memfile::SealedFile`]: what is a proof, what is refused, and what becomes of the file.

mod forged;
mod holes;
mod hostile;
mod kinds;
mod stdio;
