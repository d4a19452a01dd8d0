//! Uploads that the server refuses while they are sent, from clients that read the response only after the upload.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Scenario;
use crate::lab::{Contender, Lab};
use crate::nginx;
use crate::process::free_port;
use crate::report::{Limit, Sheet};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("refused-uploads", load, |lab, contender| Box::pin(run(lab, contender))).alone();

/// A client program; its output begins with the status.
#[derive(Clone, Copy)]
enum Client {
    Curl,
    Python,
    Node,
}

/// The uploads, with the client of each.
const UPLOADS: [(Client, bool, usize, &str); 8] = [
    (Client::Curl, false, 3, "curl, 3 MB: 413 arrives"),
    (Client::Curl, false, 20, "curl, 20 MB: 413 arrives"),
    (Client::Python, false, 3, "http.client, 3 MB: 413 arrives"),
    (Client::Python, false, 20, "http.client, 20 MB: 413 arrives"),
    (Client::Node, false, 3, "Node, 3 MB: 413 arrives"),
    (Client::Node, false, 20, "Node, 20 MB: 413 arrives"),
    (Client::Curl, true, 3, "curl through nginx, 3 MB: 413 arrives"),
    (Client::Curl, true, 20, "curl through nginx, 20 MB: 413 arrives"),
];

const PYTHON: &str = "
import http.client, sys
client = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=20)
client.request('POST', '/sum', b'x' * int(sys.argv[2]))
print(client.getresponse().status)
";

const NODE: &str = "
const [port, length] = process.argv.slice(1).map(Number);
const options = { host: '127.0.0.1', port, path: '/sum', method: 'POST', headers: { 'Content-Length': length } };
const request = require('http').request(options, (response) => { console.log(response.statusCode); response.resume(); });
request.on('error', (error) => { console.log(error.code); process.exit(1); });
request.end(Buffer.alloc(length, 'x'));
";

fn runs(quick: bool) -> usize {
    if quick { 5 } else { 30 }
}

fn load(quick: bool) -> String {
    let runs = runs(quick);
    format!(
        "Uploads of 3 and 20 MB against a limit of 1 MiB, {runs} times each: by curl, Python's http.client and Node's http, \
         and by curl through nginx over TCP."
    )
}

async fn run(lab: &Lab, contender: Contender) -> anyhow::Result<Sheet> {
    let server = lab.start(contender).await?;
    let mut sheet = Sheet::default();
    let upload = lab.folder.join("upload");
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let _nginx = if nginx::is_installed() {
        Some(nginx::start(&lab.folder, front, &configure(front, server.address)).await?)
    } else {
        sheet.note(nginx::MISSING);
        None
    };
    for (client, through_nginx, megabytes, name) in UPLOADS {
        if through_nginx && !nginx::is_installed() {
            continue;
        }
        std::fs::write(&upload, vec![b'x'; megabytes * 1_000_000])?;
        let address = if through_nginx { front } else { server.address };
        let (mut arrived, mut other) = (0, None);
        for _ in 0..runs(lab.quick) {
            match client.upload(address, megabytes * 1_000_000, &upload).await {
                // A client that has received the response may fail because it cannot send the rest of the body.
                Ok(said) if said.starts_with("413") => arrived += 1,
                Ok(said) => other = other.or(Some(said)),
                Err(error) => {
                    sheet.note(format!("{name}: left out, {error}"));
                    break;
                }
            }
        }
        if let Some(other) = &other {
            sheet.note(format!("{name}: one of the others is {other:?}"));
        }
        if arrived > 0 || other.is_some() {
            sheet.count(name, arrived, Limit::Exactly(runs(lab.quick) as f64));
        }
    }
    std::fs::remove_file(upload)?;
    Ok(sheet)
}

impl Client {
    /// Uploads a number of bytes, and returns the client's output for the response. An error means that the client is
    /// not installed.
    async fn upload(self, address: SocketAddr, length: usize, file: &Path) -> std::io::Result<String> {
        let port = address.port().to_string();
        let mut command = match self {
            Self::Curl => {
                let mut command = Command::new("curl");
                // Without `Expect:`, curl waits for `100 Continue`, and would be refused before it has sent a byte of
                // the body.
                command.args(["-s", "-S", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "--data-binary"]);
                command.arg(format!("@{}", file.display())).arg(format!("http://{address}/sum"));
                command
            }
            Self::Python => {
                let mut command = Command::new("python3");
                command.args(["-c", PYTHON, &port, &length.to_string()]);
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.args(["-e", NODE, "--", &port, &length.to_string()]);
                command
            }
        };
        command.stdin(Stdio::null()).kill_on_drop(true);
        let Ok(output) = timeout(Duration::from_secs(30), command.output()).await else {
            return Ok("no end within 30 s".to_owned());
        };
        let output = output?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(said);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Ok(format!("{said} {}", error.lines().last().unwrap_or_default()).trim().to_owned())
    }
}

fn configure(front: SocketAddr, server: SocketAddr) -> String {
    format!(
        "    server {{
        listen {front};
        client_max_body_size 0;
        location / {{
            proxy_pass http://{server};
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}"
    )
}
