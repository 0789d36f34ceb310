//! A byte stream that is cut into messages, sent through a ring, and reassembled.

#[path = "../../../src/bin/slipring/framing.rs"]
mod framing;

use super::choices::Choices;
use framing::{Framing, MessageReader};
use slipring::spsc::{Consumer, Producer, Ring};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};

const LONGEST: [usize; 7] = [1, 2, 3, 8, 64, 1000, 70_000];
const CAPACITY: usize = 4;

thread_local! {
    /// The handles of a ring for each message size. Rings are kept, as creating one is slow.
    static RINGS: RefCell<BTreeMap<usize, Ends>> = const { RefCell::new(BTreeMap::new()) };
}

type Ends = (Producer<[u8]>, Consumer<[u8]>);

fn ends(longest: usize) -> Ends {
    let ring = Ring::<[u8]>::create_bytes("memfd:", CAPACITY, longest).unwrap();
    (ring.producer().unwrap(), ring.consumer().unwrap())
}

/// Input that returns a few bytes per read.
struct Trickle<'b> {
    input: &'b [u8],
    most: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(self.most);
        self.input.read(&mut bytes[..most])
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let framing = choices.one_of(&[Framing::Bytes, Framing::Lines, Framing::Frames]);
    let longest = choices.one_of(&LONGEST);
    let most = choices.one_of(&[1, 2, 3, 4, 5, 7, 64, usize::MAX]);
    let input = choices.rest();

    let (expected, fault) = expectation(framing, longest, input);
    let (messages, error) = cut(
        MessageReader::new(Trickle { input, most }, framing, longest),
        longest,
    );
    assert_eq!(error.map(|error| error.kind()), fault);
    match framing {
        // The cuts are arbitrary.
        Framing::Bytes => assert_eq!(messages.concat(), input),
        _ => assert_eq!(messages, expected),
    }
    let output = pass_through(&messages, framing, longest);
    let sent: Vec<u8> = expected
        .iter()
        .flat_map(|it| enframe(framing, it))
        .collect();
    assert_eq!(output, sent);
}

/// The expected messages, and the fault in the input after the last of them.
fn expectation(
    framing: Framing,
    longest: usize,
    input: &[u8],
) -> (Vec<Vec<u8>>, Option<ErrorKind>) {
    let mut messages = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (message, after) = match framing {
            Framing::Bytes => (rest, &rest[rest.len()..]),
            Framing::Lines => match rest.iter().position(|&byte| byte == b'\n') {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            },
            Framing::Frames => {
                let Some((len, body)) = rest.split_first_chunk() else {
                    return (messages, Some(ErrorKind::UnexpectedEof));
                };
                let len = u32::from_le_bytes(*len) as usize;
                if len > longest {
                    return (messages, Some(ErrorKind::InvalidData));
                }
                let Some(message) = body.get(..len) else {
                    return (messages, Some(ErrorKind::UnexpectedEof));
                };
                (message, &body[len..])
            }
        };
        if framing == Framing::Lines && message.len() > longest {
            return (messages, Some(ErrorKind::InvalidData));
        }
        messages.push(message.to_vec());
        rest = after;
    }
    (messages, None)
}

fn cut(
    mut cutter: MessageReader<Trickle<'_>>,
    longest: usize,
) -> (Vec<Vec<u8>>, Option<io::Error>) {
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    loop {
        match cutter.next(&mut message) {
            Ok(true) => messages.push(message.clone()),
            Ok(false) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
        assert!(message.len() <= longest);
        // A length field must not make the cutter allocate more than one message.
        assert!(message.capacity() <= 2 * longest + 64);
    }
}

/// Sends and receives as the tool does, and reassembles the output.
fn pass_through(messages: &[Vec<u8>], framing: Framing, longest: usize) -> Vec<u8> {
    RINGS.with_borrow_mut(|rings| {
        let (producer, consumer) = rings.entry(longest).or_insert_with(|| ends(longest));
        let (mut output, mut message) = (Vec::new(), Vec::new());
        for some in messages.chunks(CAPACITY) {
            for one in some {
                producer.try_push(one).unwrap();
            }
            while let Ok(next) = consumer.try_read() {
                next.get_into(&mut message);
                framing::write(&mut output, framing, &mut message).unwrap();
            }
        }
        output
    })
}

fn enframe(framing: Framing, message: &[u8]) -> Vec<u8> {
    match framing {
        Framing::Bytes => message.to_vec(),
        Framing::Lines => [message, b"\n"].concat(),
        Framing::Frames => [&(message.len() as u32).to_le_bytes(), message].concat(),
    }
}
