//! What an end hears of the other side: who is there, and what the dead have left.

use super::End;
use crate::attachment::A_MOMENT;
use crate::error::Disconnected;
use crate::ring::ending::position;
use crate::ring::recovery::Adopter;
use crate::seat;
use crate::stage::Stage;
use crate::sync::Acquire;
use crate::sys::clock::Instant;
use crate::terms::{Kind, Peer, Role};
use core::time::Duration;
use std::sync::Arc;

/// What the end knows of the others.
#[derive(Debug)]
pub(super) struct Heard {
    news: Option<News>,
    gone: Option<Disconnected>,
    /// How long after the last time to ask again though nothing is new: nobody tells of a death.
    pause: Duration,
    pub(super) again: Instant,
}

impl Heard {
    pub(super) fn nothing() -> Self {
        Self {
            news: None,
            gone: None,
            pause: Duration::ZERO,
            again: Instant::now(),
        }
    }
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
    /// Another ring follows.
    is_ending: bool,
    /// Comings and goings on the other side.
    roll: u32,
    /// Messages that wait for any consumer.
    orphans: Option<u32>,
}

impl End {
    /// Whether the other side is gone, as far as was heard; asks if there is reason to.
    pub(super) fn hear(&mut self, now: Instant, most: usize) -> Option<Disconnected> {
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
        if self.attachment.has_grown() {
            is_passing |= !self.finish();
        }
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

    pub(super) fn ask(&self) -> seat::Answer {
        let role = self.role.other();
        seat::ask(
            self.attachment.region.object(),
            &self.attachment.view,
            role,
            &self.attachment.geometry.seats(role),
            self.hold.as_ref(),
        )
    }

    /// Finishes what somebody had begun who made the ring grow, or closed it, or came to the end of one; `false` if
    /// somebody else is at it.
    fn finish(&self) -> bool {
        let attachment = &self.attachment;
        if attachment.is_closed() && !self.stage.is_closed() {
            attachment.close_all();
        }
        let Ok(live) = attachment.live() else {
            return false;
        };
        if !attachment.is_untidy(&live) {
            return true;
        }
        let Ok(Ok(watch)) = attachment.scene(self.hold.as_ref()).watch() else {
            return false;
        };
        let Ok(live) = attachment.live() else {
            return false;
        };
        for (stage, next) in live.pairs() {
            stage.end_before(next);
        }
        attachment.tidy(&watch, &live, self.worked_at());
        true
    }

    /// Finishes what the dead have left, if they have; `false` if somebody else is at it. A
    /// refused consumer goes on with what a dead one held.
    fn recover(&mut self, most: usize) -> bool {
        let scene = self.attachment.scene(self.hold.as_ref());
        let Ok(live) = self.attachment.live() else {
            return false;
        };
        if !scene.is_recovery_due(&live) {
            return true;
        }
        // A refusal of the kernel, as for want of descriptors, may pass.
        let Ok(Ok(watch)) = scene.watch() else {
            return false;
        };
        let Ok(live) = self.attachment.live() else {
            return false;
        };
        // Its intent stands for what it holds: by saying another thing it would lose that.
        let is_free = self.inherited.is_none() && self.stage.intent(self.seat).is_none();
        let adopter = (self.role == Role::Consumer && is_free).then_some(Adopter {
            seat: self.seat,
            most: most as u64,
        });
        let (_, adopted) = watch.recover(&live, adopter);
        if let Some(adopted) = &adopted {
            // Before somebody else can find that nobody is there any more.
            let place = adopted.stage.offset.min(self.stage.offset);
            self.root().work_at(place);
        }
        drop(watch);
        self.inherited = adopted;
        true
    }

    /// What there may be still to be popped, though no producer is there or the ring is closed.
    fn rest(&self, is_closed: bool) -> Rest {
        let Ok(live) = self.attachment.live() else {
            return Rest::Unknown;
        };
        let is_empty = |stage: &Arc<Stage>| {
            let header = stage.view.header();
            let head = header.head.0.load(Acquire);
            head == position(header.tail.0.load(Acquire))
        };
        if live.newest().offset != self.stage.offset || !live.iter().all(is_empty) {
            return Rest::Unknown;
        }
        if is_closed {
            return Rest::Nothing;
        }
        // Whoever took the last message said so before, and so it stands. But an adoption moves a
        // message from one intent to another, perhaps behind the back of who looks at one after the
        // other: hence the lock.
        let scene = self.attachment.scene(self.hold.as_ref());
        match scene.watch() {
            Ok(Ok(watch)) if watch.is_anything_held(&live) => Rest::Held,
            Ok(Ok(_)) => Rest::Nothing,
            _ => Rest::Unknown,
        }
    }

    fn news(&self) -> News {
        let ending = &self.view().header().status.0.ending;
        let status = &self.attachment.view.header().status.0;
        News {
            is_closed: ending.is_closed(),
            is_ending: ending.is_ending(),
            roll: status.roll(self.role.other()).count(),
            orphans: match self.role {
                Role::Producer => None,
                Role::Consumer => status.orphans.call(),
            },
        }
    }

    /// Whether there is a reason to ask before the interval is over.
    pub(super) fn has_news(&self) -> bool {
        let heard = self.heard.news;
        let now = self.news();
        heard.is_none_or(|heard| {
            (heard.is_closed, heard.is_ending, heard.roll)
                != (now.is_closed, now.is_ending, now.roll)
                || now.orphans.is_some() && now.orphans != heard.orphans
        })
    }
}
