//! How messages are cut out of a stream, and put back into one.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Whatever comes, cut anywhere.
    Bytes,
    /// A line each, without its end.
    Lines,
    /// Four bytes for the length, little-endian, then as many.
    Frames,
}

/// Messages out of a stream.
#[derive(Debug)]
pub(crate) struct Cutter<R: Read> {
    input: BufReader<R>,
    framing: Framing,
    longest: usize,
    messages: u64,
}

impl<R: Read> Cutter<R> {
    pub(crate) fn new(input: R, framing: Framing, longest: usize) -> Self {
        const ROOM: usize = 64 << 10;
        Self {
            input: BufReader::with_capacity(ROOM.min(longest.max(1)), input),
            framing,
            longest,
            messages: 0,
        }
    }

    /// Puts the next message into `message`; `false` at the end of the stream.
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

    /// What is there, so that nothing waits for more.
    fn next_bytes(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        message.resize(self.longest, 0);
        let read = self.input.read(message)?;
        message.truncate(read);
        Ok(read > 0)
    }

    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        // No more than can be told to be too long.
        let most = self.longest as u64 + 1;
        let read = (&mut self.input).take(most).read_until(b'\n', line)?;
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
            _ => return Err(self.cut_off()),
        };
        self.check(len, "frame")?;
        (&mut self.input).take(len).read_to_end(message)?;
        match message.len() as u64 == len {
            true => Ok(true),
            false => Err(self.cut_off()),
        }
    }

    fn check(&self, len: u64, what: &str) -> io::Result<()> {
        if len <= self.longest as u64 {
            return Ok(());
        }
        let number = self.messages + 1;
        let longest = self.longest;
        Err(io::Error::new(
            ErrorKind::InvalidData,
            format!(
                "{what} {number} is longer than the ring's messages, which have {longest} bytes"
            ),
        ))
    }

    fn cut_off(&self) -> io::Error {
        let number = self.messages + 1;
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("the input ends in the middle of frame {number}"),
        )
    }
}

/// Puts a message into a stream, whole or not at all unless the stream breaks.
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

    fn cut(framing: Framing, longest: usize, input: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut cutter = Cutter::new(input, framing, longest);
        let (mut messages, mut message) = (Vec::new(), Vec::new());
        while cutter.next(&mut message)? {
            messages.push(message.clone());
        }
        Ok(messages)
    }

    #[test]
    fn what_is_cut_is_put_together_again() {
        let lines = b"one\n\ntwo";
        assert_eq!(
            cut(Framing::Lines, 3, lines).unwrap(),
            [&b"one"[..], b"", b"two"]
        );
        assert_eq!(cut(Framing::Bytes, 3, b"1234").unwrap().concat(), b"1234");
        for framing in [Framing::Lines, Framing::Frames] {
            let mut stream = Vec::new();
            for message in [&b"a"[..], b"", b"bc"] {
                write(&mut stream, framing, &mut message.to_vec()).unwrap();
            }
            assert_eq!(cut(framing, 2, &stream).unwrap(), [&b"a"[..], b"", b"bc"]);
        }
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_told() {
        let told = |framing, input| cut(framing, 3, input).unwrap_err().to_string();
        let long = "line 2 is longer than the ring's messages, which have 3 bytes";
        assert_eq!(told(Framing::Lines, b"123\n1234\n"), long);
        let long = "frame 1 is longer than the ring's messages, which have 3 bytes";
        assert_eq!(told(Framing::Frames, &[255; 4]), long);
        let cut_off = "the input ends in the middle of frame 2";
        assert_eq!(told(Framing::Frames, &[0, 0, 0, 0, 1]), cut_off);
        assert_eq!(told(Framing::Frames, &[0, 0, 0, 0, 1, 0, 0, 0]), cut_off);
    }
}
