//! The f64 reference against independent numbers: PyTorch in float64, and the equations in plain Python for the
//! conventions that PyTorch does not have. The f32 CPU path against the same numbers.
//!
//! Element i of tensor k is `((7919 i + 104729 k) mod 1024) / 512 − 1`, which f32 and f64 represent exactly, so both
//! sides start from the same numbers. The scripts are beside the constants they print.

mod projection;

use wgru::model::{Activation, Activations, Reset, Update};
use wgru::reference::{self, Tolerance, compare};
use wgru::{Batch, Cell, Device, Direction, Layer, Model, Output, Weights};

/// The difference between two f64 implementations: another reduction order, another `exp`.
const AGREEMENT: f64 = 1e-12;

/// Tensor `k` of the scripts.
fn v(k: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + k * 104_729) % 1024) as f32 / 512.0 - 1.0).collect()
}

/// A case of the scripts.
struct Case {
    model: Model,
    /// `[B, T, I]`.
    shape: [usize; 3],
    x: Vec<f32>,
    h0: Vec<f32>,
    c0: Option<Vec<f32>>,
}

impl Case {
    fn of(model: Model, batch: usize, steps: usize) -> Self {
        let shape = [batch, steps, model.input()];
        let rows = model.num_states() * batch;
        Self {
            shape,
            x: v(100, shape.iter().product()),
            h0: v(101, rows * model.state_size()),
            c0: model.cell().has_c().then(|| v(102, rows * model.hidden())),
            model,
        }
    }

    fn batch(&self) -> Batch<'_> {
        let batch = Batch::new(&self.x, self.shape).expect("x fits").h0(&self.h0);
        match &self.c0 {
            Some(c0) => batch.c0(c0),
            None => batch,
        }
    }

    /// Compares the reference and the CPU path with `golden`.
    fn agrees_with(&self, golden: &str) {
        let golden = parse(golden);
        let truth = reference::run(&self.model, &self.batch()).expect("the reference runs");
        let arrays = [
            ("y", Some(&golden.y), Some(&truth.y)),
            ("h_n", Some(&golden.h_n), Some(&truth.h_n)),
            ("c_n", golden.c_n.as_ref(), truth.c_n.as_ref()),
        ];
        for (name, golden, got) in arrays {
            assert_eq!(golden.map(Vec::len), got.map(Vec::len), "{}: length of {name}", self.model);
            let pairs = golden.into_iter().flatten().zip(got.into_iter().flatten());
            for (i, (golden, got)) in pairs.enumerate() {
                let error = (golden - got).abs();
                assert!(error <= AGREEMENT, "{}: {name}[{i}] is {got}, expected {golden}", self.model);
            }
        }
        let engine = Device::cpu().load(&self.model).expect("the CPU path loads it");
        let output = engine.run(&self.batch()).expect("the CPU path runs it");
        for comparison in compare(&golden, &output, Tolerance::of(&self.model, &self.batch())) {
            assert!(comparison.passes(), "{} on the CPU: {comparison:?}", self.model);
        }
    }
}

/// Arrays by name, numbers after each.
fn parse(golden: &str) -> Output<f64> {
    let mut output = Output { y: Vec::new(), h_n: Vec::new(), c_n: None, out: None };
    let mut array = &mut output.y;
    for word in golden.split_whitespace() {
        match word {
            "y" => array = &mut output.y,
            "h_n" => array = &mut output.h_n,
            "c_n" => array = output.c_n.insert(Vec::new()),
            number => array.push(number.parse().expect("a number")),
        }
    }
    assert!(!output.y.is_empty() && !output.h_n.is_empty(), "a golden without numbers");
    output
}

fn stack(cell: Cell, input: usize, hidden: usize, layers: usize) -> Model {
    stack_of(cell, Direction::Forward, input, hidden, layers)
}

