//! Splitting a stream into messages, and joining messages to a stream.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Bytes, split at any position.
    Bytes,
    /// One line per message, without the newline.
    Lines,
    /// The length in four bytes, little-endian, then the message.
    Frames,
}

/// Reads messages from a stream.
#[derive(Debug)]
pub(crate) struct MessageReader<R: Read> {
    input: BufReader<R>,
    framing: Framing,
    longest: usize,
    messages: u64,
}

impl<R: Read> MessageReader<R> {
    pub(crate) fn new(input: R, framing: Framing, longest: usize) -> Self {
        const BUFFER: usize = 64 << 10;
        Self {
            input: BufReader::with_capacity(BUFFER.min(longest.max(1)), input),
            framing,
            longest,
            messages: 0,
        }
    }

    /// Reads the next message into `message`. Returns `false` at the end of the stream.
    pub(crate) fn next(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        message.clear();
        let found = match self.framing {
            Framing::Bytes => self.next_bytes(message)?,
            Framing::Lines => self.next_line(message)?,
            Framing::Frames => self.next_frame(message)?,
        };
        self.messages += u64::from(found);
        Ok(found)
    }

    /// Returns the available bytes without waiting for more.
    fn next_bytes(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        message.resize(self.longest, 0);
        let read = self.input.read(message)?;
        message.truncate(read);
        Ok(read > 0)
    }

    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        // One byte more than permitted is enough to detect a line that is too long.
        let limit = self.longest as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        self.check(line.len() as u64, "line")?;
        Ok(read > 0)
    }

    fn next_frame(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        let mut len = Vec::new();
        (&mut self.input).take(4).read_to_end(&mut len)?;
        let len = match *len {
            [] => return Ok(false),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            _ => return Err(self.truncated()),
        };
        self.check(len, "frame")?;
        (&mut self.input).take(len).read_to_end(message)?;
        match message.len() as u64 == len {
            true => Ok(true),
            false => Err(self.truncated()),
        }
    }

    fn check(&self, len: u64, unit: &str) -> io::Result<()> {
        if len <= self.longest as u64 {
            return Ok(());
        }
        let number = self.messages + 1;
        let longest = self.longest;
        Err(io::Error::new(
            ErrorKind::InvalidData,
            format!(
                "{unit} {number}: found more than {longest} bytes, which is the ring's message size"
            ),
        ))
    }

    fn truncated(&self) -> io::Error {
        let number = self.messages + 1;
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("frame {number}: found the end of the input, expected more bytes"),
        )
    }
}

/// Writes a whole message to a stream. A part is written only if the stream breaks.
pub(crate) fn write(
    output: &mut impl Write,
    framing: Framing,
    message: &mut Vec<u8>,
) -> io::Result<()> {
    match framing {
        Framing::Bytes => {}
        Framing::Lines => message.push(b'\n'),
        Framing::Frames => {
            let len = u32::try_from(message.len()).map_err(io::Error::other)?;
            message.splice(..0, len.to_le_bytes());
        }
    }
    output.write_all(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(framing: Framing, longest: usize, input: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut reader = MessageReader::new(input, framing, longest);
        let (mut messages, mut message) = (Vec::new(), Vec::new());
        while reader.next(&mut message)? {
            messages.push(message.clone());
        }
        Ok(messages)
    }

    #[test]
    fn split_and_written_messages_are_equal() {
        let lines = b"one\n\ntwo";
        assert_eq!(
            split(Framing::Lines, 3, lines).unwrap(),
            [&b"one"[..], b"", b"two"]
        );
        assert_eq!(split(Framing::Bytes, 3, b"1234").unwrap().concat(), b"1234");
        for framing in [Framing::Lines, Framing::Frames] {
            let mut stream = Vec::new();
            for message in [&b"a"[..], b"", b"bc"] {
                write(&mut stream, framing, &mut message.to_vec()).unwrap();
            }
            assert_eq!(split(framing, 2, &stream).unwrap(), [&b"a"[..], b"", b"bc"]);
        }
    }

    #[test]
    fn long_or_truncated_message_is_an_error() {
        let error = |framing, input| split(framing, 3, input).unwrap_err().to_string();
        let long = "line 2: found more than 3 bytes, which is the ring's message size";
        assert_eq!(error(Framing::Lines, b"123\n1234\n"), long);
        let long = "frame 1: found more than 3 bytes, which is the ring's message size";
        assert_eq!(error(Framing::Frames, &[255; 4]), long);
        let truncated = "frame 2: found the end of the input, expected more bytes";
        assert_eq!(error(Framing::Frames, &[0, 0, 0, 0, 1]), truncated);
        assert_eq!(error(Framing::Frames, &[0, 0, 0, 0, 1, 0, 0, 0]), truncated);
    }
}
