//! The names of nodes.

use crate::proto::NodeProto;

/// Whether the node is of ONNX's own domain.
pub(super) fn is_of_onnx(node: &NodeProto) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx")
}

/// The name of a node in errors: `GRU node "encoder"`.
pub(super) fn label_of(node: &NodeProto) -> String {
    format!("{} node \"{}\"", node.op_type, name_of(node))
}

/// A node's name as `--node` takes it: its name, else its first output, else its operator.
pub(super) fn name_of(node: &NodeProto) -> &str {
    let output = node.output.iter().map(String::as_str).find(|name| !name.is_empty());
    if node.name.is_empty() { output.unwrap_or(&node.op_type) } else { &node.name }
}