/// Direction d of layer l has tensors 4k, 4k + 1, 4k + 2 and 4k + 3 with k = l·D + d.
fn stack_of(cell: Cell, direction: Direction, input: usize, hidden: usize, layers: usize) -> Model {
    let rows = cell.gates() * hidden;
    let dirs = direction.count();
    let layer = |index: usize| {
        let input = if index == 0 { input } else { dirs * hidden };
        let weights = |k: usize| Weights {
            w_ih: v(4 * k, rows * input),
            w_hh: v(4 * k + 1, rows * hidden),
            b_ih: Some(v(4 * k + 2, rows)),
            b_hh: Some(v(4 * k + 3, rows)),
            ..Weights::default()
        };
        let weights = (index * dirs..(index + 1) * dirs).map(weights).collect();
        Layer::new(cell, direction, input, hidden, weights).expect("sizes fit")
    };
    Model::new((0..layers).map(layer).collect()).expect("layers fit")
}

#[test]
fn gru_matches_pytorch() {
    Case::of(stack(Cell::GRU, 3, 4, 1), 2, 3).agrees_with(GRU);
    Case::of(stack(Cell::GRU, 2, 3, 2), 3, 2).agrees_with(GRU_OF_TWO_LAYERS);
}

#[test]
fn lstm_matches_pytorch() {
    Case::of(stack(Cell::LSTM, 3, 2, 1), 2, 4).agrees_with(LSTM);
    Case::of(stack(Cell::LSTM, 4, 3, 2), 2, 2).agrees_with(LSTM_OF_TWO_LAYERS);
}

#[test]
fn plain_rnns_match_pytorch() {
    Case::of(stack(Cell::Rnn, 2, 3, 1), 2, 4).agrees_with(RNN_TANH);
    let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    let layer =
        stack(Cell::Rnn, 3, 2, 1).layers()[0].clone().with_activations(vec![relu]).expect("one direction");
    Case::of(Model::new(vec![layer]).expect("one layer"), 3, 3).agrees_with(RNN_RELU);
}

#[test]
fn bidirectional_stacks_match_pytorch() {
    let both = Direction::Bidirectional;
    Case::of(stack_of(Cell::GRU, both, 2, 3, 2), 2, 3).agrees_with(GRU_BOTH_WAYS);
    Case::of(stack_of(Cell::LSTM, both, 3, 2, 2), 2, 3).agrees_with(LSTM_BOTH_WAYS);
}

#[test]
fn the_original_gru_by_its_own_constructor() {
    let (input, hidden) = (3, 2);
    let [w_r, w_z, w_n] = [0, 1, 2].map(|k| v(k, hidden * (hidden + input)));
    let layer = Layer::original_gru(input, hidden, &w_r, &w_z, &w_n).expect("sizes fit");
    assert_eq!(layer.cell(), Cell::ORIGINAL_GRU);
    Case::of(Model::new(vec![layer]).expect("one layer"), 2, 3).agrees_with(ORIGINAL);
}

#[test]
fn every_convention_of_the_gru_matches_its_equation() {
    for (reset, update, golden) in [
        (Reset::Before, Update::Keeps, BEFORE_KEEPS),
        (Reset::Before, Update::Takes, BEFORE_TAKES),
        (Reset::After, Update::Keeps, AFTER_KEEPS),
        (Reset::After, Update::Takes, AFTER_TAKES),
    ] {
        Case::of(stack(Cell::Gru { reset, update }, 2, 3, 1), 2, 3).agrees_with(golden);
    }
}

/// The four conventions are four cells: a golden of one must not pass for another.
#[test]
fn the_conventions_give_different_numbers() {
    let goldens = [BEFORE_KEEPS, BEFORE_TAKES, AFTER_KEEPS, AFTER_TAKES].map(|golden| parse(golden).y);
    for (i, a) in goldens.iter().enumerate() {
        for b in &goldens[..i] {
            let largest = a.iter().zip(b).fold(0.0, |all: f64, (a, b)| all.max((a - b).abs()));
            assert!(largest > 1e-2, "two conventions differ by {largest:e} only");
        }
    }
}

