//! A ring that is open in this process: what the rings of all kinds share.

mod attach;
mod chain;
mod end;
mod growth;
mod plan;
mod stat;
mod vacancy;

pub use self::{stat::Stat, vacancy::Vacancy};

pub(crate) use self::end::{End, Patience};

use self::chain::Chain;
use self::plan::{admit, compare, plan};
use crate::error::{
    CreateError, Forked, GrowError, Lost, OpenError, OpenOrCreateError, RecoverError, Recovering,
    StatError, SyncError,
};
use crate::layout::{Geometry, View, nanos};
use crate::message::Message;
use crate::options::{Options, WaitStrategy};
use crate::recovery::{Counters, Recovery, Scene};
use crate::region::{Access, Found, Lock, Making, Object, Place, Properties, Region, Residence};
use crate::seat::{self, Hold};
use crate::stage::Stage;
use crate::sync::Relaxed;
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::sys::process;
use crate::terms::Kind;
use core::time::Duration;
use std::thread;
use std::time::SystemTime;

const DEFAULT_MODE: u32 = 0o600;

/// How long to wait for another process that does something that takes microseconds, unless it is
/// stopped or killed just there.
const A_MOMENT: Duration = Duration::from_millis(1);
/// How long such a process may be kept from going on by nothing but a busy machine.
const A_WHILE: Duration = Duration::from_secs(1);
/// How long to wait for it whatever the liveness interval is.
const A_LONG_WHILE: Duration = Duration::from_secs(10);

/// A mapped ring, its checked geometry, and how this process uses it.
#[derive(Debug)]
pub(crate) struct Attachment {
    // Unmapped before the object is let go.
    chain: Chain,
    /// Of the first ring of the object.
    view: View,
    geometry: Geometry,
    wait: WaitStrategy,
    residence: Residence,
    opened_in: Generation,
    region: Region,
}

impl Attachment {
    pub(crate) fn create<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, CreateError> {
        let place = Place::new(name)?;
        let geometry = plan::<M>(kind, options)?;
        let size = geometry.total_len();
        let making = Making {
            mode: options.mode.unwrap_or(DEFAULT_MODE),
            owner: options.owner,
            residence: options.residence,
            locks: Lock::count(geometry.participants()),
            patience: patience(geometry.liveness_interval),
        };
        let region = Region::create(&place, size, &making)?;
        let mut attachment = Self::new(region, geometry, options);
        let created_at = SystemTime::UNIX_EPOCH.elapsed().map_or(0, nanos);
        let described = geometry.describe(process::boot_id(), created_at);
        attachment.view.initialise(&geometry, described);
        attachment.region.publish(&place, size)?;
        Ok(attachment)
    }

