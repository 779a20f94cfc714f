//! Ringway's benchmarks: what this host allows, what we reach on it, and the two side by side.

pub mod check;
pub mod delayed_figures;
pub mod floors;
pub mod lane_figures;
pub mod load;
pub mod queue_figures;
pub mod self_driven;
pub mod suite;
