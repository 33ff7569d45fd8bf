//! How a layer is called: on which tensors, with which initial state and which mask.
//!
//! ```text
//! Keras 1, 2   [[["x", 0, 0, {…}], ["h", 0, 1, {}]], …]    one list for each call; a recurrent layer's is x, then states
//! Keras 3      [{"args": [tensor, …], "kwargs": {"initial_state": …, "mask": …}}, …]
//! tensor       {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
//! ["x", 0, 1]  of the layer x the first call's second output
//! ```

use serde_json::{Map, Value};

/// A tensor, as the layer that outputs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// The layer's own name; empty in a sequence of layers without names.
    pub(super) name: &'a str,
    /// Its index among the graph's nodes, once all layers are known; `None` for a layer that the graph lacks.
    pub(super) node: Option<usize>,
    pub(super) output: usize,
}

/// The mask of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mask<'a> {
    /// The file does not say: the mask is that of x.
    Unsaid,
    /// Keras 3 recorded that there is none.
    Absent,
    Of(Source<'a>),
}

/// One call of a layer.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) x: Vec<Source<'a>>,
    pub(super) states: Vec<Source<'a>>,
    /// Whether the configuration holds the initial state itself.
    pub(super) constant_state: bool,
    pub(super) mask: Mask<'a>,
}

impl<'a> Call<'a> {
    /// A call on the previous layer of a sequential model.
    pub(super) fn on(node: usize) -> Self {
        Self::new(vec![Source { name: "", node: Some(node), output: 0 }])
    }

    fn new(x: Vec<Source<'a>>) -> Self {
        Self { x, states: Vec::new(), constant_state: false, mask: Mask::Unsaid }
    }

    /// The calls in `inbound_nodes`. For a recurrent layer, the tensors after x are its initial state.
    pub(super) fn read(inbound: &'a Value, recurrent: bool) -> Vec<Self> {
        let calls = inbound.as_array().map_or(&[][..], Vec::as_slice);
        calls.iter().map(|call| Self::read_one(call, recurrent)).collect()
    }

    fn read_one(call: &'a Value, recurrent: bool) -> Self {
        let none = || Self::new(Vec::new());
        if let Some(args) = call.get("args").and_then(Value::as_array) {
            let mut this = none();
            let kwargs = call.get("kwargs").and_then(Value::as_object);
            for (place, arg) in args.iter().enumerate() {
                match (recurrent, place) {
                    (true, 1) => this.set_state(arg),
                    (true, 2) => this.set_mask(arg),
                    _ => tensors(arg, &mut this.x, None),
                }
            }
            kwargs.into_iter().for_each(|kwargs| this.keywords(kwargs, recurrent));
            // A call on several tensors has no mask unless it is given one.
            if !this.states.is_empty() && matches!(this.mask, Mask::Unsaid) {
                this.mask = Mask::Absent;
            }
            return this;
        }
        let mut this = none();
        let mut keywords = Vec::new();
        tensors(call, &mut this.x, Some(&mut keywords));
        if recurrent {
            this.states = this.x.split_off(this.x.len().min(1));
        }
        keywords.into_iter().for_each(|kwargs| this.keywords(kwargs, recurrent));
        // Keras 1 and 2 do not record that a mask is absent.
        if matches!(this.mask, Mask::Absent) {
            this.mask = Mask::Unsaid;
        }
        this
    }

    fn keywords(&mut self, kwargs: &'a Map<String, Value>, recurrent: bool) {
        for (key, value) in kwargs {
            match key.as_str() {
                "mask" => self.set_mask(value),
                "initial_state" if recurrent => self.set_state(value),
                _ => tensors(value, &mut self.x, None),
            }
        }
    }

    fn set_state(&mut self, value: &'a Value) {
        let before = self.states.len();
        tensors(value, &mut self.states, None);
        self.constant_state |= !value.is_null() && self.states.len() == before;
    }

    fn set_mask(&mut self, value: &'a Value) {
        let mut found = Vec::new();
        tensors(value, &mut found, None);
        self.mask = found.first().map_or(Mask::Absent, |source| Mask::Of(*source));
    }

    /// Every tensor of the call.
    pub(super) fn sources_mut(&mut self) -> impl Iterator<Item = &mut Source<'a>> {
        let mask = match &mut self.mask {
            Mask::Of(source) => Some(source),
            Mask::Unsaid | Mask::Absent => None,
        };
        self.x.iter_mut().chain(&mut self.states).chain(mask)
    }
}

/// The tensors within `value`, in order; keyword arguments after them are added to `keywords`.
fn tensors<'a>(
    value: &'a Value,
    found: &mut Vec<Source<'a>>,
    mut keywords: Option<&mut Vec<&'a Map<String, Value>>>,
) {
    match value {
        Value::Array(items) => match &items[..] {
            [Value::String(name), Value::Number(_), Value::Number(output), rest @ ..] => {
                let output = output.as_u64().and_then(|output| usize::try_from(output).ok()).unwrap_or(0);
                found.push(Source { name, node: None, output });
                if let (Some(keywords), [Value::Object(more), ..]) = (keywords, rest) {
                    keywords.push(more);
                }
            }
            items => items.iter().for_each(|item| tensors(item, found, keywords.as_deref_mut())),
        },
        Value::Object(fields) => {
            fields.values().for_each(|field| tensors(field, found, keywords.as_deref_mut()));
        }
        _ => {}
    }
}

/// The inputs or outputs of a model: `[["x", 0, 0], …]`, or one alone.
pub(super) fn ports<'a>(config: &'a Map<String, Value>, key: &str) -> Vec<Source<'a>> {
    let mut found = Vec::new();
    if let Some(value) = config.get(key) {
        tensors(value, &mut found, None);
    }
    found
}
