//! Finds tensors that belong to the stack but that PyTorch's own classes do not have: they make the module another
//! cell.
//!
//! A module's tensors are those under its prefix. So every tensor under the stack's own prefix that is not part of
//! its layers is refused: further parameters of the module (`cell.bias_c`, `cell.weight_ch`) and those of its
//! submodules (`cell.layernorm_h.weight`). If the stack is the file's outermost module, or has only a wrapper around
//! it, other layers of the model have the same prefix (`fc.weight` beside `weight_ih_l0`). There, a submodule with a
//! matrix is another layer; a submodule with vectors alone belongs to the cell, as norms do.
//!
//! Copies beside the module belong to it too: AWD-LSTM keeps a weight before its dropout, `rnn.weight_hh_l0_raw`,
//! beside `rnn.module.weight_hh_l0`, which is one sample of that dropout.

use std::collections::HashSet;

use super::names::{Names, anywhere, unwrapped};
use super::stored::PARAMETRIZATIONS;
use crate::error::{Error, Result, listed};
use crate::import::tensors::Tensors;

/// # Errors
/// [`Error::Format`] for a layer above a gap, [`Error::Unsupported`] for tensors that make the stack another cell.
pub(super) fn refuse_others(tensors: &Tensors<'_>, names: &Names, left_over: &[String]) -> Result<()> {
    let prefix = names.prefix();
    let bare = unwrapped(prefix).is_empty();
    // The modules directly under the prefix that have a matrix.
    let layers: HashSet<&str> = match bare {
        true => tensors.names().filter_map(|name| layer(tensors, prefix, name)).collect(),
        false => HashSet::new(),
    };
    let mut others = Vec::new();
    let mut beside = Vec::new();
    for name in left_over {
        let Some(leaf) = name.strip_prefix(prefix) else {
            beside.push(name);
            continue;
        };
        if names.is_part(leaf) {
            let reason = "belongs to the stack but to none of its layers; a layer below it is missing";
            return Err(Error::format(name.clone(), reason));
        }
        let is_layer = leaf.split_once('.').is_some_and(|(module, _)| layers.contains(module));
        if !is_layer {
            others.push(name);
        }
    }
    if !others.is_empty() {
        let module = match prefix {
            "" => "the module of the recurrent weights itself".into(),
            prefix => format!("the module \"{}\"", prefix.trim_end_matches('.')),
        };
        let what = format!(
            "{}: in {module}, and no cell of PyTorch has them, so this is another cell; save another layer under \
             another prefix, and name a Linear after the stack as the readout",
            listed(&others)
        );
        return Err(Error::Unsupported { what });
    }
    refuse_copies(tensors, names, &beside)
}

/// The module directly under the prefix that contains a matrix.
fn layer<'a>(tensors: &Tensors<'_>, prefix: &str, name: &'a str) -> Option<&'a str> {
    let (module, _) = name.strip_prefix(prefix)?.split_once('.')?;
    let is_matrix = tensors.shape(name).is_ok_and(|shape| shape.len() > 1);
    (is_matrix && module != PARAMETRIZATIONS.trim_end_matches('.')).then_some(module)
}

/// `a.b.c` as `a.b.` and `c`.
fn module_and_leaf(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('.').map_or(0, |dot| dot + 1))
}

/// Copies of the stack's weights in the modules around it, unless those have a stack of their own.
///
/// # Errors
/// [`Error::Unsupported`] with their names.
fn refuse_copies(tensors: &Tensors<'_>, names: &Names, beside: &[&String]) -> Result<()> {
    let around = |name: &&&String| {
        let (module, leaf) = module_and_leaf(name);
        names.prefix().starts_with(module) && names.is_copy(leaf)
    };
    let mut copies: Vec<&String> = beside.iter().filter(around).copied().collect();
    if copies.is_empty() {
        return Ok(());
    }
    let stacks = anywhere(tensors);
    let stacks: HashSet<&str> = stacks.iter().map(Names::prefix).collect();
    copies.retain(|name| !stacks.contains(module_and_leaf(name).0));
    match copies.is_empty() {
        true => Ok(()),
        false => Err(Error::Unsupported {
            what: format!(
                "{}: beside the module \"{}\", a second copy of its weights; save the weights that it runs with, and \
                 no copy",
                listed(&copies),
                names.prefix().trim_end_matches('.')
            ),
        }),
    }
}
