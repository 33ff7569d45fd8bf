//! The LSTM with a projection, as in PyTorch.

use wgru::{Cell, Direction, Layer, Model, Weights};

use super::{Case, v};

/// `nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True)`; the projection of direction d of layer l is tensor 200 + l·D + d.
fn model() -> Model {
    let (hidden, state, dirs) = (4, 2, 2);
    let rows = 4 * hidden;
    let layer = |index: usize| {
        let input = if index == 0 { 3 } else { dirs * state };
        let weights = |k: usize| Weights {
            w_ih: v(4 * k, rows * input),
            w_hh: v(4 * k + 1, rows * state),
            b_ih: Some(v(4 * k + 2, rows)),
            b_hh: Some(v(4 * k + 3, rows)),
            w_hr: Some(v(200 + k, state * hidden)),
            ..Weights::default()
        };
        let weights = (index * dirs..(index + 1) * dirs).map(weights).collect();
        Layer::new(Cell::LSTM, Direction::Bidirectional, input, hidden, weights).expect("sizes fit")
    };
    Model::new((0..2).map(layer).collect()).expect("layers fit")
}

#[test]
fn lstm_with_projection_matches_pytorch() {
    Case::of(model(), 2, 3).agrees_with(LSTM_WITH_PROJECTION);
}

// PyTorch 2.15 in float64. The constant is what this prints after the script of `tests/numbers/reference.rs`:
//
//     net = LSTM(3, 4, 2, proj_size=2, batch_first=True, bidirectional=True)
//     for l in range(2):
//         for d, end in enumerate(["", "_reverse"]):
//             for k, part in enumerate(["weight_ih", "weight_hh", "bias_ih", "bias_hh"]):
//                 p = getattr(net, f"{part}_l{l}{end}")
//                 p.data = v(4 * (l * 2 + d) + k, *p.shape)
//             getattr(net, f"weight_hr_l{l}{end}").data = v(200 + l * 2 + d, 2, 4)
//     x, h0, c0 = v(100, 2, 3, 3), v(101, 4, 2, 2), v(102, 4, 2, 4)
//     with torch.no_grad():
//         y, (h_n, c_n) = net(x, (h0, c0))
//     show("LSTM_WITH_PROJECTION", y=y, h_n=h_n, c_n=c_n)

const LSTM_WITH_PROJECTION: &str = "
    y    -0.10531697486191301 -0.11916375908542302 0.26124659449740473 0.20294953919523639
         -0.17003620751662288 -0.18355349872416765 0.30642735506716356 0.24952206833786314
         -0.17858694767367769 -0.19774480543006534 0.36718406351325067 0.32201109101379299
         -0.1698909748749578 -0.18032993946825659 0.2383549949412139 0.17670391076460307
         -0.10718384989041761 -0.1145727452337842 0.31528759601670875 0.25273011958509123
         -0.13547559738594772 -0.14922256256978256 0.2527335347366873 0.21414104791020419
    h_n  0.09614721482040485 0.071661856671237978 -0.20664961744983878 -0.20179399592568736
         -0.54319851889821313 -0.66239760903611344 -0.33220513569759486 -0.40071782267132389
         -0.17858694767367769 -0.19774480543006534 -0.13547559738594772 -0.14922256256978256
         0.26124659449740473 0.20294953919523639 0.2383549949412139 0.17670391076460307
    c_n  0.53733736951996214 -0.15923885935653567 -0.037577628908307847 0.1234294952498098
         -0.12742280535135689 -0.59658676372736685 0.042572199259485924 0.21190997264049258
         0.77477987566975404 -0.46562099177998806 0.17933319936429212 0.71451204586460704
         0.39338154524063279 -0.67329073470943801 0.37244603040173552 0.49974578891531529
         1.0138419924389508 -0.073386286620380575 -0.56300624047265846 -0.52006980232679523
         0.9471724045507659 -0.15391823310510042 -0.55979709261931632 -0.57478913197875958
         0.42636607987197017 0.41714179353434 -0.60154257163500202 0.52163517142320581
         0.36327048233415982 0.4110265300804169 -0.36468497497245844 0.61839710956083116";
