//! One end of a ring: its seat, what it has heard of the other side, and how it waits for it.

use super::attach::{Attached, attach};
use super::{A_MOMENT, Attachment};
use crate::error::{AttachError, Broken, Corrupt, Disconnected, Forked, Refused};
use crate::layout::{Entry, Place, View};
use crate::options::WaitStrategy;
use crate::ring::Words;
use crate::ring::intent::Run;
use crate::ring::recovery::Adopter;
use crate::seat::{self, Hold};
use crate::sync::{Acquire, Relaxed};
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::terms::{Fences, Kind, Peer, Role};
use crate::wait::Event;
use core::hint::spin_loop;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    For(Duration),
    Forever,
}

impl Patience {
    /// Until when, if at all, counted from now.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::For(time) => Some(Instant::now().after(time)),
            Self::Forever => Some(Instant::NEVER),
        }
    }
}

/// What an end works on, without the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    view: View,
    place: Place,
}

impl Station {
    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    fn entry(&self) -> &Entry {
        self.place.entry()
    }

    #[inline(always)]
    pub(crate) fn for_pushing(&self) -> Words<'_> {
        Words {
            slots: self.view.slots(),
            index: &self.view.header().tail.0,
            intent: self.place.entry().intent(),
            are_lines: true,
        }
    }

    #[inline(always)]
    pub(crate) fn for_popping(&self) -> Words<'_> {
        Words {
            index: &self.view.header().head.0,
            ..self.for_pushing()
        }
    }
}

/// The part of a handle that is the same for producers and consumers.
#[derive(Debug)]
pub(crate) struct End {
    /// Where the handle works; [`Generation::NONE`] once the ring was found corrupt.
    works_in: Generation,
    fences: Fences,
    station: Station,
    role: Role,
    heard: Heard,
    /// What a dead consumer held, and this one has to go on with.
    inherited: Option<Run>,
    seat: u32,
    hold: Option<Hold>,
    attachment: Arc<Attachment>,
}

/// What the end knows of the others.
#[derive(Debug)]
struct Heard {
    news: Option<News>,
    gone: Option<Disconnected>,
    /// How long after the last time to ask again though nothing is new: nobody tells of a death.
    pause: Duration,
    again: Instant,
}

/// What an empty ring without producers may still come up with.
enum Rest {
    Nothing,
    /// A message that another consumer has taken: it comes again if that one dies.
    Held,
    /// Positions that no consumer has come to, perhaps behind a hole; or somebody recovers.
    Unknown,
}

/// What tells that there is something to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct News {
    is_closed: bool,
    /// Comings and goings on the other side.
    roll: u32,
    /// Messages that wait for any consumer.
    orphans: Option<u32>,
}

impl End {
    /// Takes an end of a ring.
    pub(crate) fn take(attachment: &Arc<Attachment>, role: Role) -> Result<Self, AttachError> {
        let view = *attachment.view().ok_or(Forked)?;
        let Attached {
            seat,
            hold,
            inherited,
        } = attach(attachment, &view, role)?;
        // The last holder may have died between what it did and telling of it.
        event_of(&view, role.other()).notify_all();
        Ok(Self {
            works_in: attachment.opened_in,
            fences: attachment.geometry.fences,
            station: Station {
                view,
                place: view.place(seat),
            },
            role,
            heard: Heard {
                news: None,
                gone: None,
                pause: Duration::ZERO,
                again: Instant::now(),
            },
            inherited,
            seat,
            hold: Some(hold),
            attachment: Arc::clone(attachment),
        })
    }

    #[inline(always)]
    pub(crate) fn station(&self) -> &Station {
        &self.station
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.station.view
    }

    pub(crate) fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Whether the handle can be used at all: in this process, on a ring not known to be
    /// corrupt.
    #[inline(always)]
    pub(crate) fn admit(&self) -> Result<(), Broken> {
        if self.works_in == Generation::current() {
            Ok(())
        } else {
            Err(self.inadmissible())
        }
    }

    #[cold]
    fn inadmissible(&self) -> Broken {
        if self.works_in == Generation::NONE {
            Corrupt.into()
        } else {
            Forked.into()
        }
    }

    /// Remembers that the ring is corrupt.
    #[cold]
    #[inline(never)]
    pub(crate) fn distrust(&mut self, corrupt: Corrupt) -> Broken {
        self.works_in = Generation::NONE;
        corrupt.into()
    }

