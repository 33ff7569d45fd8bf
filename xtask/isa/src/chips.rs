//! The chips whose compiler is asked.

/// A chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Its name, and that of its record.
    pub name: &'static str,
    /// The architecture.
    pub architecture: &'static str,
    /// Compute units of the largest product with it (AMD's product pages): workgroups that run side by side for certain.
    pub cores: u32,
}

/// AMD's, by the name under which RADV's null device takes them.
pub const AMD: [Chip; 4] = [
    Chip { name: "navi31", architecture: "RDNA 3", cores: 96 },
    Chip { name: "navi21", architecture: "RDNA 2", cores: 80 },
    Chip { name: "gfx1201", architecture: "RDNA 4", cores: 64 },
    Chip { name: "vega10", architecture: "Vega", cores: 64 },
];
