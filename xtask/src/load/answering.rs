//! A callee that reads whole requests, bodies and all, and answers each.

use crate::Stop;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Starts one on a port of its own, for as long as this process lives; the port.
pub(crate) fn start() -> Result<u16, Stop> {
    let failed = |e: std::io::Error| Stop::Missing(format!("cannot listen on loopback: {e}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the other side's business.
            std::thread::spawn(move || drop(serve(&stream)));
        }
    });
    Ok(port)
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let (mut length, mut chunked, mut lines) = (0, false, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            lines += 1;
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            chunked |= line.starts_with("transfer-encoding:");
        }
        if lines == 0 {
            return Ok(());
        }
        reader.by_ref().take(length).read_to_end(&mut Vec::new())?;
        while chunked {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
            reader.by_ref().take(size).read_to_end(&mut Vec::new())?;
            reader.read_line(&mut String::new())?;
            chunked = size > 0;
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?;
    }
}
