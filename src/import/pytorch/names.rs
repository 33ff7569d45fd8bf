//! The names of a stack's tensors in a file: `{prefix}weight_ih_l{k}[_reverse]` for the layer classes,
//! `{prefix}weight_ih` for the cell classes.

use std::collections::BTreeSet;

use super::stored;
use crate::error::{Error, Result, listed};
use crate::import::Report;
use crate::import::tensors::Tensors;

const OF_A_STACK: &str = "weight_ih_l0";
const OF_A_CELL: &str = "weight_ih";
const PARTS: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

/// Wrappers of a module that add their own name to the tensors': DataParallel and `DistributedDataParallel`,
/// `torch.compile`, and the usual name for the model in a Lightning module or checkpoint.
const WRAPPERS: [&str; 3] = ["module", "_orig_mod", "model"];

/// The kind of classes that the names are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// `nn.GRU`, `nn.LSTM`, `nn.RNN`: layers are numbered.
    Stack,
    /// `nn.GRUCell`, `nn.LSTMCell`, `nn.RNNCell`: one forward layer.
    Cell,
}

/// The names of one stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Names {
    prefix: String,
    form: Form,
}

impl Names {
    /// The stack under `prefix`, with or without the dot after it and the names of wrappers; without a `prefix`, the
    /// only stack.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] for none under the prefix, [`Error::Ambiguous`] for none at all or several.
    pub(super) fn find(tensors: &Tensors<'_>, prefix: Option<&str>, report: &mut Report) -> Result<Self> {
        let all = anywhere(tensors);
        let mut found = match prefix {
            None => all,
            Some(prefix) => under(tensors, all, prefix)?,
        };
        let what = format!("recurrent stacks (…{OF_A_STACK}, …{OF_A_CELL}) in {}", tensors.source());
        match found.pop() {
            None => {
                let names: Vec<&str> = tensors.names().collect();
                let there = if names.is_empty() { "no tensors".into() } else { listed(&names) };
                Err(Error::Ambiguous { what: format!("{what}, which has {there}"), found: Vec::new() })
            }
            Some(only) if found.is_empty() => {
                if let Some(prefix) = prefix.filter(|prefix| !only.is_at(prefix)) {
                    report.decisions.push(format!("prefix \"{}\" for \"{prefix}\"", only.prefix));
                }
                Ok(only)
            }
            Some(last) => {
                found.push(last);
                Err(Error::Ambiguous {
                    what: format!("{what}, name one by its prefix"),
                    found: found.iter().map(Self::shown).collect(),
                })
            }
        }
    }

    fn shown(&self) -> String {
        match self.form {
            Form::Stack => format!("\"{}\"", self.prefix),
            Form::Cell => format!("\"{}\" (a cell)", self.prefix),
        }
    }

