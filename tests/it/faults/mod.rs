//! Disks that are full, break, or lose their power under real processes: what was acknowledged is there afterwards.
//! Each test has a cluster of its own, one at a time.

mod power_cut;
mod raft_log;
