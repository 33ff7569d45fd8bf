//! The examples at the end of each command's help.

pub const ALL: &str = "\
Examples:
  wgru forecast                                    a small trained model on a series, plotted
  wgru run model.safetensors --input x.npz         a model on a file of sequences
  wgru bench --quick                               recurrent layers on every device of this machine
  wgru run --help                                  the options of a command, with examples

Exit status: 0 done, 1 a verification failed, 2 an error.";

pub const DEVICES: &str = "\
Examples:
  wgru devices
  wgru devices --json                              for a report of a fault";

pub const RUN: &str = "\
Examples:
  wgru run model.safetensors --input x.npz --output y.npz
  wgru run model.onnx --node /lstm/LSTM --input x.safetensors --output y.safetensors
  wgru run model.keras --layer gru_1,gru_2 --readout dense --input x.npy --output y.npz
  wgru run model.safetensors --input series.csv --columns temperature --window 48
  wgru run model.safetensors --input x.npz --device vulkan --weights f16 --verify
  gunzip -c x.npz.gz | wgru run model.safetensors --input - --output - > y.npz";

pub const EXPORT: &str = "\
Examples:
  wgru export model.keras model.safetensors
  wgru export model.safetensors model.onnx --with-lengths --with-states";

pub const BENCH: &str = "\
A case is CELL-bB-tT-iI-hH (gru, lstm or rnn; B sequences of T steps, I
features, H units), and then, in this order, any of:
  -l2            two layers
  -bi            both directions
  -before        a GRU that resets before the product
  -ragged        sequences of different lengths
  -f16, -bf16    weights and activations in 16 bits
  -wf16, -wbf16  weights alone in 16 bits

Examples:
  wgru bench --quick                               a few small cases, on every device
  wgru bench --case gru-b16-t100-i256-h256         one case
  wgru bench --device cpu --threads 1 --suite real layers of published models, one thread
  wgru bench --json mine.jsonl --html report.html  records, and a report for a browser
  wgru bench --compare before.jsonl after.jsonl    what became slower or faster
  wgru bench --suite stream --streams 500          pools in real time";

pub const COMPARE: &str = "\
Examples:
  wgru compare
  wgru compare --hidden 128 --device cpu:1
  wgru compare --hidden 64 --input 8 --json mine.jsonl";

pub const EXPLAIN: &str = "\
Examples:
  wgru explain gru-b16-t100-i256-h256
  wgru explain model.safetensors --batch 16 --steps 100 --device vulkan";

pub const TUNE: &str = "\
Examples:
  wgru tune --device vulkan --output mine.txt      measure, then:
  wgru explain gru-b16-t100-i256-h256 --device vulkan --speed mine.txt";

pub const FORECAST: &str = "\
Examples:
  wgru forecast
  wgru forecast --device vulkan --verify --plot forecast.svg";

pub const G2P: &str = "\
Examples:
  wgru g2p hello knight
  wgru g2p --file words.txt --output spoken.txt    one word a line
  wgru g2p --file words.txt --beam 5 --json        five hypotheses for each word";

pub const COMPLETIONS: &str = "\
Examples:
  wgru completions bash > ~/.local/share/bash-completion/completions/wgru
  wgru completions zsh > ~/.zfunc/_wgru
  wgru completions fish > ~/.config/fish/completions/wgru.fish";

pub const MAN: &str = "\
Examples:
  wgru man ~/.local/share/man/man1";

pub const REPORT: &str = "\
It takes a minute or more. The file has devices with their limits and drivers,
self-tests and figures; no paths, and no names of you or your machine.

Examples:
  wgru report
  wgru report --output mine.json";
