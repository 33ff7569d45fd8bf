//! The recurrent products of a step.

/// One product of a step.
#[derive(Debug, Clone)]
pub(super) struct Product {
    /// The function's name.
    pub(super) name: &'static str,
    /// The field of `Place` that says where its vector begins.
    pub(super) vector: &'static str,
    /// Its gates.
    pub(super) gates: std::ops::Range<u32>,
}

/// The product of a GRU that resets after, an LSTM or an RNN.
pub(super) const fn whole(gates: u32) -> Product {
    Product { name: "recurrent_product", vector: "front", gates: 0..gates }
}

/// The products of a GRU that resets before.
pub(super) const BEFORE: [Product; 2] = [
    Product { name: "gates_product", vector: "front", gates: 0..2 },
    Product { name: "candidate_product", vector: "reset", gates: 2..3 },
];

/// Gates of the largest of `products`.
pub(super) fn most_gates(products: &[Product]) -> u32 {
    products.iter().map(|product| product.gates.len() as u32).max().unwrap_or(0)
}
