//! Python applications: their environ and input, their calls, and their failures. Each test contains its application as
//! source text.

mod process;
mod support;

mod interpreter;
mod environments;
mod children;
mod loading;
mod environ;
mod input;
mod error_log;
mod start_response;
mod write;
mod iteration;
mod close;
mod files;
mod failures;
mod threads;
mod objects;
mod drivers;
mod exit;
mod signals;
mod server;
mod sockets;
mod processes;
mod reload;
mod logs;
mod leaks;
