//! Processes killed at every instruction and at random moments, and checks of what survives.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod crash;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod growth_kill_points;
mod histories;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod kill_points;
mod leaks;
mod storm;
