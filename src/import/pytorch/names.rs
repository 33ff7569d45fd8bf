//! Where a stack's tensors stand in a file: `{prefix}weight_ih_l{k}[_reverse]` of the layer classes,
//! `{prefix}weight_ih` of the cell classes.

use crate::error::{Error, Result};
use crate::import::tensors::Tensors;

const OF_A_STACK: &str = "weight_ih_l0";
const OF_A_CELL: &str = "weight_ih";
const PARTS: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

/// Which classes the names are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `nn.GRU`, `nn.LSTM`, `nn.RNN`: layers are numbered.
    Stack,
    /// `nn.GRUCell`, `nn.LSTMCell`, `nn.RNNCell`: one forward layer.
    Cell,
}

/// The names of one stack.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    form: Form,
}

impl Names {
    /// The stack under `prefix`, with or without the dot after it; the only one where none is given.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] for none under the prefix, [`Error::Ambiguous`] for none at all or several.
    pub(super) fn find(tensors: &Tensors<'_>, prefix: Option<&str>) -> Result<Self> {
        let mut found = match prefix {
            None => anywhere(tensors),
            Some(prefix) => under(tensors, prefix)?,
        };
        match found.pop() {
            Some(only) if found.is_empty() => Ok(only),
            last => {
                found.extend(last);
                let what = format!("recurrent stacks (…{OF_A_STACK}, …{OF_A_CELL})");
                Err(Error::Ambiguous {
                    what: format!("{what} in {}, name one by its prefix", tensors.source()),
                    found: found.iter().map(Self::listed).collect(),
                })
            }
        }
    }

    fn listed(&self) -> String {
        match self.form {
            Form::Stack => format!("\"{}\"", self.prefix),
            Form::Cell => format!("\"{}\" (a cell)", self.prefix),
        }
    }

    /// Whether the names have no room for more than one forward layer.
    pub(super) fn is_cell(&self) -> bool {
        self.form == Form::Cell
    }

    /// The name of a part, `weight_ih` say, of a layer; `end` is empty or `_reverse`.
    pub(super) fn of(&self, part: &str, layer: usize, end: &str) -> String {
        match self.form {
            Form::Stack => format!("{}{part}_l{layer}{end}", self.prefix),
            Form::Cell => format!("{}{part}", self.prefix),
        }
    }

    /// Whether a tensor's name is one that a part of this stack would have, in any layer.
    pub(super) fn is_part(&self, name: &str) -> bool {
        PARTS.iter().any(|part| self.is_of(part, name))
    }

    /// Whether any layer has a `weight_hr`.
    pub(super) fn project(&self, tensors: &Tensors<'_>) -> bool {
        tensors.names().any(|name| self.is_of("weight_hr", name))
    }

    fn is_of(&self, part: &str, name: &str) -> bool {
        let end = if self.is_cell() { "" } else { "_l" };
        name.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with(&format!("{part}{end}")))
    }
}

fn anywhere(tensors: &Tensors<'_>) -> Vec<Names> {
    let of = |name: &str| {
        let (prefix, form) = match (name.strip_suffix(OF_A_STACK), name.strip_suffix(OF_A_CELL)) {
            (Some(prefix), _) => (prefix, Form::Stack),
            (_, Some(prefix)) => (prefix, Form::Cell),
            _ => return None,
        };
        Some(Names { prefix: prefix.into(), form })
    };
    tensors.names().filter_map(of).collect()
}

fn under(tensors: &Tensors<'_>, prefix: &str) -> Result<Vec<Names>> {
    let dotted = format!("{prefix}.");
    for prefix in [prefix, &dotted] {
        let has = |first| tensors.has(&format!("{prefix}{first}"));
        let forms = [(OF_A_STACK, Form::Stack), (OF_A_CELL, Form::Cell)];
        let found = forms.into_iter().filter(|(first, _)| has(*first));
        let found: Vec<Names> = found.map(|(_, form)| Names { prefix: prefix.into(), form }).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let prefix = if prefix.is_empty() || prefix.ends_with('.') { prefix } else { &dotted };
    Err(tensors.missing(&format!("{prefix}{OF_A_STACK}")))
}