    /// Whether the ring was closed.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.view().header().status.0.closed.is_set()
    }

    /// Asks the kernel about the other side.
    pub(crate) fn peer(&self) -> Result<Peer, Forked> {
        self.attachment.view().ok_or(Forked)?;
        if self.is_closed() {
            return Ok(Peer::Closed);
        }
        Ok(self.ask().peer)
    }

    #[inline(always)]
    pub(crate) fn fences(&self) -> Fences {
        self.fences
    }

    /// What was a dead consumer's and is this end's now; the caller goes on with it.
    pub(crate) fn take_inherited(&mut self) -> Option<Run> {
        self.inherited.take()
    }

    /// Passes a wake-up on to another sleeper of this role.
    pub(crate) fn pass_on(&self) {
        event_of(self.view(), self.role).notify(self.fences);
    }

    /// Lets others know of positions that were left without a message.
    #[cold]
    pub(crate) fn tell_of_tombstones(&self, tombstones: u64) {
        let header = self.view().header();
        // Relaxed: a count to look at.
        header.status.0.tombstones.fetch_add(tombstones, Relaxed);
        header.not_empty.0.notify_all();
    }

    /// How often to look again before [`End::wait`]. One pause between two looks: none takes
    /// the line away from the side that writes it, several make the answer late.
    #[inline(always)]
    pub(crate) fn spins(&self, patience: Patience) -> u32 {
        match (patience, self.attachment.wait) {
            (Patience::None, _) => 0,
            (_, WaitStrategy::Spin) => BURST,
            (_, WaitStrategy::Sleep { spins, .. }) => spins.min(BURST),
        }
    }

    /// Waits until `is_due` says that there is something to do, or something was inherited, up to
    /// `most`; or not at all. Says whether it slept.
    pub(crate) fn wait(
        &mut self,
        deadline: Option<Instant>,
        most: usize,
        is_due: impl Fn() -> bool,
    ) -> Result<bool, Refused> {
        let Some(deadline) = deadline else {
            let gone = self.hear(Instant::lately(), most);
            return self.conclude(gone, is_due, false);
        };
        let mut steps = Steps::after_first_burst(self.attachment.wait);
        let mut has_slept = false;
        loop {
            let now = Instant::now();
            let gone = self.hear(now, most);
            if gone.is_some() || self.inherited.is_some() || now >= deadline {
                return self.conclude(gone, is_due, has_slept);
            }
            let is_over = || is_due() || self.has_news();
            match steps.next() {
                Step::Spin => {
                    for _ in 0..BURST {
                        if is_over() {
                            break;
                        }
                        spin_loop();
                    }
                }
                Step::Yield => thread::yield_now(),
                Step::Sleep => {
                    let until = deadline.min(self.heard.again);
                    event_of(self.view(), self.role).wait(self.fences, until, is_over);
                    has_slept = true;
                }
            }
            if is_due() {
                return Ok(has_slept);
            }
        }
    }

    /// The end of a wait: what was due before the peer went, or before time was up, is done
    /// first.
    fn conclude(
        &self,
        gone: Option<Disconnected>,
        is_due: impl Fn() -> bool,
        has_slept: bool,
    ) -> Result<bool, Refused> {
        match gone {
            _ if self.inherited.is_some() || is_due() => Ok(has_slept),
            Some(gone) => Err(gone.into()),
            None => Err(Refused::NotNow),
        }
    }

    /// Whether the other side is gone, as far as was heard; asks if there is reason to.
    fn hear(&mut self, now: Instant, most: usize) -> Option<Disconnected> {
        if self.has_news() || now >= self.heard.again {
            self.listen(now, most);
        }
        self.heard.gone
    }

    /// Asks about the others: whether anybody of the other side is there, and whether anybody of
    /// either died and left something to be done.
    #[cold]
    fn listen(&mut self, now: Instant, most: usize) {
        let news = self.news();
        let answer = self.ask();
        let mut gone = match answer.peer {
            _ if news.is_closed => Some(Disconnected::Closed),
            Peer::NeverCame | Peer::Present { .. } => None,
            Peer::Left => Some(Disconnected::Left),
            Peer::Died { pid } => Some(Disconnected::Died { pid }),
            Peer::Closed => Some(Disconnected::Closed),
        };
        let mut is_passing = answer.is_passing;
        if self.attachment.geometry.kind == Kind::Mpmc {
            is_passing |= !self.recover(most);
            if self.role == Role::Consumer && gone.is_some() {
                match self.rest(news.is_closed) {
                    Rest::Nothing => {}
                    Rest::Held => gone = None,
                    Rest::Unknown => {
                        gone = None;
                        is_passing = true;
                    }
                }
            }
        }
        if self.news().roll != news.roll {
            // Somebody came meanwhile, and is heard of the next time.
            gone = gone.filter(|_| news.is_closed);
        }
        let interval = self.attachment.geometry.liveness_interval;
        let pause = if !is_passing {
            interval
        } else if self.heard.news == Some(news) && self.heard.pause < interval {
            // What should be over in a moment is not: somebody was stopped in the middle of it.
            (self.heard.pause * 2).clamp(A_MOMENT.min(interval), interval)
        } else {
            A_MOMENT.min(interval)
        };
        self.heard = Heard {
            news: Some(news),
            gone,
            pause,
            again: now.after(pause),
        };
    }

    fn ask(&self) -> seat::Answer {
        let role = self.role.other();
        seat::ask(
            self.attachment.region.object(),
            self.view(),
            role,
            &self.attachment.geometry.seats(role),
            self.hold.as_ref(),
        )
    }

    /// Finishes what the dead have left, if they have; `false` if somebody else is at it. A
    /// refused consumer goes on with what a dead one held.
    fn recover(&mut self, most: usize) -> bool {
        let scene = self.attachment.scene(self.view(), self.hold.as_ref());
        if !scene.is_recovery_due() {
            return true;
        }
        // A refusal of the kernel, as for want of descriptors, may pass.
        let Ok(Ok(watch)) = scene.watch() else {
            return false;
        };
        // Its intent stands for what it holds: by saying another thing it would lose that.
        let capacity = self.attachment.geometry.capacity;
        let is_free = self.station.entry().intent().read(capacity).is_none();
        let adopter = (self.role == Role::Consumer && is_free).then_some(Adopter {
            seat: self.seat,
            most: most as u64,
        });
        let (_, adopted) = watch.recover(adopter);
        drop(watch);
        self.inherited = adopted;
        true
    }

    /// What there may be still to be popped, though no producer is there or the ring is closed.
    fn rest(&self, is_closed: bool) -> Rest {
        let header = self.view().header();
        let head = header.head.0.load(Acquire);
        let tail = header.tail.0.load(Acquire);
        if head != tail {
            return Rest::Unknown;
        }
        if is_closed {
            return Rest::Nothing;
        }
        // Whoever took the last message said so before, and so it stands. But an adoption moves a
        // message from one intent to another, perhaps behind the back of who looks at one after the
        // other: hence the lock.
        let scene = self.attachment.scene(self.view(), self.hold.as_ref());
        match scene.watch() {
            Ok(Ok(watch)) if watch.is_anything_held() => Rest::Held,
            Ok(Ok(_)) => Rest::Nothing,
            _ => Rest::Unknown,
        }
    }

    fn news(&self) -> News {
        let status = &self.view().header().status.0;
        News {
            is_closed: status.closed.is_set(),
            roll: status.roll(self.role.other()).count(),
            orphans: match self.role {
                Role::Producer => None,
                Role::Consumer => status.orphans.call(),
            },
        }
    }

    /// Whether there is a reason to ask before the interval is over.
    fn has_news(&self) -> bool {
        let heard = self.heard.news;
        let now = self.news();
        heard.is_none_or(|heard| {
            (heard.is_closed, heard.roll) != (now.is_closed, now.roll)
                || now.orphans.is_some() && now.orphans != heard.orphans
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.attachment.view().is_none() {
            return;
        }
        let entry = self.station.entry();
        let capacity = self.attachment.geometry.capacity;
        let is_mpmc = self.attachment.geometry.kind == Kind::Mpmc;
        let left_something = is_mpmc && entry.intent().read(capacity).is_some();
        seat::leave(entry, self.view().header().status.0.roll(self.role));
        // The others ask the lock, so it should be free before they are told; who finds it
        // held all the same asks again.
        self.hold = None;
        if left_something {
            // If it can't be done now, somebody does it at the end of an interval.
            if let Ok(Ok(watch)) = self.attachment.scene(self.view(), None).watch() {
                watch.recover(None);
            }
        }
        self.attachment.unlink_when_left(self.view());
        event_of(self.view(), self.role.other()).notify_all();
    }
}

/// The event that an end sleeps on.
#[inline(always)]
fn event_of(view: &View, role: Role) -> &Event {
    match role {
        Role::Producer => &view.header().not_full.0,
        Role::Consumer => &view.header().not_empty.0,
    }
}

/// Looks between two looks at the clock: some microseconds, against which the clock is cheap.
const BURST: u32 = 1000;

/// What a waiter does between two looks at the clock.
enum Step {
    Spin,
    Yield,
    Sleep,
}

/// A strategy, as far as it has not been carried out.
struct Steps(WaitStrategy);

impl Steps {
    fn after_first_burst(mut strategy: WaitStrategy) -> Self {
        if let WaitStrategy::Sleep { spins, .. } = &mut strategy {
            *spins = spins.saturating_sub(BURST);
        }
        Self(strategy)
    }

    fn next(&mut self) -> Step {
        match &mut self.0 {
            WaitStrategy::Spin => Step::Spin,
            WaitStrategy::Sleep {
                spins: 0,
                yields: 0,
            } => Step::Sleep,
            WaitStrategy::Sleep { spins: 0, yields } => {
                *yields -= 1;
                Step::Yield
            }
            WaitStrategy::Sleep { spins, .. } => {
                *spins = spins.saturating_sub(BURST);
                Step::Spin
            }
        }
    }
}
