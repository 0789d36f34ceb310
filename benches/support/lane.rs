//! Lanes: the endpoints of one subject in one process, and their work in a slice.

use crate::Result;
use crate::board::Board;
use crate::memory::now;
use crate::message::{BATCH, Body, Check, sum_of_all};
use crate::transport::{Method, Sink, Source};
use std::marker::PhantomData;

pub trait Lane {
    /// Sends or receives this lane's messages of a slice with `messages` from each producer.
    fn run(&mut self, board: &Board, messages: u64) -> Result<()>;

    /// The same for round trips. Passes the time of each trip to `note`.
    fn run_timed(
        &mut self,
        _board: &Board,
        _messages: u64,
        _note: &mut dyn FnMut(u64),
    ) -> Result<()> {
        Err("the lane does not time round trips".into())
    }
}

/// The bits of a number above these are its producer's index.
const SHARE: u32 = 40;

pub struct Sender<B, O> {
    pub sink: O,
    pub method: Method,
    pub index: u64,
    pub body: PhantomData<B>,
}

impl<B: Body, O: Sink<B>> Lane for Sender<B, O> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let first = self.index << SHARE;
        let numbers = first..first + messages;
        board.start_clock();
        match self.method {
            Method::Single => send_each(&mut self.sink, numbers),
            Method::Batch => send_batches(&mut self.sink, numbers),
            Method::InPlace => send_in_place(&mut self.sink, numbers),
        }
    }
}

type Numbers = std::ops::Range<u64>;

#[inline(never)]
fn send_each<B: Body, O: Sink<B>>(sink: &mut O, mut numbers: Numbers) -> Result<()> {
    numbers.try_for_each(|number| sink.send_numbered(number))
}

#[inline(never)]
fn send_batches<B: Body, O: Sink<B>>(sink: &mut O, numbers: Numbers) -> Result<()> {
    numbers
        .step_by(BATCH)
        .try_for_each(|first| sink.send_batch(first))
}

#[inline(never)]
fn send_in_place<B: Body, O: Sink<B>>(sink: &mut O, mut numbers: Numbers) -> Result<()> {
    numbers.try_for_each(|number| sink.send_in_place(number))
}

pub struct Receiver<B, I> {
    pub source: I,
    pub method: Method,
    /// The number of producers, and also of consumers.
    pub each: u64,
    pub body: PhantomData<B>,
}

impl<B: Body, I: Source<B>> Lane for Receiver<B, I> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let method = self.method;
        if self.each == 1 {
            let mut check = Check::default();
            let visit = |message: &B| check.record(message);
            receive(&mut self.source, method, messages, visit)?;
            board.stop_clock(0);
            return match check.is_passed::<B>(messages) {
                true => Ok(()),
                false => Err("messages are lost, changed or out of order".into()),
            };
        }
        let mut checks = Shares::new(self.each);
        while let Some(chunk) = board.chunk(messages * self.each) {
            receive(&mut self.source, method, chunk, |message: &B| {
                checks.record(message)
            })?;
        }
        board.stop_clock(checks.sum);
        match checks.is_disordered {
            false => Ok(()),
            true => Err("messages of one producer are out of order".into()),
        }
    }
}

#[inline(always)]
fn receive<B: Body, I: Source<B>>(
    source: &mut I,
    method: Method,
    messages: u64,
    mut visit: impl FnMut(&B),
) -> Result<()> {
    match method {
        Method::Single => (0..messages).try_for_each(|_| source.receive(&mut visit)),
        Method::InPlace => (0..messages).try_for_each(|_| source.receive_in_place(&mut visit)),
        Method::Batch => {
            let mut left = messages as usize;
            while left > 0 {
                left -= source.receive_batch(left.min(BATCH), &mut visit)?;
            }
            Ok(())
        }
    }
}

/// The checks of one of several consumers, for messages of several producers.
struct Shares {
    next: Vec<u64>,
    is_disordered: bool,
    sum: u64,
}

impl Shares {
    fn new(producers: u64) -> Self {
        Self {
            next: (0..producers).map(|index| index << SHARE).collect(),
            is_disordered: false,
            sum: 0,
        }
    }

    #[inline(always)]
    fn record<B: Body>(&mut self, message: &B) {
        let number = message.number();
        let share = (number >> SHARE) as usize;
        match self.next.get_mut(share) {
            Some(next) if *next <= number => *next = number + 1,
            _ => self.is_disordered = true,
        }
        self.sum = self.sum.wrapping_add(message.sum());
    }
}

/// The sum of all messages of a slice with several consumers.
pub fn sum_of_shares<B: Body>(messages: u64, producers: u64) -> u64 {
    let words = (size_of::<B>() / 8) as u64;
    (0..producers).fold(0_u64, |sum, index| {
        let offset = (index << SHARE).wrapping_mul(words * messages);
        sum.wrapping_add(sum_of_all::<B>(messages))
            .wrapping_add(offset)
    })
}

/// Sends a message and waits for its return.
pub struct Pinger<B, O, I> {
    pub sink: O,
    pub source: I,
    pub body: PhantomData<B>,
}

impl<B: Body, O: Sink<B>, I: Source<B>> Pinger<B, O, I> {
    #[inline(always)]
    fn trip(&mut self, number: u64, check: &mut Check) -> Result<()> {
        self.sink.send_numbered(number)?;
        self.source.receive(|message| check.record(message))
    }

    fn outcome(check: &Check, messages: u64) -> Result<()> {
        match check.is_passed::<B>(messages) {
            true => Ok(()),
            false => Err("returned messages differ from the sent ones".into()),
        }
    }
}

impl<B: Body, O: Sink<B>, I: Source<B>> Lane for Pinger<B, O, I> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let mut check = Check::default();
        board.start_clock();
        for number in 0..messages {
            self.trip(number, &mut check)?;
        }
        board.stop_clock(0);
        Self::outcome(&check, messages)
    }

    #[inline(never)]
    fn run_timed(&mut self, board: &Board, messages: u64, note: &mut dyn FnMut(u64)) -> Result<()> {
        let mut check = Check::default();
        board.start_clock();
        let mut start = now();
        for number in 0..messages {
            self.trip(number, &mut check)?;
            let end = now();
            note(end - start);
            start = end;
        }
        board.stop_clock(0);
        Self::outcome(&check, messages)
    }
}

/// Sends every message back.
pub struct Echoer<B, O, I> {
    pub sink: O,
    pub source: I,
    pub body: PhantomData<B>,
}

impl<B: Body, O: Sink<B>, I: Source<B>> Lane for Echoer<B, O, I> {
    #[inline(never)]
    fn run(&mut self, _board: &Board, messages: u64) -> Result<()> {
        for _ in 0..messages {
            let mut sent = Ok(());
            let sink = &mut self.sink;
            self.source.receive(|message| sent = sink.send(message))?;
            sent?;
        }
        Ok(())
    }
}