    pub(crate) fn open<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let place = Place::new(name)?;
        let patience = patience(options.liveness_interval.unwrap_or_default());
        let found = Found::open(&place, &options.residence, Access::TakePart, patience)?;
        Self::believe(found, name, options, |geometry, properties| {
            compare::<M>(geometry, properties, kind, options)
        })
    }

    /// Opens a ring of any kind and with any messages.
    fn open_any(name: &str) -> Result<Self, OpenError> {
        let options = Options::default();
        let patience = patience(Duration::ZERO);
        let place = Place::new(name)?;
        let found = Found::open(&place, &options.residence, Access::TakePart, patience)?;
        Self::believe(found, name, &options, |_, _| Ok(()))
    }

    /// Opens the same ring once more, whatever its name names by now; also in a forked child.
    pub(crate) fn again<M: Message + ?Sized>(&self) -> Result<Self, OpenError> {
        let options = Options {
            wait: self.wait,
            residence: self.residence,
            ..Options::default()
        };
        let found = Found::again(self.region.object(), &self.residence)?;
        Self::believe(found, "the same ring", &options, |geometry, properties| {
            compare::<M>(geometry, properties, self.geometry.kind, &options)
        })
    }

    /// Takes an object that was found for a ring, if it is one, as asked for.
    fn believe(
        found: Found,
        name: &str,
        options: &Options,
        compare: impl FnOnce(&Geometry, &Properties) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        admit(&found.properties, options)?;
        let head = found.head()?;
        // Only then: a ring that follows is there before the first one says so, and may not have been before.
        let size = found.object().properties()?.size;
        let geometry = Geometry::check_first(&head, size, name)?;
        if !found.object().can_grow() {
            geometry.fills(size, found.page())?;
        }
        let expected = match compare(&geometry, &found.properties) {
            // It may be what the ring has grown to.
            Err(OpenError::Capacity { expected, .. }) if Geometry::successor_in(&head) != 0 => {
                Some(expected)
            }
            compared => compared.map(|()| None)?,
        };
        if options.residence.reserves_huge_pages() && !found.is_huge() {
            return Err(OpenError::NotHuge);
        }
        if !geometry.fences.register() {
            return Err(OpenError::FencesUnavailable {
                found: geometry.fences,
            });
        }
        let region = found.map(geometry.total_len(), &options.residence)?;
        let attachment = Self::new(region, geometry, options);
        attachment.renew();
        let found = attachment.capacity() as u64;
        match expected {
            Some(expected) if expected != found => Err(OpenError::Capacity { expected, found }),
            _ => Ok(attachment),
        }
    }

    /// If the machine has been started since anybody had the ring open: settles what those had begun
    /// who had it open then, none of whom holds a lock any more.
    fn renew(&self) {
        let boot_id = process::boot_id();
        // Where /proc does not tell, it is done when somebody attaches.
        if boot_id == [0; 16] || self.view.boot_id() == boot_id {
            return;
        }
        // Who else has the lock does the same.
        if let Ok(Ok(watch)) = self.scene(None).watch() {
            if self.geometry.kind == Kind::Mpmc {
                let Ok(live) = self.live() else { return };
                watch.recover(&live, None);
            }
            self.view.set_boot_id(boot_id);
        }
    }

    pub(crate) fn open_or_create<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, OpenOrCreateError> {
        /// Times that others may remove and make the name between two looks at it.
        const TRIES: u32 = 100;
        /// Enough for another process to fill in a ring that takes all the space.
        const WAITS: u32 = 20;
        const WAIT: Duration = Duration::from_millis(5);
        let mut waits = 0;
        let mut last = Self::open::<M>(name, kind, options).map_err(OpenOrCreateError::from);
        for _ in 0..TRIES {
            last = match last {
                // What is half made may be the work of somebody who died.
                Err(OpenOrCreateError::Open(
                    OpenError::NotFound { .. } | OpenError::Unfinished { .. },
                )) => Self::create::<M>(name, kind, options).map_err(Into::into),
                Err(OpenOrCreateError::Create(CreateError::Exists { .. })) => {
                    Self::open::<M>(name, kind, options).map_err(Into::into)
                }
                // Perhaps it went into the same ring, which somebody else is about to name.
                Err(OpenOrCreateError::Create(CreateError::NoSpace { .. })) if waits < WAITS => {
                    waits += 1;
                    thread::sleep(WAIT);
                    Self::open::<M>(name, kind, options).map_err(Into::into)
                }
                opened_or_refused => return opened_or_refused,
            };
        }
        last
    }

    fn new(region: Region, geometry: Geometry, options: &Options) -> Self {
        // SAFETY: the region is as large as the geometry says, and is unmapped with the
        // attachment, which whoever has the ring or copies the view keeps.
        let first = unsafe { Stage::first(&region, geometry) };
        Self {
            view: first.view,
            chain: Chain::new(first),
            geometry,
            wait: options.wait,
            residence: options.residence,
            opened_in: Generation::current(),
            region,
        }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The bytes of the first ring; `None` in a forked child, where they are not mapped.
    pub(crate) fn view(&self) -> Option<&View> {
        (!self.opened_in.is_past()).then_some(&self.view)
    }

    /// Ends the ring for good: blocked calls return, in every process.
    pub(crate) fn close(&self) {
        if self.view().is_some() {
            self.close_all();
        }
    }

    /// Whether the ring was closed: all its rings are, or whoever looks at them closes them.
    pub(crate) fn is_closed(&self) -> bool {
        self.view()
            .is_some_and(|view| view.header().status.0.ending.is_closed())
    }

    /// How many messages the newest ring holds, as far as is known.
    pub(crate) fn capacity(&self) -> usize {
        let geometry = match self.view().map(|_| self.live()) {
            Some(Ok(live)) => live.newest().geometry,
            _ => self.geometry,
        };
        geometry.capacity as usize
    }

    pub(crate) fn message_size(&self) -> usize {
        self.geometry.shape.size as usize
    }

    /// How many messages are in the ring by its hints, which lag behind.
    pub(crate) fn len(&self) -> usize {
        match self.view().map(|_| self.live()) {
            Some(Ok(live)) => live.iter().map(|stage| stage.len()).sum(),
            _ => 0,
        }
    }

    /// Until when to wait for others to finish what is over in a moment, unless they are stopped.
    fn patience(&self) -> Instant {
        Instant::now().after(patience(self.geometry.liveness_interval))
    }

    pub(crate) fn object(&self) -> &Object {
        self.region.object()
    }

    /// Has the ring written to where it is kept.
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        self.view().ok_or(Forked)?;
        let live = self.live().map_err(Lost::tell::<SyncError>)?;
        live.iter().try_for_each(|stage| stage.sync())?;
        Ok(self.region.sync()?)
    }

    pub(crate) fn stat(&self) -> Result<Stat, StatError> {
        self.view().ok_or(Forked)?;
        let properties = self.region.object().properties()?;
        Ok(Stat::new(&properties, &self.region.residency()))
    }

    /// Removes the ring's name, if it is to go with the last participant and that one has gone. Nobody
    /// who found the ring by its name before takes a seat unaware of that: the ring is closed.
    fn unlink_when_left(&self) {
        if !self.geometry.unlink_when_left || self.region.object().is_nameless() {
            return;
        }
        let patience = self.patience();
        loop {
            match self.scene(None).watch() {
                Ok(Ok(_watch)) => {
                    let seats = 0..self.geometry.participants();
                    if seat::held(self.region.object(), &seats, None).is_none() {
                        self.close();
                        self.region.object().remove();
                    }
                    return;
                }
                Ok(Err(Recovering { .. })) if Instant::now() < patience => thread::sleep(A_MOMENT),
                // Then the name stays, for whoever leaves next.
                _ => return,
            }
        }
    }

    /// Recovers by hand, for nobody in particular. In an SPSC ring there is nothing to be recovered.
    pub(crate) fn recover(&self) -> Result<Recovery, RecoverError> {
        self.view().ok_or(Forked)?;
        if self.geometry.kind == Kind::Spsc {
            return Ok(Recovery::default());
        }
        let patience = self.patience();
        loop {
            match self.scene(None).watch()? {
                Ok(watch) => {
                    let live = self.live().map_err(Lost::tell::<RecoverError>)?;
                    return Ok(watch.recover(&live, None).0);
                }
                Err(busy) if Instant::now() >= patience => return Err(busy.into()),
                Err(Recovering { .. }) => thread::sleep(A_MOMENT),
            }
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.view().map_or_else(Counters::default, |view| {
            let status = &view.header().status.0;
            Counters {
                recoveries: status.recoveries.load(Relaxed),
                tombstones: status.tombstones.load(Relaxed),
                redelivered: status.redelivered.load(Relaxed),
                dropped: status.dropped.load(Relaxed),
            }
        })
    }

    /// What whoever holds the seat `own` sees of the ring.
    fn scene<'a>(&'a self, own: Option<&'a Hold>) -> Scene<'a> {
        Scene {
            view: &self.view,
            geometry: &self.geometry,
            object: self.region.object(),
            own,
        }
    }
}

