//! Heads of HTTP/1.1 messages over sockets that wait.

use std::io::{self, BufRead, ErrorKind};

/// The first line of a message and its fields, names in lower case.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Head {
    pub(super) first: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The next one; `None` where the connection ended before it.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return if head.first.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
            match line.trim_end() {
                "" => return Ok(Some(head)),
                line if head.first.is_empty() => line.clone_into(&mut head.first),
                line => {
                    let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
                    head.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.fields.iter().find(|(own, _)| own == name)?.1.parse().ok()
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        self.first.split(' ').nth(1)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_one_after_the_other() {
        let mut bytes = &b"HTTP/1.1 503 No\r\nX-Host: 3\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"[..];
        let head = Head::read(&mut bytes).unwrap().unwrap();
        assert_eq!((head.status(), head.number("x-host")), (Some(503), Some(3)));
        assert_eq!(Head::read(&mut bytes).unwrap().unwrap().status(), Some(200));
        assert_eq!(Head::read(&mut bytes).unwrap(), None);
        assert!(Head::read(&mut &b"HTTP/1.1 200 OK\r\n"[..]).is_err(), "cut in the middle");
    }
}