/// 1 − σ(a) = σ(−a), so negated z rows of weights and biases turn one update into the other.
#[test]
fn update_takes_is_update_keeps_with_negated_z_rows() {
    for reset in [Reset::Before, Reset::After] {
        let (input, hidden, layers) = (3, 4, 2);
        let keeps = stack(Cell::Gru { reset, update: Update::Keeps }, input, hidden, layers);
        let takes = Cell::Gru { reset, update: Update::Takes };
        let converted = keeps.layers().iter().map(|layer| {
            let mut weights = layer.weights()[0].clone();
            let Weights { w_ih, w_hh, b_ih, b_hh, .. } = &mut weights;
            let biases = [b_ih, b_hh].map(|b| (b.as_deref_mut().unwrap_or_default(), 1));
            let matrices = [(&mut w_ih[..], layer.input()), (&mut w_hh[..], hidden)];
            for (values, columns) in matrices.into_iter().chain(biases) {
                values[hidden * columns..2 * hidden * columns].iter_mut().for_each(|w| *w = -*w);
            }
            Layer::new(takes, Direction::Forward, layer.input(), hidden, vec![weights]).expect("sizes fit")
        });
        let converted = Model::new(converted.collect()).expect("layers fit");

        let [keeps, takes] = [keeps, converted].map(|model| Case::of(model, 2, 5));
        let [a, b] = [&keeps, &takes].map(|case| reference::run(&case.model, &case.batch()).expect("runs"));
        for (i, (a, b)) in a.y.iter().chain(&a.h_n).zip(b.y.iter().chain(&b.h_n)).enumerate() {
            assert!((a - b).abs() <= AGREEMENT, "reset {reset:?}: value {i} is {a} and {b}");
        }
    }
}

#[test]
fn absent_biases_and_states_are_zeros() {
    for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn] {
        let (input, hidden) = (2, 3);
        let rows = cell.gates() * hidden;
        let model = |bias: Option<Vec<f32>>| {
            let (w_ih, w_hh) = (v(0, rows * input), v(1, rows * hidden));
            let weights = Weights { w_ih, w_hh, b_ih: bias.clone(), b_hh: bias, ..Weights::default() };
            let layer = Layer::new(cell, Direction::Forward, input, hidden, vec![weights]);
            Model::new(vec![layer.expect("sizes fit")]).expect("one layer")
        };
        let (absent, zero) = (model(None), model(Some(vec![0.0; rows])));
        let (x, zeros) = (v(100, 2 * 4 * input), vec![0.0; 2 * hidden]);
        let bare = Batch::new(&x, [2, 4, input]).expect("x fits");
        let mut named = bare.h0(&zeros);
        if cell.has_c() {
            named = named.c0(&zeros);
        }
        let [a, b] = [reference::run(&absent, &bare), reference::run(&zero, &named)];
        assert_eq!(a.expect("runs"), b.expect("runs"), "{cell}");
    }
}

