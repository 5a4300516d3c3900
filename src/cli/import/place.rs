//! Where in the JSON form of a person a value belongs.

use serde_json::Value;

/// A path such as `relations[0].name`.
pub struct Place {
    text: String,
    steps: Vec<Step>,
}

enum Step {
    Field(String),
    Item(usize),
}

impl Place {
    /// The place at a path of the form, which is well-formed.
    pub fn new(path: &str) -> Self {
        let steps = path.split(['.', '[']).map(|step| match step.strip_suffix(']') {
            Some(position) => Step::Item(position.parse().unwrap_or_default()),
            None => Step::Field(step.to_owned()),
        });
        Self { text: path.to_owned(), steps: steps.collect() }
    }

    /// Its path.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the two are the same place, or one is inside the other.
    pub fn meets(&self, other: &Self) -> bool {
        covers(&self.text, &other.text) || covers(&other.text, &self.text)
    }

    /// The value there, made when it is not.
    pub fn slot<'a>(&self, tree: &'a mut Value) -> &'a mut Value {
        self.steps.iter().fold(tree, |at, step| match step {
            Step::Field(name) => &mut at[name.as_str()],
            Step::Item(position) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let items = at.as_array_mut().expect("it was made one");
                items.resize(items.len().max(position + 1), Value::Null);
                &mut items[*position]
            }
        })
    }

    /// Whether what it is a field of is there. A person always is.
    pub fn has_neighbour(&self, tree: &Value) -> bool {
        let (_, around) = self.steps.split_last().expect("a path has a step");
        let inside = around.iter().try_fold(tree, |at, step| match step {
            Step::Field(name) => at.get(name),
            Step::Item(position) => at.get(position),
        });
        inside.is_some_and(|value| !value.is_null())
    }
}

/// Whether the second path is the first one, or lies inside it.
pub fn covers(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
