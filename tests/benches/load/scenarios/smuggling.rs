//! Requests smuggled in the bodies of other requests, directly and behind HAProxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Scenario;
use crate::client::{Connection, Outcome, get};
use crate::haproxy;
use crate::lab::{Contender, Lab};
use crate::process::free_port;
use crate::report::{Limit, Sheet};

pub(crate) const SCENARIO: Scenario =
    Scenario::new("smuggling", load, |lab, contender| Box::pin(run(lab, contender))).alone();

/// The number of concurrent attackers, and of victims after them.
const AT_ONCE: usize = 5;

/// Longer than the time after which a server releases the buffers of an idle connection.
const REST: Duration = Duration::from_millis(1200);

/// The body: a request whose response would be sent after the victims have sent their requests.
const SMUGGLED: &[u8] = b"GET /sleep?ms=400 HTTP/1.1\r\nHost: load.test\r\n\r\n";
const COPIES: usize = 4;

/// The head of a request whose body the application does not read.
struct Attack {
    name: &'static str,
    head: fn(usize) -> String,
}

const ATTACKS: [Attack; 5] = [
    Attack { name: "413", head: |length| format!("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n") },
    Attack {
        name: "two Hosts",
        head: |length| format!("POST /ok HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: {length}\r\n\r\n"),
    },
    Attack {
        name: "501",
        head: |_| "POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
    },
    Attack {
        name: "unread by an application",
        head: |_| format!("POST /noread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", SMUGGLED.len()),
    },
    Attack {
        name: "unread by an async route",
        head: |length| format!("GET /fast HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
    },
];

fn rounds(quick: bool) -> usize {
    if quick { 1 } else { 4 }
}

fn load(quick: bool) -> String {
    let rounds = rounds(quick);
    format!(
        "{AT_ONCE} concurrent attackers announce a body that the server does not read (413, two Hosts, 501, an \
         application and an async route that do not read), wait 1.2 s and send requests as the body; {rounds} rounds of \
         each, directly and through HAProxy with `http-reuse always`, where {AT_ONCE} victims then send their own requests."
    )
}

async fn run(lab: &Lab, _: Contender) -> anyhow::Result<Sheet> {
    // The body limit is low, so that HAProxy sees the complete body and reuses the connection. Without a read-ahead,
    // applications are called before the body has arrived.
    let server = lab.start_gateway(&["--threads", "32", "--max-body", "100", "--read-ahead", "0"]).await?;
    let mut sheet = Sheet::default();
    let mut smuggled = 0;
    for attack in &ATTACKS {
        let mut attackers = announce(server.address, attack).await?;
        sleep(REST).await;
        let mut answered = 0;
        for attacker in &mut attackers {
            answered += usize::from(is_answered(attacker).await);
        }
        if answered > 0 {
            sheet.note(format!("{}: {answered} of {AT_ONCE} smuggled requests answered directly", attack.name));
        }
        smuggled += answered;
    }
    sheet.count("smuggled requests answered, of 25", smuggled, Limit::Exactly(0.0));
    if !haproxy::is_installed() {
        sheet.note(haproxy::MISSING);
        return Ok(sheet);
    }
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let _haproxy = haproxy::start(&lab.folder, front, server.address).await?;
    let (mut victims, mut answered, mut hit) = (0, 0, 0);
    for attack in &ATTACKS {
        let mut hit_so = 0;
        for _ in 0..rounds(lab.quick) {
            let mut attackers = announce(front, attack).await?;
            sleep(REST).await;
            for attacker in &mut attackers {
                let _ = attacker.send(&SMUGGLED.repeat(COPIES)).await;
            }
            // HAProxy has to receive the end of the body before the first victim connects.
            sleep(Duration::from_millis(50)).await;
            for outcome in ask_as_victims(front).await {
                victims += 1;
                match outcome {
                    Some(true) => answered += 1,
                    Some(false) => hit_so += 1,
                    None => {}
                }
            }
            // Wait until all requests of this round have ended, so that they do not affect the next round.
            sleep(Duration::from_millis(500)).await;
        }
        if hit_so > 0 {
            sheet.note(format!("{}: {hit_so} victims got the answer of an attacker", attack.name));
        }
        hit += hit_so;
    }
    sheet.count("behind HAProxy: victims", victims, Limit::None);
    sheet.count("victims with their own answer", answered, Limit::Exactly(f64::from(victims)));
    sheet.count("victims with the answer of another", hit, Limit::Exactly(0.0));
    Ok(sheet)
}

/// Sends the request heads, and reads the responses to them.
async fn announce(address: SocketAddr, attack: &Attack) -> anyhow::Result<Vec<Connection>> {
    let mut attackers = Vec::new();
    for _ in 0..AT_ONCE {
        let mut attacker = Connection::open(address).await?;
        attacker.send((attack.head)(SMUGGLED.len() * COPIES).as_bytes()).await?;
        attackers.push(attacker);
    }
    for attacker in &mut attackers {
        let _ = timeout(Duration::from_millis(300), attacker.reply()).await;
    }
    Ok(attackers)
}

/// Sends the body; returns whether the server answered the smuggled request in it.
async fn is_answered(attacker: &mut Connection) -> bool {
    let _ = attacker.send(&SMUGGLED.repeat(COPIES)).await;
    let reply = timeout(Duration::from_secs(3), attacker.reply()).await;
    matches!(reply, Ok(Outcome::Answered(reply)) if reply.status == 200 && reply.body == b"ok")
}

/// Requests bodies of different lengths; returns for each response whether the body is the requested one, or `None`
/// without a response.
async fn ask_as_victims(front: SocketAddr) -> Vec<Option<bool>> {
    let mut victims = JoinSet::new();
    for victim in 0..AT_ONCE {
        victims.spawn(async move {
            let length = 1000 + victim as u64;
            let exchange = async {
                let mut connection = Connection::open(front).await.ok()?;
                match connection.exchange(&get(&format!("/bytes?n={length}"))).await {
                    Outcome::Answered(reply) if reply.status == 200 => Some(reply.length == length),
                    _ => None,
                }
            };
            timeout(Duration::from_secs(5), exchange).await.ok().flatten()
        });
    }
    victims.join_all().await
}