    /// Whether `prefix` is this stack's, with or without its dot.
    fn is_at(&self, prefix: &str) -> bool {
        let rest = self.prefix.strip_prefix(prefix);
        rest == Some("") || (rest == Some(".") && !prefix.is_empty())
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the names allow only one forward layer.
    pub(super) fn is_cell(&self) -> bool {
        self.form == Form::Cell
    }

    /// The name of a part, such as `weight_ih`, of a layer, below the prefix; `end` is empty or `_reverse`.
    pub(super) fn leaf(&self, part: &str, layer: usize, end: &str) -> String {
        match self.form {
            Form::Stack => format!("{part}_l{layer}{end}"),
            Form::Cell => part.into(),
        }
    }

    /// [`Names::leaf`] with the prefix.
    pub(super) fn of(&self, part: &str, layer: usize, end: &str) -> String {
        format!("{}{}", self.prefix, self.leaf(part, layer, end))
    }

    /// Whether a name below the prefix is that of a part of this stack, in any layer.
    pub(super) fn is_part(&self, leaf: &str) -> bool {
        PARTS.iter().any(|part| match (self.form, leaf.strip_prefix(part)) {
            (_, None) => false,
            (Form::Cell, Some(rest)) => ["", "_reverse"].contains(&rest),
            (Form::Stack, Some(rest)) => rest.strip_prefix("_l").is_some_and(|rest| {
                let number = rest.strip_suffix("_reverse").unwrap_or(rest);
                number.bytes().all(|digit| digit.is_ascii_digit())
            }),
        })
    }

    /// Whether a name below another module's prefix is that of a further copy of a part: `weight_hh_l0_raw`.
    pub(super) fn is_copy(&self, leaf: &str) -> bool {
        let is_after = |rest: &str| match self.form {
            Form::Stack => {
                rest.strip_prefix("_l").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            }
            Form::Cell => rest.starts_with('_'),
        };
        PARTS.iter().any(|part| leaf.strip_prefix(part).is_some_and(is_after)) && !self.is_part(leaf)
    }

    /// Whether any layer has a `weight_hr`.
    pub(super) fn project(&self, tensors: &Tensors<'_>) -> bool {
        let below = |name: &str| {
            let leaf = name.strip_prefix(&self.prefix)?;
            Some(leaf.strip_prefix(stored::PARAMETRIZATIONS).unwrap_or(leaf).starts_with("weight_hr"))
        };
        tensors.names().any(|name| below(name) == Some(true))
    }
}

/// Every stack of the file, found by its first weight.
pub(super) fn anywhere(tensors: &Tensors<'_>) -> Vec<Names> {
    let of = |name: &str| {
        let (prefix, leaf) = stored::origin(name);
        let (prefix, form) = match (prefix, leaf.strip_suffix(OF_A_STACK), leaf.strip_suffix(OF_A_CELL)) {
            (prefix, Some(start), _) => (format!("{prefix}{start}"), Form::Stack),
            (prefix, _, Some(start)) => (format!("{prefix}{start}"), Form::Cell),
            _ => return None,
        };
        Some(Names { prefix, form })
    };
    // `extend` inserts. `collect` sorts first, which is a kilobyte of code more in WebAssembly.
    let mut found = BTreeSet::new();
    found.extend(tensors.names().filter_map(of));
    found.into_iter().collect()
}

/// The stacks at a prefix, else those at it without the names of wrappers.
///
/// # Errors
/// [`Error::MissingTensor`] for none.
fn under(tensors: &Tensors<'_>, all: Vec<Names>, prefix: &str) -> Result<Vec<Names>> {
    let exact: Vec<Names> = all.iter().filter(|names| names.is_at(prefix)).cloned().collect();
    if !exact.is_empty() {
        return Ok(exact);
    }
    let dot = if prefix.is_empty() || prefix.ends_with('.') { "" } else { "." };
    let dotted = format!("{prefix}{dot}");
    let bare = unwrapped(&dotted);
    let found: Vec<Names> = all.into_iter().filter(|names| unwrapped(&names.prefix) == bare).collect();
    if found.is_empty() {
        return Err(tensors.missing(&format!("{dotted}{OF_A_STACK}")));
    }
    Ok(found)
}

/// A module's path without the names of wrappers around it or around a module on the way to it:
/// `module.rnn._orig_mod.` is `rnn.`. The wrapper name `model` is removed at the beginning alone.
pub(super) fn unwrapped(path: &str) -> String {
    let parts = path.split('.').skip_while(|part| WRAPPERS.contains(part));
    parts.filter(|part| *part == "model" || !WRAPPERS.contains(part)).collect::<Vec<_>>().join(".")
}

/// The `nn.Linear` by its name, or by its name without those of wrappers.
///
/// # Errors
/// [`Error::MissingTensor`] for none, [`Error::Ambiguous`] for several.
pub(super) fn linear(tensors: &Tensors<'_>, name: &str, report: &mut Report) -> Result<String> {
    let bare = unwrapped(name);
    let module = |tensor: &str| {
        let (prefix, leaf) = stored::origin(tensor);
        format!("{prefix}{leaf}").strip_suffix(".weight").map(str::to_owned)
    };
    let mut found = BTreeSet::new();
    found.extend(tensors.names().filter_map(module));
    if found.contains(name) {
        return Ok(name.into());
    }
    let mut found: Vec<String> = found.into_iter().filter(|path| unwrapped(path) == bare).collect();
    match found.pop() {
        None => Err(tensors.missing(&format!("{name}.weight"))),
        Some(only) if found.is_empty() => {
            report.decisions.push(format!("readout \"{only}\" for \"{name}\""));
            Ok(only)
        }
        Some(last) => {
            found.push(last);
            let what = format!("layers that \"{name}\" can name in {}, name one in full", tensors.source());
            Err(Error::Ambiguous { what, found })
        }
    }
}
