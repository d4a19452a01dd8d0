//! The behaviour of gateway, one module for each part of the contract. See the README beside this folder.

mod application;
mod attribute;
mod close;
mod disconnect;
mod environ;
mod error_log;
mod failures;
mod http2;
mod input;
mod lengths;
mod mounting;
mod outcomes;
mod patience;
mod pool;
mod screening;
mod start_response;
mod streaming;
mod validator;
mod write;