// PyTorch 2.15 in float64. The constants below are what this prints:
//
//     import math, torch
//     from torch.nn import GRU, LSTM, RNN
//     torch.set_default_dtype(torch.float64)
//
//     def v(k, *shape):
//         i = torch.arange(math.prod(shape))
//         return (((i * 7919 + k * 104729) % 1024).double() / 512 - 1).reshape(shape)
//
//     def show(name, **arrays):
//         print(f'const {name}: &str = "', end="")
//         for key, array in arrays.items():
//             numbers = [f"{x:.17}" for x in array.flatten().tolist()]
//             for i in range(0, len(numbers), 4):
//                 print("\n    " + (f"{key:4}" if i == 0 else " " * 4), *numbers[i : i + 4], end="")
//         print('";')
//
//     def case(name, net, B, T):
//         D = 2 if net.bidirectional else 1
//         L, H = net.num_layers, net.hidden_size
//         for l in range(L):
//             for d, end in enumerate(["", "_reverse"][:D]):
//                 for k, part in enumerate(["weight_ih", "weight_hh", "bias_ih", "bias_hh"]):
//                     p = getattr(net, f"{part}_l{l}{end}")
//                     p.data = v(4 * (l * D + d) + k, *p.shape)
//         x, h0, c0 = v(100, B, T, net.input_size), v(101, L * D, B, H), v(102, L * D, B, H)
//         with torch.no_grad():
//             if isinstance(net, LSTM):
//                 y, (h_n, c_n) = net(x, (h0, c0))
//                 show(name, y=y, h_n=h_n, c_n=c_n)
//             else:
//                 y, h_n = net(x, h0)
//                 show(name, y=y, h_n=h_n)
//
//     case("GRU", GRU(3, 4, 1, batch_first=True), 2, 3)
//     case("GRU_OF_TWO_LAYERS", GRU(2, 3, 2, batch_first=True), 3, 2)
//     case("LSTM", LSTM(3, 2, 1, batch_first=True), 2, 4)
//     case("LSTM_OF_TWO_LAYERS", LSTM(4, 3, 2, batch_first=True), 2, 2)
//     case("RNN_TANH", RNN(2, 3, 1, batch_first=True), 2, 4)
//     case("RNN_RELU", RNN(3, 2, 1, nonlinearity="relu", batch_first=True), 3, 3)
//     case("GRU_BOTH_WAYS", GRU(2, 3, 2, batch_first=True, bidirectional=True), 2, 3)
//     case("LSTM_BOTH_WAYS", LSTM(3, 2, 2, batch_first=True, bidirectional=True), 2, 3)

const GRU: &str = "
    y    0.25926580668073401 -0.56420387504200409 -0.0074797691159417257 0.77072111437916302
         0.57800889400293376 -0.18234721111433233 0.27679656133567698 0.46987904211790166
         0.60677434719404022 -0.079410886140829764 0.20668967959514409 0.32804314424395076
         0.54591890519051689 -0.38409108222628768 -0.36701850887087317 0.76367248465766635
         0.38435460715127934 -0.47071398946840676 -0.11203259874822669 0.81865360941755516
         0.27130999477840451 -0.70795191031255333 0.25058818903801577 0.7324355855572352
    h_n  0.60677434719404022 -0.079410886140829764 0.20668967959514409 0.32804314424395076
         0.27130999477840451 -0.70795191031255333 0.25058818903801577 0.7324355855572352";
const GRU_OF_TWO_LAYERS: &str = "
    y    -0.76140838679986744 -0.74218959428525388 0.47465471103634083 -0.90615961597604577
         -0.55931799405349447 0.27493576997610536 -0.51130136558196249 -0.4299560932712867
         0.75060926113775228 -0.8433974434290965 -0.32062360027970355 0.46540250693782848
         -0.14474104069845073 -0.085505256414335012 -0.2538706813511622 -0.58914081925249739
         -0.070601018547644612 -0.07800529070770755
    h_n  0.60720590116106243 0.35343935703304635 0.38507495616448401 0.71561023386724765
         0.54241673438029858 0.41133151339961133 0.34253403158287055 0.67835182747320943
         0.13178963337804445 -0.90615961597604577 -0.55931799405349447 0.27493576997610536
         -0.8433974434290965 -0.32062360027970355 0.46540250693782848 -0.58914081925249739
         -0.070601018547644612 -0.07800529070770755";
const LSTM: &str = "
    y    0.047094326424585747 -0.10529517108709099 0.16870747698500688 -0.18549990728333035
         0.16953290510395347 -0.27346568797461013 -0.19024851034555063 0.21471737854441675
         0.48950364435062177 -0.087944864319090488 -0.017378734729285878 -0.2677456012724227
         0.15974453641030542 -0.25592215245956457 0.16376380431445894 -0.3059270201252835
    h_n  -0.19024851034555063 0.21471737854441675 0.16376380431445894 -0.3059270201252835
    c_n  -0.26164664087409062 0.28648166282624943 0.41997212974388748 -0.46324904931649979";