/// [Recovers](crate::mpmc::Ring::recover) a ring of any kind and with any messages, by its name: for tools, which
/// need not know what is in it. In an SPSC ring there is nothing to be done: whoever takes an end goes on where
/// its last holder stopped.
///
/// ```
/// # let name = &format!("/slipring-doc-recover-any-{}", std::process::id());
/// # let ring = slipring::mpmc::Ring::<[u8]>::create(name, 4, 100)?;
/// let recovery = slipring::recover(name)?;
/// # slipring::unlink(name)?;
/// assert_eq!(recovery.settled, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`RecoverError`].
pub fn recover(name: &str) -> Result<Recovery, RecoverError> {
    Attachment::open_any(name)?.recover()
}

/// Makes a ring of any kind and with any messages [grow](crate::Ring::grow), by its name: for tools, which need not
/// know what is in it.
///
/// ```
/// # let name = &format!("/slipring-doc-grow-any-{}", std::process::id());
/// # let ring = slipring::mpmc::Ring::<[u8]>::create(name, 4, 100)?;
/// slipring::grow(name, 1000)?;
/// # slipring::unlink(name)?;
/// assert_eq!(ring.capacity(), 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`GrowError`]. The ring is as it was then.
pub fn grow(name: &str, capacity: usize) -> Result<(), GrowError> {
    Attachment::open_any(name)?.grow(capacity)
}

/// How long to wait for others, with regard to a liveness interval.
fn patience(interval: Duration) -> Duration {
    interval.clamp(A_WHILE, A_LONG_WHILE)
}
