//! The behaviour of gateway, one module for each part of the contract. See the README beside this folder.

mod access;
mod application;
mod attribute;
mod close;
mod disconnect;
mod dispatcher;
mod environ;
mod error_log;
mod error_page;
mod failures;
mod faults;
mod files;
mod http2;
mod input;
mod lengths;
mod mounting;
mod outcomes;
mod patience;
mod pool;
mod screening;
mod spool;
mod start_response;
mod streaming;
mod trailers;
mod validator;
mod write;
