//! One test for the rings of either kind.

use slipring::{Mpmc, Options, Protocol};
use std::any::TypeId;

/// Runs each of some generic functions as two tests, one for each kind of ring. Those behind `files`
/// run with rings in files as well, those behind `everywhere` with System V segments besides; the names
/// of both are what the named module hands out.
#[allow(unused_macros, reason = "not every test can be one function")]
macro_rules! for_each_kind {
    ($($test:ident)+) => {
        mod spsc {
            $(#[test] fn $test() { super::$test::<slipring::Spsc>() })+
        }
        mod mpmc {
            $(#[test] fn $test() { super::$test::<slipring::Mpmc>() })+
        }
    };
    (names from $names:ident; $($here:ident)*; files: $($file:ident)*; everywhere: $($all:ident)*) => {
        for_each_kind! { $($here)* $($file)* $($all)* }
        for_each_kind! { file, $names, File: $($file)* $($all)* }
        for_each_kind! { sysv, $names, SystemV: $($all)* }
    };
    ($module:ident, $names:ident, $place:ident:) => {};
    ($module:ident, $names:ident, $place:ident: $($test:ident)+) => {
        mod $module {
            use crate::$names::places::{Place::$place, within};
            mod spsc {
                $(#[test] fn $test() {
                    super::within(super::$place, crate::$test::<slipring::Spsc>)
                })+
            }
            mod mpmc {
                $(#[test] fn $test() {
                    super::within(super::$place, crate::$test::<slipring::Mpmc>)
                })+
            }
        }
    };
}

#[allow(dead_code, reason = "not every test file has to ask")]
pub(crate) fn is_mpmc<P: Protocol>() -> bool {
    TypeId::of::<P>() == TypeId::of::<Mpmc>()
}

/// What gives rings of either kind one seat for each role.
#[allow(dead_code, reason = "not every test file takes all seats")]
pub(crate) fn one_of_each<P: Protocol>() -> Options {
    match is_mpmc::<P>() {
        true => Options::new().producers(1).consumers(1),
        false => Options::new(),
    }
}

/// The kind as one process tells it to another.
#[allow(dead_code, reason = "not every test file has other processes")]
pub(crate) fn kind<P: Protocol>() -> &'static str {
    match is_mpmc::<P>() {
        true => "mpmc",
        false => "spsc",
    }
}

/// Calls a function that is generic over the kind for the one of this name.
#[allow(unused_macros, reason = "not every test file has other processes")]
macro_rules! call_for_kind {
    ($kind:expr, $function:ident($($argument:expr),*)) => {
        match $kind {
            "mpmc" => $function::<slipring::Mpmc>($($argument),*),
            _ => $function::<slipring::Spsc>($($argument),*),
        }
    };
}
