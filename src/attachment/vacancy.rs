//! Removing a ring for certain that nobody has.

use super::{A_MOMENT, Attachment};
use crate::error::{OpenError, Recovering, UnlinkError, VacancyError};
use crate::layout::Picture;
use crate::region::{Found, Place, Residence};
use crate::seat::{self, Hold};
use crate::sync::Relaxed;
use crate::sys::clock::Instant;
use crate::sys::process;
use crate::terms::Kind;
use core::time::Duration;
use std::thread;
use std::time::SystemTime;

/// A ring of which nobody has a seat, and nobody can take one for as long as the value lives. Who tries waits for a
/// moment, and is then refused.
///
/// [`unlink`](crate::unlink) removes whatever has a name. To look first who has it, and then to remove it, may remove
/// what somebody has just begun to use, or another ring that has the name by then; this doesn't.
///
/// ```
/// use slipring::{Vacancy, spsc};
///
/// # let name = &format!("/slipring-doc-vacancy-{}", std::process::id());
/// let ring = spsc::Ring::<u64>::create(name, 16)?;
/// let producer = ring.producer()?;
/// assert!(Vacancy::of(name).is_err());
///
/// drop(producer);
/// let vacancy = Vacancy::of(name)?;
/// if vacancy.is_empty() {
///     vacancy.unlink()?;
/// }
/// assert!(ring.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Vacancy {
    // Given back first: what becomes of the object may depend on who still holds a lock of it.
    _holds: Vec<Hold>,
    attachment: Attachment,
    place: Place,
    created_at: Duration,
}

impl Vacancy {
    /// Keeps everybody from a ring that nobody has. It takes what [`Backing`](crate::Backing) describes, a new memfd
    /// excepted.
    ///
    /// # Errors
    ///
    /// If there is no ring, somebody has a seat of it, or this process may not take part in it; see
    /// [`VacancyError`].
    pub fn of(name: &str) -> Result<Self, VacancyError> {
        let place = Place::new(name).map_err(OpenError::from)?;
        let attachment = Attachment::open_any(name)?;
        let patience = attachment.patience();
        let holds = loop {
            match attachment.keep_vacant() {
                Ok(holds) => break holds,
                Err(VacancyError::Recovering(_)) if Instant::now() < patience => {
                    thread::sleep(A_MOMENT);
                }
                Err(error) => return Err(error),
            }
        };
        let found = Found::again(attachment.object(), &Residence::default());
        let mut picture = Picture::blank(&attachment.geometry);
        found?.read(0, picture.bytes_mut())?;
        Ok(Self {
            created_at: Duration::from_nanos(picture.created_at()),
            _holds: holds,
            attachment,
            place,
        })
    }

    /// How many messages are in the ring.
    pub fn len(&self) -> usize {
        self.attachment.len()
    }

    /// Whether no message is in the ring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the ring was made, by its maker's clock.
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.created_at
    }

    /// Removes the ring. For those who have it open without a seat it is [closed](crate::Ring::close).
    ///
    /// # Errors
    ///
    /// If the name is another ring's by now, or there is no permission to remove it.
    pub fn unlink(self) -> Result<(), UnlinkError> {
        let removed = self.attachment.object().unlink(&self.place);
        if removed.is_ok() {
            self.attachment.close();
        }
        removed
    }
}

impl Attachment {
    /// The locks without which nobody attaches.
    fn keep_vacant(&self) -> Result<Vec<Hold>, VacancyError> {
        let recoverer = &self.view.header().status.0.recoverer;
        let Some(recovery) = Hold::recovery(self.object())? else {
            let pid = recoverer.load(Relaxed);
            return Err(Recovering { pid }.into());
        };
        recoverer.store(process::pid(), Relaxed);
        let in_use = |seat| VacancyError::InUse {
            pid: self.view.entry(seat).pid(),
        };
        let seats = 0..self.geometry.participants();
        let mut holds = vec![recovery];
        if self.geometry.kind == Kind::Spsc {
            // Its seats are taken without the right to recover.
            for seat in seats.clone() {
                let hold = Hold::seat(self.object(), seat)?;
                holds.push(hold.ok_or_else(|| in_use(seat))?);
            }
        } else if let Some(seat) = seat::held(self.object(), &seats, None) {
            return Err(in_use(seat));
        }
        Ok(holds)
    }
}
