//! The iterators of a consumer.

use super::Consumer;
use crate::message::Message;
use crate::protocol::Protocol;
use core::fmt;

/// A blocking iterator over messages, from [`Consumer::iter`].
///
/// It ends when [`pop`](Consumer::pop) fails.
#[must_use = "an iterator pops only when it is advanced"]
pub struct Iter<'c, M: Message + ?Sized, P: Protocol> {
    pub(super) consumer: &'c mut Consumer<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Iterator for Iter<'_, M, P> {
    type Item = M::Owned;

    #[inline]
    fn next(&mut self) -> Option<M::Owned> {
        self.consumer.pop().ok()
    }
}

/// A non-blocking iterator over messages, from [`Consumer::try_iter`].
///
/// It ends when [`try_pop`](Consumer::try_pop) fails.
#[must_use = "an iterator pops only when it is advanced"]
pub struct TryIter<'c, M: Message + ?Sized, P: Protocol> {
    pub(super) consumer: &'c mut Consumer<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Iterator for TryIter<'_, M, P> {
    type Item = M::Owned;

    #[inline]
    fn next(&mut self) -> Option<M::Owned> {
        self.consumer.try_pop().ok()
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for Iter<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.consumer).finish()
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for TryIter<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryIter").field(&self.consumer).finish()
    }
}
