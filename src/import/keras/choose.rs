//! Finds the layers that the caller names, and lists the contents of a file that lacks them.

use std::collections::HashMap;

use serde_json::Value;

use super::container::File;
use super::graph::{Graph, Node};
use super::spec::Dense;
use super::weights::Finder;
use crate::error::{Error, Result};

/// The number of layers whose sizes a message gives: those that it lists.
const SHOWN: usize = 20;

/// The indices of the layers with these names, or of the only recurrent one.
///
/// # Errors
/// [`Error::Ambiguous`] for none or several, with a list of those found; [`Error::Unsupported`] for a class that
/// another package registered.
pub(super) fn layers(names: &[String], source: &str, file: &File, graph: &Graph<'_>) -> Result<Vec<usize>> {
    let all = || graph.nodes.iter().enumerate();
    let recurrent: Vec<usize> =
        all().filter(|(_, node)| node.is_recurrent()).map(|(place, _)| place).collect();
    let listed = |what: String| Error::Ambiguous { what, found: describe_all(file, graph, &recurrent) };
    if names.is_empty() {
        return match recurrent[..] {
            [only] => Ok(vec![only]),
            [] => match all().find_map(|(_, node)| foreign(node)) {
                Some(error) => Err(error),
                None => Err(nothing_like(format!("no recurrent layer of Keras in {source}"), graph)),
            },
            _ => Err(listed(format!("recurrent layers in {source}, name one or those of a stack"))),
        };
    }
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, node) in all() {
        by_name.entry(&node.name).or_default().push(place);
    }
    let find = |name: &String| {
        let found = by_name.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        match found {
            [place] if graph.node(*place).is_recurrent() => Ok(*place),
            [place] => Err(foreign(graph.node(*place)).unwrap_or_else(|| {
                let class = &graph.node(*place).class;
                listed(format!("\"{name}\" in {source} is a {class} layer, not a recurrent one"))
            })),
            [] if recurrent.is_empty() => {
                Err(nothing_like(format!("no layer \"{name}\" in {source}"), graph))
            }
            _ => Err(listed(format!("one recurrent layer \"{name}\" in {source}"))),
        }
    };
    names.iter().map(find).collect()
}

/// The index of a Dense by its name.
///
/// # Errors
/// [`Error::Ambiguous`] for none, with a list of the layers.
pub(super) fn readout(name: &str, source: &str, graph: &Graph<'_>) -> Result<usize> {
    let dense = || graph.nodes.iter().enumerate().filter(|(_, node)| Dense::is(node));
    if let Some((place, _)) = dense().find(|(_, node)| node.name == name) {
        return Ok(place);
    }
    let what = format!("a Dense layer \"{name}\", or a TimeDistributed of one, in {source}");
    let found: Vec<String> = dense().map(|(_, node)| node.name.clone()).collect();
    if found.is_empty() { Err(nothing_like(what, graph)) } else { Err(Error::Ambiguous { what, found }) }
}

/// Lists every layer, if none is of the wanted kind.
fn nothing_like(what: String, graph: &Graph<'_>) -> Error {
    let layers = graph.nodes.iter().filter(|node| !node.is_model() && node.class != "InputLayer");
    Error::Ambiguous { what, found: layers.map(Node::label).collect() }
}

/// An error if a layer, or the layer it wraps, is of a class that another package registered under the name of a
/// Keras class.
fn foreign(node: &Node<'_>) -> Option<Error> {
    let wrapped = node.wrapped("layer").map(|(class, _)| class);
    let class =
        [Some(node.class.clone()), wrapped].into_iter().flatten().find(|class| class.contains('>'))?;
    let bare = class.rsplit('>').next().unwrap_or_default();
    if !["GRU", "LSTM", "SimpleRNN", "RNN", "Bidirectional"].contains(&bare) {
        return None;
    }
    let what = format!("class {class} of layer \"{}\": another package's, not Keras' own {bare}", node.name);
    Some(Error::Unsupported { what })
}

fn describe_all(file: &File, graph: &Graph<'_>, places: &[usize]) -> Vec<String> {
    let shown = places.get(..SHOWN).unwrap_or(places);
    let finder = Finder::new(file, graph, shown).ok();
    let describe = |(index, place): (usize, &usize)| {
        describe(finder.as_ref().filter(|_| index < SHOWN), graph.node(*place), *place)
    };
    places.iter().enumerate().map(describe).collect()
}

/// `gru_1: GRU forward [1→64]`, with its sizes if they can be read.
fn describe(finder: Option<&Finder<'_, '_>>, node: &Node<'_>, place: usize) -> String {
    let (class, config, bidirectional) = match node.wrapped("layer") {
        Some((class, config)) => (class, config, true),
        None => (node.class.clone(), node.config, false),
    };
    let direction = match (bidirectional, config.get("go_backwards")) {
        (true, _) => "bidirectional",
        (false, Some(Value::Bool(true))) => "reverse",
        _ => "forward",
    };
    let units = config.get("units").or_else(|| config.get("output_dim")).and_then(Value::as_u64);
    let units = units.map_or("?".to_owned(), |units| units.to_string());
    let input = finder.and_then(|finder| finder.kernel_shape(place, if bidirectional { 2 } else { 1 }));
    let input = input.and_then(|shape| shape.first().copied()).map_or("?".to_owned(), |i| i.to_string());
    format!("{}: {class} {direction} [{input}→{units}]", node.name)
}
