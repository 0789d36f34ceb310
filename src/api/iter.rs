//! The iterators of a consumer.

use crate::endpoint::{PopEndpoint, WaitLimit};
use crate::message::Message;
use crate::protocol::Protocol;
use core::fmt;

/// A blocking iterator over messages, from [`Consumer::iter`](super::Consumer::iter).
///
/// It ends when [`pop`](super::Consumer::pop) fails.
#[must_use = "an iterator pops only when it is advanced"]
pub struct Iter<'c, M: Message + ?Sized, P: Protocol> {
    pub(super) pop: &'c mut PopEndpoint<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Iterator for Iter<'_, M, P> {
    type Item = M::Owned;

    #[inline]
    fn next(&mut self) -> Option<M::Owned> {
        match self.pop.pop_fast(|next| next.load()) {
            Some(message) => Some(message),
            None => self.pop.pop_blocking(|next| next.load()).ok(),
        }
    }
}

/// A non-blocking iterator over messages, from [`Consumer::try_iter`](super::Consumer::try_iter).
///
/// It ends when [`try_pop`](super::Consumer::try_pop) fails.
#[must_use = "an iterator pops only when it is advanced"]
pub struct TryIter<'c, M: Message + ?Sized, P: Protocol> {
    pub(super) pop: &'c mut PopEndpoint<M, P>,
}

impl<M: Message + ?Sized, P: Protocol> Iterator for TryIter<'_, M, P> {
    type Item = M::Owned;

    #[inline]
    fn next(&mut self) -> Option<M::Owned> {
        match self.pop.pop_fast(|next| next.load()) {
            Some(message) => Some(message),
            None => self.pop.pop_slow(WaitLimit::None, |next| next.load()).ok(),
        }
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for Iter<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

impl<M: Message + ?Sized, P: Protocol> fmt::Debug for TryIter<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").finish_non_exhaustive()
    }
}
