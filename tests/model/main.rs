//! The model test of the whole server: generated clients, virtual time, and a reference that knows only the RFCs.
//!
//! `GATEWAY_MODEL_CASES` sets how many sequences are run in all, `GATEWAY_MODEL_SEED` which ones.

mod answers;
mod applications;
mod endings;
mod frames;
mod generated;
mod http2;
mod link;
mod message;
mod reference;
mod regressions;
mod rules;
mod sequence;
mod stage;
mod streams;
mod threads;
