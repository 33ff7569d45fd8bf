enable f16;
enable wgpu_cooperative_matrix;

// Matrices of a subgroup, 16 × 16.
alias MatrixA = coop_mat16x16<f16, A>;
alias MatrixB = coop_mat16x16<f16, B>;
alias MatrixC = coop_mat16x16<f32, C>;
const SIDE: u32 = 16u;