const LSTM_OF_TWO_LAYERS: &str = "
    y    -0.44018839312803526 -0.42419574139651367 0.20240237950658641 -0.31167123506137334
         -0.56225421665659581 0.13113643789210877 -0.19357349081787581 -0.41273235820566029
         -0.48299882921281934 -0.19499884324966948 -0.28778632860986342 -0.2785962309104747
    h_n  0.023397121914655043 0.27197645295126877 0.11333148149868294 -0.14318367961018685
         0.11358715827737587 0.014114768458197872 -0.31167123506137334 -0.56225421665659581
         0.13113643789210877 -0.19499884324966948 -0.28778632860986342 -0.2785962309104747
    c_n  0.038725297936474862 0.38235401215687381 0.12659816464919771 -0.50902285306472761
         0.29912381776202357 0.022606457838355971 -1.0411674140726892 -0.9214482641129047
         0.17599675674623361 -0.81618368696672428 -0.45961796283129031 -0.33027701710480628";
const RNN_TANH: &str = "
    y    0.15546352346954778 -0.41983416944797103 -0.79429635442032753 0.019877644663425162
         -0.76585470801955224 0.11417043562949353 0.89136745494632563 0.61129145639209448
         -0.94694334688248238 -0.86924380690519887 -0.93491458476330325 0.13175688976125613
         -0.083063936591344215 -0.16960957651073577 -0.9249939666907 -0.040215295336966363
         -0.79420181159740277 -0.23553195229305163 0.98335046686612781 -0.53736500254638875
         -0.83893279022141787 -0.046995456785728057 -0.63970196469822449 -0.020908232386796257
    h_n  -0.86924380690519887 -0.93491458476330325 0.13175688976125613 -0.046995456785728057
         -0.63970196469822449 -0.020908232386796257";
const RNN_RELU: &str = "
    y    0.40874481201171875 0.0 0.21183370053768158 0.0
         0.060596483497647569 0.0 1.3834495544433594 0.36201095581054688
         0.69548588246107101 1.6003703102469444 0.0 0.0
         0.490966796875 0.0 0.0 0.0
         1.9149208068847656 0.71166229248046875
    h_n  0.060596483497647569 0.0 0.0 0.0
         1.9149208068847656 0.71166229248046875";
const GRU_BOTH_WAYS: &str = "
    y    -0.6688743705100666 -0.32552705967940454 0.65642912198218362 -0.72589716950392869
         0.3466537595593695 0.033265974928767282 -0.81885218139194293 -0.17255476448844398
         0.52850201344054537 -0.73748812942910991 0.37310793613862159 0.19568227282657547
         -0.88070871264331663 -0.01310080142913328 0.41807094046139126 -0.54081765278900873
         0.44739608501653527 -0.051237369086314877 -0.44609601618646683 0.35390762378730289
         -0.35952343155827726 -0.88839227354791106 0.77499390717369976 0.66096243252017239
         -0.69916342819101551 0.59502804065985504 -0.16901192294329531 -0.8720627938222425
         0.81388344233403298 0.53095998344829498 -0.79099755210704004 0.7148336571304621
         -0.022039402545945941 -0.86537166553037514 0.81032885993468795 0.45553496509008584
    h_n  0.54044000613154186 0.66364680372046037 0.089183059192930791 0.69961256393310034
         0.59815863154843574 0.32605919111178761 -0.80887357032771789 0.5885892733588407
         0.15455603934843498 -0.75092953330221945 -0.16086985833139475 0.39004006298664429
         -0.88070871264331663 -0.01310080142913328 0.41807094046139126 -0.79099755210704004
         0.7148336571304621 -0.022039402545945941 -0.72589716950392869 0.3466537595593695
         0.033265974928767282 -0.88839227354791106 0.77499390717369976 0.66096243252017239";
