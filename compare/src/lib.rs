//! What the comparisons share: [`calls`], every call of `memfile` beside the direct one and the peers'.

pub mod calls;
