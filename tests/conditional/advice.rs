//! Runs the line of Python in the error for a `.pt` file. Needs a Python with torch and safetensors, in
//! `WGRU_TORCH_PYTHON` or as `python3`.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use wgru::import::PyTorch;

use crate::{Found, trial};

/// Typical checkpoints, each of one nn.GRU(2, 3); the last three hold more than weights.
const CHECKPOINTS: &str = "
import sys, torch
d = sys.argv[1]
g = torch.nn.GRU(2, 3)
w = g.state_dict()
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(2, 3)
    def forward(self, x: torch.Tensor):
        return self.gru(x)[0]
net = Net()
net.gru.load_state_dict(w)
save = lambda name, what: torch.save(what, f'{d}/{name}.pt')
save('plain', w)
save('dict', dict(w))
torch.save(w, f'{d}/old.pt', _use_new_zipfile_serialization=False)
save('state_dict', {'epoch': 3, 'state_dict': net.state_dict(), 'optimizer': torch.optim.Adam(net.parameters()).state_dict()})
save('model', {'step': torch.tensor(3), 'model': net.state_dict()})
save('other', {'step': torch.tensor(3), 'net': net.state_dict(), 'args': None})
save('mixed', {**w, 'epoch': 3, 'name': 'x', 'fc.weight': w['weight_hh_l0'].t()[:1]})
save('shared', {**w, 'fc.weight': w['weight_ih_l0']})
save('module', g)
save('module_key', {'model': g, 'epoch': 3})
torch.jit.script(net).save(f'{d}/script.pt')
w = {k: v.numpy().ravel().tolist() for k, v in w.items()}
import json; json.dump(w, open(f'{d}/weights.json', 'w'))
";

pub fn trials() -> Vec<Trial> {
    vec![trial(
        "advice::the_advised_line_converts_what_torch_saves",
        python,
        the_advised_line_converts_what_torch_saves,
    )]
}

fn python() -> Found<String> {
    let python = std::env::var("WGRU_TORCH_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import torch, safetensors.torch, numpy"]).output();
    let has = has.is_ok_and(|output| output.status.success());
    has.then_some(python).ok_or_else(|| "no Python with torch, safetensors and numpy".into())
}

fn run(python: &str, line: &str, folder: &Path) -> bool {
    let line = line.strip_prefix("python ").expect("a line of Python");
    let output = Command::new("sh").arg("-c").arg(format!("'{python}' {line}")).current_dir(folder).output();
    let output = output.expect("a shell");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

fn the_advised_line_converts_what_torch_saves(python: String) {
    let folder = std::env::temp_dir().join(format!("wgru-advice-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    // TorchScript reads the source, so it is in a file.
    std::fs::write(folder.join("save.py"), CHECKPOINTS).expect("it can be written");
    let saved = Command::new(&python).arg(folder.join("save.py")).arg(&folder).output().expect("Python");
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    let weights = std::fs::read(folder.join("weights.json")).expect("it was written");
    let weights: serde_json::Value = serde_json::from_slice(&weights).expect("JSON");
    // By name: which of the lines works, and whether the message says that it runs the file's code.
    for (name, which, words) in [
        ("plain", 0, "weights_only=True"),
        ("dict", 0, "weights_only=True"),
        ("old", 0, "weights_only=True"),
        ("state_dict", 0, "weights_only=True"),
        ("model", 0, "weights_only=True"),
        ("other", 0, "weights_only=True"),
        ("mixed", 0, "weights_only=True"),
        ("shared", 0, "weights_only=True"),
        ("module", 0, "weights_only=False"),
        ("module_key", 0, "weights_only=False"),
        ("script", 0, "torch.jit.load"),
    ] {
        let file = folder.join(format!("{name}.pt"));
        let source = format!("{name}.pt");
        let error = PyTorch::new().parse(&source, &std::fs::read(&file).expect("it was written"));
        let text = error.expect_err("no safetensors").to_string();
        let line = text.lines().filter(|line| line.starts_with("python -c")).nth(which).expect("a line");
        assert!(line.contains(words), "{name}: {text}");
        assert!(run(&python, line, &folder), "{name}: {line}");
        let imported = PyTorch::new().read(folder.join(format!("{name}.safetensors")));
        let imported = imported.unwrap_or_else(|error| panic!("{name}: {error}"));
        let w_hh: Vec<f32> = serde_json::from_value(weights["weight_hh_l0"].clone()).expect("the numbers");
        assert_eq!(imported.model.layers()[0].weights()[0].w_hh, w_hh, "{name}");
    }
    std::fs::remove_dir_all(&folder).expect("it was made");
}
