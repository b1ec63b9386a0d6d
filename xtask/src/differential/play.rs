//! One request through one proxy, and everything that can be seen of it.

use super::callee::{CASE, Callees, SCRIPT, Try};
use super::draw::Ask;
use super::message::{self, Head};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longer than any of this takes, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(60);
/// The body of requests that have one.
const BODY: &str = "hello";

/// What was seen of one request, on both sides of the proxy.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) tries: Vec<Try>,
}

impl Seen {
    /// Whether the answer is a callee's or a rule's, and not the proxy's own word for what went wrong.
    pub(super) fn is_answered(&self) -> bool {
        self.body.starts_with("said by") || (self.body.starts_with("callee-") && !self.body.contains(':'))
    }
}

/// Sends `ask` to the proxy at `port` and waits for the answer. `case` is this request's alone.
pub(super) fn play(ask: &Ask, port: u16, case: &str, callees: &Callees) -> io::Result<Seen> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", ask.method, ask.target, ask.authority);
    for (name, value) in &ask.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = if matches!(ask.method, "POST" | "PUT") { BODY } else { "" };
    request.push_str(&format!(
        "{CASE}: {case}\r\n{SCRIPT}: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        ask.script_text(),
        body.len()
    ));
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let head = Head::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = head.read_body(&mut reader)?;
    Ok(Seen { status: head.status(), headers: message::watched(&head), body, tries: callees.tries_of(case) })
}