const LSTM_BOTH_WAYS: &str = "
    y    0.17334236105039585 0.16108518992668636 -0.12054774877690677 0.3335750361190018
         0.10191356258143569 0.23545862305408785 -0.10002645209573122 0.29272062122055653
         0.080546296486923644 0.2403654775278265 0.033459261956119014 0.16258983326521403
         0.051535244952907504 -0.22499611271761311 -0.16201171929042241 0.35654982703778959
         0.14969561621261965 -0.11077617953378235 -0.10129679406339245 0.34900807807990014
         0.1056749682035832 0.05829779614008207 -0.13736249977497744 0.5927697292503753
    h_n  0.16953290510395347 -0.27346568797461013 0.032323489661739362 -0.155712607667606
         0.21052516223913922 -0.2506294086537138 0.061855598409648806 0.13063982599358109
         0.080546296486923644 0.2403654775278265 0.1056749682035832 0.05829779614008207
         -0.12054774877690677 0.3335750361190018 -0.16201171929042241 0.35654982703778959
    c_n  0.42682751595703083 -0.41218208420697194 0.05433578674323411 -0.17362393933091358
         0.54175928279193397 -0.37741952144961588 0.31820093310089403 0.39004961199459909
         0.33350712884110761 0.47919964220957489 0.54774587093314242 0.13971210354588678
         -0.33861358119848539 0.5737052855791418 -0.4522106001675199 0.62205274413112543";

// The equations in plain Python, written from the definitions. The constants below are what this prints:
//
//     from math import exp, tanh
//
//     def v(k, n):
//         return [((i * 7919 + k * 104729) % 1024) / 512 - 1 for i in range(n)]
//
//     def product(w, a):  # w: rows of len(a), flat
//         return [sum(w[r + j] * a[j] for j in range(len(a))) for r in range(0, len(w), len(a))]
//
//     def show(name, y, h_n):
//         print(f'const {name}: &str = "', end="")
//         for key, array in [("y", y), ("h_n", h_n)]:
//             numbers = [f"{x:.17}" for x in array]
//             for i in range(0, len(numbers), 4):
//                 print("\n    " + (f"{key:4}" if i == 0 else " " * 4), *numbers[i : i + 4], end="")
//         print('";')
//
//     def run(name, I, H, B, T, step):
//         x, h0, y, h_n = v(100, B * T * I), v(101, B * H), [], []
//         for b in range(B):
//             h = h0[b * H :][:H]
//             for t in range(T):
//                 h = step(x[(b * T + t) * I :][:I], h)
//                 y += h
//             h_n += h
//         show(name, y, h_n)
//
//     sigmoid = lambda a: 1 / (1 + exp(-a))
//     add = lambda *arrays: [sum(terms) for terms in zip(*arrays)]
//     times = lambda p, q: [a * b for a, b in zip(p, q)]
//
//     def original(I, H):  # Cho et al. 2014: gates on [h, x], no bias
//         w_r, w_z, w_n = (v(k, H * (H + I)) for k in range(3))
//         def step(x, h):
//             r = [sigmoid(a) for a in product(w_r, h + x)]
//             z = [sigmoid(a) for a in product(w_z, h + x)]
//             n = [tanh(a) for a in product(w_n, times(r, h) + x)]
//             return [(1 - z) * h + z * n for z, h, n in zip(z, h, n)]
//         return step
//
//     def gru(I, H, before, takes):
//         w, u, b, c = v(0, 3 * H * I), v(1, 3 * H * H), v(2, 3 * H), v(3, 3 * H)
//         gate = lambda k, x: add(product(w[k * H * I :][: H * I], x), b[k * H :][:H])
//         recurrent = lambda k, h: add(product(u[k * H * H :][: H * H], h), c[k * H :][:H])
//         def step(x, h):
//             r = [sigmoid(a) for a in add(gate(0, x), recurrent(0, h))]
//             z = [sigmoid(a) for a in add(gate(1, x), recurrent(1, h))]
//             inner = recurrent(2, times(r, h)) if before else times(r, recurrent(2, h))
//             n = [tanh(a) for a in add(gate(2, x), inner)]
//             if takes:
//                 return [(1 - z) * h + z * n for z, h, n in zip(z, h, n)]
//             return [z * h + (1 - z) * n for z, h, n in zip(z, h, n)]
//         return step
//
//     run("ORIGINAL", 3, 2, 2, 3, original(3, 2))
//     run("BEFORE_KEEPS", 2, 3, 2, 3, gru(2, 3, True, False))
//     run("BEFORE_TAKES", 2, 3, 2, 3, gru(2, 3, True, True))
//     run("AFTER_KEEPS", 2, 3, 2, 3, gru(2, 3, False, False))
//     run("AFTER_TAKES", 2, 3, 2, 3, gru(2, 3, False, True))

