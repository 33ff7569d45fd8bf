//! The memory of a run.

/// Bytes that a run takes on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The model's weights, which all runs share; twice as much where a batch is cut by steps, since each direction of each layer
    /// then has its own copy.
    pub weights: u64,
    /// The arrays of the run.
    pub arrays: u64,
    /// The staging buffers for read-back.
    pub read_back: u64,
}
