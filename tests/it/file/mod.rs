//! [`memfile::MemFile`]: creating, reading, writing, sealing and passing it on.

mod above_stdio;
mod add_seals;
mod command;
mod copy;
mod create;
mod exec_policy;
mod from_fd;
mod inherit;
mod io;
mod is_memfd;
mod listen;
mod old_kernel;
mod proc;
mod punch_hole;
