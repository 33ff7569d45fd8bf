enable f16;
enable wgpu_cooperative_matrix;

// Matrices of a subgroup, 8 × 8.
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;
const SIDE: u32 = 8u;
