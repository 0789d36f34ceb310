//! Conversions into [`std::io::Error`].

use super::{
    AttachError, Corrupt, CreateError, Disconnected, ExclusiveError, Forked, GrowError,
    HandOverError, InvalidName, MapError, ObserveError, OpenError, OpenOrCreateError, PopError,
    PopTimeoutError, PushError, PushSliceError, PushTimeoutError, ReceiveError, RecoverError,
    Recovering, StatError, SyncError, SystemError, TooLong, TryPopError, TryPushError, UnlinkError,
};
use std::io::{self, ErrorKind};

/// What an error is, in the terms of the standard library.
trait Kind {
    fn kind(&self) -> ErrorKind;
}

/// Implements [`Kind`]: a kind and the variants that have it, and after `nested` the variants that
/// have the kind of the error inside.
macro_rules! kinds {
    ($error:ident { $($kind:ident: $($variant:ident)|+,)* } nested $($nested:ident)|*) => {
        impl Kind for $error {
            fn kind(&self) -> ErrorKind {
                match self {
                    $($(Self::$variant { .. })|+ => ErrorKind::$kind,)*
                    $(Self::$nested(inner) => inner.kind(),)*
                }
            }
        }
    };
}

kinds!(TryPushError {
    WouldBlock: Full,
    BrokenPipe: Disconnected,
} nested TooLong | Forked | Corrupt);
kinds!(PushError {
    BrokenPipe: Disconnected,
} nested TooLong | Forked | Corrupt);
kinds!(PushTimeoutError {
    TimedOut: TimedOut,
    BrokenPipe: Disconnected,
} nested TooLong | Forked | Corrupt);
kinds!(TryPopError {
    WouldBlock: Empty,
    UnexpectedEof: Disconnected,
} nested Forked | Corrupt);
kinds!(PopError {
    UnexpectedEof: Disconnected,
} nested Forked | Corrupt);
kinds!(PopTimeoutError {
    TimedOut: TimedOut,
    UnexpectedEof: Disconnected,
} nested Forked | Corrupt);
kinds!(AttachError {
    ResourceBusy: Taken | NoSeat | Undecided,
} nested Recovering | Forked | Corrupt | Map | System);
kinds!(RecoverError {} nested Open | Recovering | Forked | Corrupt | Map | System);
kinds!(ExclusiveError {
    ResourceBusy: InUse,
} nested Open | Recovering | System);
kinds!(GrowError {
    InvalidInput: Capacity,
    Unsupported: Unsupported,
    BrokenPipe: Closed,
    ResourceBusy: Growing | Undrained,
    StorageFull: NoSpace,
    FileTooLarge: FileSizeLimit,
} nested Open | Recovering | Forked | Corrupt | Map | System);
kinds!(CreateError {
    AlreadyExists: Exists,
    InvalidInput: Capacity | MessageSize | NoMessageSize | Seats | OnlyMpmc | LivenessInterval
        | Mode,
    StorageFull: NoSpace | NoSemaphores,
    FileTooLarge: FileSizeLimit,
    PermissionDenied: Permission | Owner,
    ReadOnlyFilesystem: ReadOnly,
    NotFound: NoDirectory,
    OutOfMemory: NoHugePages,
    ResourceBusy: Unfinished | InUse,
    Unsupported: NotHuge | FileSystem | Fences,
} nested InvalidName | Map | System);
kinds!(OpenError {
    NotFound: NotFound,
    PermissionDenied: Permission,
    ReadOnlyFilesystem: ReadOnly,
    InvalidData: NotARing | Seals | Truncated | Inconsistent,
    ResourceBusy: Unfinished,
    InvalidInput: Owner | NotHuge | UnlinkedWhenLeft | Kind | Encoding | PayloadSize
        | PayloadAlign | Schema | Capacity | LivenessInterval | Seats | Delivery | Mode | Fences,
    Unsupported: Version | UnknownFlags | FencesUnavailable | FileSystem,
} nested InvalidName | Map | System);
kinds!(OpenOrCreateError {} nested Open | Create);
kinds!(UnlinkError {
    NotFound: NotFound,
    ReadOnlyFilesystem: ReadOnly,
    PermissionDenied: Permission,
} nested InvalidName | Forked | System);
kinds!(MapError {
    OutOfMemory: LockedMemory,
} nested System);
kinds!(SyncError {} nested Forked | Corrupt | Map | System);
kinds!(StatError {} nested Forked | System);
kinds!(ObserveError {
    InvalidData: Truncated,
} nested Forked | Corrupt | System);
kinds!(HandOverError {
    InvalidInput: Named,
    NotFound: Closed,
} nested System);
kinds!(ReceiveError {
    UnexpectedEof: Closed,
    InvalidData: Descriptors,
} nested Open | System);

impl Kind for SystemError {
    fn kind(&self) -> ErrorKind {
        self.source.kind()
    }
}

impl Kind for PushSliceError<PushError> {
    fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }
}

impl Kind for PushSliceError<PushTimeoutError> {
    fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }
}

macro_rules! kind {
    ($($error:ident: $kind:ident,)*) => {$(
        impl Kind for $error {
            fn kind(&self) -> ErrorKind {
                ErrorKind::$kind
            }
        }
    )*};
}

kind!(
    Corrupt: InvalidData,
    Disconnected: BrokenPipe,
    Forked: Unsupported,
    InvalidName: InvalidInput,
    Recovering: ResourceBusy,
    TooLong: InvalidInput,
);

macro_rules! into_io_error {
    ($($error:ty,)*) => {$(
        impl From<$error> for io::Error {
            fn from(error: $error) -> Self {
                Self::new(error.kind(), error)
            }
        }
    )*};
}

into_io_error!(
    AttachError,
    Corrupt,
    CreateError,
    Disconnected,
    ExclusiveError,
    Forked,
    GrowError,
    HandOverError,
    InvalidName,
    MapError,
    ObserveError,
    OpenError,
    OpenOrCreateError,
    PopError,
    PopTimeoutError,
    PushError,
    PushSliceError<PushError>,
    PushSliceError<PushTimeoutError>,
    PushTimeoutError,
    ReceiveError,
    RecoverError,
    Recovering,
    StatError,
    SyncError,
    SystemError,
    TooLong,
    TryPopError,
    TryPushError,
    UnlinkError,
);
