//! Ends in the hands of one member of a crew, and what it does with them in a slice.

use crate::Result;
use crate::board::Board;
use crate::body::{BATCH, Body, Check, sum_of_all};
use crate::ends::{Inlet, Method, Outlet};
use crate::memory::now;
use std::marker::PhantomData;

pub trait Lane {
    /// Sends or receives what a slice has of `messages` a producer.
    fn run(&mut self, board: &Board, messages: u64) -> Result<()>;

    /// The same of round trips, each of which is timed by itself and noted.
    fn run_timed(
        &mut self,
        _board: &Board,
        _messages: u64,
        _note: &mut dyn FnMut(u64),
    ) -> Result<()> {
        Err("no round trips".into())
    }
}

/// Where the numbers of a producer start: by them consumers know whose message it is.
const SHARE: u32 = 40;

pub struct Sender<B, O> {
    pub outlet: O,
    pub method: Method,
    pub index: u64,
    pub body: PhantomData<B>,
}

impl<B: Body, O: Outlet<B>> Lane for Sender<B, O> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let first = self.index << SHARE;
        let numbers = first..first + messages;
        board.start_clock();
        match self.method {
            Method::Single => send_each(&mut self.outlet, numbers),
            Method::Batch => send_batches(&mut self.outlet, numbers),
            Method::InPlace => send_in_place(&mut self.outlet, numbers),
        }
    }
}

type Numbers = std::ops::Range<u64>;

#[inline(never)]
fn send_each<B: Body, O: Outlet<B>>(outlet: &mut O, mut numbers: Numbers) -> Result<()> {
    numbers.try_for_each(|number| outlet.send_numbered(number))
}

#[inline(never)]
fn send_batches<B: Body, O: Outlet<B>>(outlet: &mut O, numbers: Numbers) -> Result<()> {
    numbers
        .step_by(BATCH)
        .try_for_each(|first| outlet.send_batch(first))
}

#[inline(never)]
fn send_in_place<B: Body, O: Outlet<B>>(outlet: &mut O, mut numbers: Numbers) -> Result<()> {
    numbers.try_for_each(|number| outlet.send_in_place(number))
}

pub struct Receiver<B, I> {
    pub inlet: I,
    pub method: Method,
    /// Producers, and as many consumers.
    pub each: u64,
    pub body: PhantomData<B>,
}

impl<B: Body, I: Inlet<B>> Lane for Receiver<B, I> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let method = self.method;
        if self.each == 1 {
            let mut check = Check::default();
            let see = |message: &B| check.see(message);
            receive(&mut self.inlet, method, messages, see)?;
            board.stop_clock(0);
            return match check.is_passed::<B>(messages) {
                true => Ok(()),
                false => Err("messages were lost, changed or out of order".into()),
            };
        }
        let mut checks = Shares::new(self.each);
        while let Some(chunk) = board.chunk(messages * self.each) {
            receive(&mut self.inlet, method, chunk, |message: &B| {
                checks.see(message)
            })?;
        }
        board.stop_clock(checks.sum);
        match checks.is_disordered {
            false => Ok(()),
            true => Err("messages of one producer were out of order".into()),
        }
    }
}

#[inline(always)]
fn receive<B: Body, I: Inlet<B>>(
    inlet: &mut I,
    method: Method,
    messages: u64,
    mut see: impl FnMut(&B),
) -> Result<()> {
    match method {
        Method::Single => (0..messages).try_for_each(|_| inlet.receive(&mut see)),
        Method::InPlace => (0..messages).try_for_each(|_| inlet.receive_in_place(&mut see)),
        Method::Batch => {
            let mut left = messages as usize;
            while left > 0 {
                left -= inlet.receive_batch(left.min(BATCH), &mut see)?;
            }
            Ok(())
        }
    }
}

/// What one of several consumers finds in the messages of several producers.
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
    fn see<B: Body>(&mut self, message: &B) {
        let number = message.number();
        let share = (number >> SHARE) as usize;
        match self.next.get_mut(share) {
            Some(next) if *next <= number => *next = number + 1,
            _ => self.is_disordered = true,
        }
        self.sum = self.sum.wrapping_add(message.sum());
    }
}

/// Of all messages of a slice for several consumers.
pub fn sum_of_shares<B: Body>(messages: u64, producers: u64) -> u64 {
    let words = (size_of::<B>() / 8) as u64;
    (0..producers).fold(0_u64, |sum, index| {
        let offset = (index << SHARE).wrapping_mul(words * messages);
        sum.wrapping_add(sum_of_all::<B>(messages))
            .wrapping_add(offset)
    })
}

/// Sends a message and waits until it comes back.
pub struct Pinger<B, O, I> {
    pub outlet: O,
    pub inlet: I,
    pub body: PhantomData<B>,
}

impl<B: Body, O: Outlet<B>, I: Inlet<B>> Pinger<B, O, I> {
    #[inline(always)]
    fn trip(&mut self, number: u64, check: &mut Check) -> Result<()> {
        self.outlet.send_numbered(number)?;
        self.inlet.receive(|message| check.see(message))
    }

    fn judge(check: &Check, messages: u64) -> Result<()> {
        match check.is_passed::<B>(messages) {
            true => Ok(()),
            false => Err("messages came back otherwise than they were sent".into()),
        }
    }
}

impl<B: Body, O: Outlet<B>, I: Inlet<B>> Lane for Pinger<B, O, I> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let mut check = Check::default();
        board.start_clock();
        for number in 0..messages {
            self.trip(number, &mut check)?;
        }
        board.stop_clock(0);
        Self::judge(&check, messages)
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
        Self::judge(&check, messages)
    }
}

/// Sends every message back.
pub struct Echoer<B, O, I> {
    pub outlet: O,
    pub inlet: I,
    pub body: PhantomData<B>,
}

impl<B: Body, O: Outlet<B>, I: Inlet<B>> Lane for Echoer<B, O, I> {
    #[inline(never)]
    fn run(&mut self, _board: &Board, messages: u64) -> Result<()> {
        for _ in 0..messages {
            let mut sent = Ok(());
            let outlet = &mut self.outlet;
            self.inlet.receive(|message| sent = outlet.send(message))?;
            sent?;
        }
        Ok(())
    }
}