const ORIGINAL: &str = "
    y    0.21138995184864509 -0.5136316201318325 -0.14064648836469906 -0.14237239122086462
         -0.38794746295887567 0.052691677277050264 -0.27789557618236016 0.62808450829612583
         -0.039111633210481389 0.30122350177861934 -0.11809879388400282 -0.20180161523569307
    h_n  -0.38794746295887567 0.052691677277050264 -0.11809879388400282 -0.20180161523569307";
const BEFORE_KEEPS: &str = "
    y    0.31010369626133588 0.49603868887564023 -0.021789581592498969 0.51387649634096766
         0.51153671928212807 0.50859000916597474 0.32232272098618325 0.73636001318615418
         0.4342221889247474 0.69461938174443705 0.47121314334926101 0.52239460811841032
         0.44431452043865916 0.75864592511843099 0.4548124726519519 0.49130765697919143
         0.75182323879480817 0.53744000423387406
    h_n  0.32232272098618325 0.73636001318615418 0.4342221889247474 0.49130765697919143
         0.75182323879480817 0.53744000423387406";
const BEFORE_TAKES: &str = "
    y    0.22157874639982694 0.37749467570724798 -0.21884392251472637 0.36895072951389518
         0.54512055777484392 -0.090617060942846619 0.12046935838293053 0.77695354188615295
         0.057911018326850076 0.68589539415322553 0.57426602595734744 -0.099654010919476038
         0.10003302854018807 0.75675885826054623 0.066116849327497146 0.26497449967337289
         0.7478699057702265 0.14196771752712703
    h_n  0.12046935838293053 0.77695354188615295 0.057911018326850076 0.26497449967337289
         0.7478699057702265 0.14196771752712703";
const AFTER_KEEPS: &str = "
    y    0.34691705233047587 0.47176580592424472 -0.23139756670890199 0.60720590116106243
         0.35343935703304635 0.38507495616448412 0.54044000613154186 0.66364680372046037
         0.089183059192930819 0.7950280090134425 0.29023991078908579 0.43163363709857516
         0.66539951865085678 0.69942220636804298 0.10601218998854001 0.69961256393310034
         0.59815863154843574 0.32605919111178766
    h_n  0.54044000613154186 0.66364680372046037 0.089183059192930819 0.69961256393310034
         0.59815863154843574 0.32605919111178766";
const AFTER_TAKES: &str = "
    y    0.28520617893178407 0.358036717842663 -0.36106890987229168 0.47744237755631336
         0.095916932110096373 -0.23637831131124998 0.31454083742376782 0.4746996647839844
         -0.17143653292441455 0.79267875185465808 0.2851058206032594 -0.11581138253499654
         0.3412964151235689 0.54368925451436301 -0.11925385128861377 0.50575147100806206
         0.43019502843687529 -0.040581970057269372
    h_n  0.31454083742376782 0.4746996647839844 -0.17143653292441455 0.50575147100806206
         0.43019502843687529 -0.040581970057269372";
