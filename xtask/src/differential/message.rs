//! As much of HTTP/1.1 as the comparison speaks.

use std::io::{self, BufRead, Read};

/// Headers that rules look at or change, and what redirects say.
const WATCHED: [&str; 8] =
    ["x-rule", "x-user", "x-group", "x-stage", "x-new", "x-callee", "cookie", "location"];

/// The head of a message, read without judgement.
#[derive(Debug, Default)]
pub(super) struct Head {
    line: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The next head; `None` where the connection ended instead.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok(Some(head));
            }
            match line.split_once(':') {
                _ if head.line.is_empty() => line.clone_into(&mut head.line),
                Some((name, value)) => {
                    head.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The body behind it: as long as it says, or to the end of the connection in an answer that does not.
    pub(super) fn read_body(&self, from: &mut impl BufRead) -> io::Result<String> {
        let mut body = Vec::new();
        let length = self.value("content-length").and_then(|length| length.parse().ok());
        if self.value("transfer-encoding").is_some() {
            while let Some(size) = chunk_size(from)? {
                from.by_ref().take(size).read_to_end(&mut body)?;
                from.read_line(&mut String::new())?;
            }
        } else if let Some(length) = length {
            from.by_ref().take(length).read_to_end(&mut body)?;
        } else if self.line.starts_with("HTTP/") {
            from.read_to_end(&mut body)?;
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// A field's values, in one.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// Method and target of a request.
    pub(super) fn request(&self) -> (String, String) {
        let mut words = self.line.split(' ').map(str::to_owned);
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// The watched headers of a message, by name.
pub(super) fn watched(head: &Head) -> Vec<(String, String)> {
    WATCHED.iter().filter_map(|name| Some(((*name).to_owned(), head.value(name)?))).collect()
}

/// The size of the next chunk; `None` behind the last one.
fn chunk_size(from: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let size = u64::from_str_radix(line.trim_end(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((size > 0).then_some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_to_its_end_and_no_further() {
        let text = "HTTP/1.1 200 OK\r\nX-New: a\r\nx-new: b\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let mut bytes = text.as_bytes();
        let head = Head::read(&mut bytes).unwrap().unwrap();
        assert_eq!((head.status(), head.read_body(&mut bytes).unwrap()), (200, "abc".to_owned()));
        assert_eq!(watched(&head), [("x-new".to_owned(), "a,b".to_owned())]);

        let mut bytes = &b"PUT /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET"[..];
        let head = Head::read(&mut bytes).unwrap().unwrap();
        assert_eq!(head.request(), ("PUT".to_owned(), "/a".to_owned()));
        assert_eq!(head.read_body(&mut bytes).unwrap(), "hi");
        assert_eq!(bytes, b"GET");
        assert!(Head::read(&mut &b""[..]).unwrap().is_none());
    }
}
