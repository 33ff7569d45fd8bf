// Both operands of a product of cooperative matrices in workgroup memory, DEPTH of k at a time: a line for each row
// and each column. Four subgroups, two by two, have HIGH rows and WIDE columns each; a fifth repeats the work of the
// first. `a_at`, `a_eight` and `a_rest` say where a row is, `b_column` which column of w a line has.
//
// The numbers in a line are reached by constants, so a bounds check serves a whole line and loads are 16 bytes wide.
//
// STACK, ACROSS, ABREAST and multiply_all(), with each matrix in a variable of its own, are written out by
// `kernels::matrices`.

const DEPTH: u32 = 32u;              // k of one pass through workgroup memory
const OCTETS: u32 = DEPTH / 8u;
const PITCH: u32 = DEPTH + 8u;       // numbers from a line to the next, padded against bank conflicts
const HIGH: u32 = STACK * SIDE;
const WIDE: u32 = ABREAST * SIDE;

alias Line = array<Octet, OCTETS + 1u>;

var<workgroup> a_lines: array<array<Line, HIGH>, 2>;
var<workgroup> b_lines: array<array<Line, WIDE>, 2>;
