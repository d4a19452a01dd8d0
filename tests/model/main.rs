//! The model test of the whole server: generated clients, virtual time, and a reference model that is built from the
//! RFCs only.
//!
//! `GATEWAY_MODEL_CASES` sets the total number of sequences, `GATEWAY_MODEL_SEED` the seed of the generator.

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
