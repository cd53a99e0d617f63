//! How a TOML table becomes a network, a dataset or a solver: one mechanism for all.
//!
//! A [`Spec`] is a plain serde struct that knows its `kind` and how to build what it describes; a
//! [`Registry`] is an explicit list of them. Errors carry the path of the key at fault, so that
//! whoever read the file can add its line.

use serde::{Serialize, de::DeserializeOwned};

use crate::spec_error::SpecError;

/// Something that a registry can build: says what building it takes.
pub trait Component {
    /// What is handed to [`Spec::build`].
    type Context<'a>;
}

/// The file form of one kind of component: a serde struct (with `deny_unknown_fields`) whose
/// fields are the keys of its table, beside `kind`.
///
/// # Example
///
/// ```
/// use nfa_models::{AnyNetwork, Context, Init, Mlp, Registry, Spec, SpecError};
/// use serde::{Deserialize, Serialize};
///
/// /// f(x) = Wx: `[model] kind = "one_layer"`.
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct OneLayer {
///     #[serde(default)]
///     init: Init,
/// }
///
/// impl Spec<dyn AnyNetwork> for OneLayer {
///     const KIND: &'static str = "one_layer";
///     const DOC: &'static str = "A linear map.";
///     const REFERENCE: &'static str = "this example";
///     const EXAMPLE: &'static str = "init = { kind = \"xavier\" }\n";
///
///     fn check(&self) -> Result<(), SpecError> {
///         self.init.check().map_err(|error| error.under("init"))
///     }
///
///     fn build(&self, context: &Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
///         let weight = context.weight("weight", &self.init, [context.outputs, context.inputs])?;
///         Ok(Box::new(Mlp::new(vec![weight], vec![None], vec![])?))
///     }
/// }
///
/// let models = Registry::new("model").with::<OneLayer>();
/// let table = toml::from_str("kind = \"one_layer\"\nint = { kind = \"xavier\" }")?;
/// let error = models.resolve(table).unwrap_err();
/// assert_eq!(error.to_string(), "int: unknown key `int`; known here: init; did you mean `init`?");
/// # Ok::<(), toml::de::Error>(())
/// ```
pub trait Spec<T: ?Sized + Component>: Serialize + DeserializeOwned + Send + 'static {
    /// The value of `kind` that selects it.
    const KIND: &'static str;
    /// What it is, in a sentence or two.
    const DOC: &'static str;
    /// Where it comes from: an arXiv number, a DOI, a book.
    const REFERENCE: &'static str;
    /// The body of a table (without `kind`) that builds; tests build it, `explain` shows it.
    const EXAMPLE: &'static str;
    /// Dotted keys of its table that are paths of files: they are made absolute, since a run's own
    /// `config.toml` lies elsewhere than the file that named them.
    const PATHS: &'static [&'static str] = &[];
    /// What the keys that every kind of its section has are unless a file says otherwise, as TOML:
    /// `scale = 0.0625` of a dataset, `weight_decay = 0.01` of a solver.
    const DEFAULTS: &'static str = "";
    /// Columns of its own that records of its runs have, of a solver: name, unit and meaning.
    const COLUMNS: &'static [(&'static str, &'static str, &'static str)] = &[];
    /// Inputs and outputs that the example of a model is built with by tests.
    const SHAPE: [usize; 2] = [5, 3];

    /// Checks everything that can be checked before there is data.
    ///
    /// # Errors
    /// The key at fault and why.
    fn check(&self) -> Result<(), SpecError> {
        Ok(())
    }

    /// Builds it; a [`Registry`] has checked it before. Every kind writes this, for programs with the
    /// feature `burn`; in one without, kinds are listed, explained and checked, and not built.
    ///
    /// # Errors
    /// The key at fault and why.
    fn build(&self, context: &T::Context<'_>) -> Result<Box<T>, SpecError> {
        let _ = context;
        let message = format!("`{}` is known here by name alone: building it takes the feature `burn`", Self::KIND);
        Err(SpecError::value("kind", message))
    }
}

/// Reads a serde type from a table; errors name the key.
///
/// # Errors
/// Unknown keys and variants (with a suggestion), wrong types, missing keys.
pub fn read<S: DeserializeOwned>(table: toml::Table) -> Result<S, SpecError> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let message = error.inner().message().to_string();
        from_serde(path, message)
    })
}

/// serde reports "unknown field `x`, expected one of `a`, `b`": the key belongs into the path and
/// the list yields the suggestion.
fn from_serde(path: String, message: String) -> SpecError {
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(name) = names.next() else { return SpecError::value(&path, message) };
    if message.starts_with("unknown field") {
        // serde_path_to_error already ends the path with an unknown field in some containers.
        let path = match path.strip_suffix(name) {
            Some(parent) if parent.is_empty() || parent.ends_with('.') => path,
            _ => SpecError::value(name, String::new()).under(&path).path,
        };
        let error = SpecError::unknown(&path, "key", name, names);
        // A table without keys of its own still belongs to someone who may add his.
        let known = if error.known.is_empty() { vec!["kind".into()] } else { error.known };
        return SpecError { known, ..error };
    }
    if message.starts_with("unknown variant") {
        return SpecError::unknown(&path, "value", name, names);
    }
    if message.starts_with("missing field") {
        let path = SpecError::value(name, String::new()).under(&path).path;
        return SpecError::value(&path, "is required and missing".into());
    }
    SpecError::value(&path, message)
}

type Build<T> = fn(toml::Table, &<T as Component>::Context<'_>) -> Result<Box<T>, SpecError>;
type Resolve = fn(toml::Table) -> Result<toml::Table, SpecError>;

/// One line of a registry.
pub struct Entry<T: ?Sized + Component> {
    /// See [`Spec::KIND`].
    pub kind: &'static str,
    /// See [`Spec::DOC`].
    pub doc: &'static str,
    /// See [`Spec::REFERENCE`].
    pub reference: &'static str,
    /// See [`Spec::EXAMPLE`].
    pub example: &'static str,
    /// See [`Spec::PATHS`].
    pub paths: &'static [&'static str],
    /// See [`Spec::DEFAULTS`].
    pub defaults: &'static str,
    /// See [`Spec::COLUMNS`].
    pub columns: &'static [(&'static str, &'static str, &'static str)],
    /// See [`Spec::SHAPE`].
    pub shape: [usize; 2],
    build: Build<T>,
    resolve: Resolve,
}

impl<T: ?Sized + Component> Entry<T> {
    /// [`Spec::DEFAULTS`] as a table.
    ///
    /// # Errors
    /// What is no TOML in it: a mistake of whoever wrote the kind.
    pub fn default_table(&self) -> Result<toml::Table, SpecError> {
        let wrong = |error: toml::de::Error| format!("{}'s DEFAULTS are no TOML: {}", self.kind, error.message());
        self.defaults.parse().map_err(|error| SpecError::value("", wrong(error)))
    }

    /// [`Spec::EXAMPLE`] as a table of this kind.
    ///
    /// # Errors
    /// What is no TOML in it: a mistake of whoever wrote the kind.
    pub fn example_table(&self) -> Result<toml::Table, SpecError> {
        let wrong = |error: toml::de::Error| format!("{}'s EXAMPLE is no TOML: {}", self.kind, error.message());
        let mut table: toml::Table = self.example.parse().map_err(|error| SpecError::value("", wrong(error)))?;
        table.insert("kind".into(), self.kind.into());
        Ok(table)
    }
}

/// The known kinds of one component, in order.
pub struct Registry<T: ?Sized + Component> {
    noun: &'static str,
    entries: Vec<Entry<T>>,
}

impl<T: ?Sized + Component> Registry<T> {
    /// An empty registry of things called `noun`.
    pub fn new(noun: &'static str) -> Self {
        Registry { noun, entries: Vec::new() }
    }

    /// Adds a kind; one of the same name before it is replaced.
    #[must_use]
    pub fn with<S: Spec<T>>(mut self) -> Self {
        self.entries.retain(|entry| entry.kind != S::KIND);
        self.entries.push(Entry {
            kind: S::KIND,
            doc: S::DOC,
            reference: S::REFERENCE,
            example: S::EXAMPLE,
            paths: S::PATHS,
            defaults: S::DEFAULTS,
            columns: S::COLUMNS,
            shape: S::SHAPE,
            build: |table, context| {
                let spec = read::<S>(table)?;
                spec.check()?;
                spec.build(context)
            },
            resolve: |table| {
                let spec = read::<S>(table)?;
                spec.check()?;
                let mut resolved = toml::Table::new();
                resolved.insert("kind".into(), S::KIND.into());
                let body = toml::Table::try_from(&spec).map_err(|error| SpecError::value("", error.to_string()))?;
                resolved.extend(body);
                Ok(resolved)
            },
        });
        self
    }

    /// Every kind.
    pub fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    /// The kind of this name.
    pub fn get(&self, kind: &str) -> Option<&Entry<T>> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }

    /// The entry that a table's `kind` selects, and the table without it.
    fn select(&self, mut table: toml::Table) -> Result<(&Entry<T>, toml::Table), SpecError> {
        let kinds = || self.entries.iter().map(|entry| entry.kind);
        let kind = match table.remove("kind") {
            Some(toml::Value::String(kind)) => kind,
            Some(other) => return Err(SpecError::value("kind", format!("must be a string, not {other}"))),
            None => {
                let known = kinds().collect::<Vec<_>>().join(", ");
                return Err(SpecError::value("kind", format!("is required and missing; known: {known}")));
            }
        };
        match self.get(&kind) {
            Some(entry) => Ok((entry, table)),
            None => Err(SpecError::unknown("kind", self.noun, &kind, kinds())),
        }
    }

    /// The same table with every default spelled out, checked.
    ///
    /// # Errors
    /// As [`Registry::build`], but for what only the data can tell.
    pub fn resolve(&self, table: toml::Table) -> Result<toml::Table, SpecError> {
        let (entry, body) = self.select(table)?;
        (entry.resolve)(body)
    }

    /// Builds what a table describes.
    ///
    /// # Errors
    /// Unknown kinds and keys (with a suggestion), wrong types and values.
    pub fn build(&self, table: toml::Table, context: &T::Context<'_>) -> Result<Box<T>, SpecError> {
        let (entry, body) = self.select(table)?;
        (entry.build)(body, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    fn refuse(text: &str) -> SpecError {
        let table = toml::from_str(text).expect("valid TOML");
        models().resolve(table).expect_err("must be refused")
    }

    #[test]
    fn errors_name_the_key_and_suggest() {
        let error = refuse("kind = \"mpl\"");
        assert_eq!((error.path.as_str(), error.suggestion.as_deref()), ("kind", Some("mlp")));
        let error = refuse("kind = \"mlp\"\ndepht = 3");
        assert_eq!((error.path.as_str(), error.suggestion.as_deref()), ("depht", Some("depth")));
        let error = refuse("kind = \"mlp\"\ndepth = 3\nwidth = 4\nactivation = \"rleu\"");
        assert_eq!((error.path.as_str(), error.suggestion.as_deref()), ("activation", Some("relu")));
        let error = refuse("kind = \"mlp\"\ndepth = 3\nwidth = 4\ninit = { kind = \"gaussian\", scael = 2.0 }");
        assert_eq!(error.suggestion.as_deref(), Some("scale"), "{error}");
        let error = refuse("kind = \"mlp\"\ndepth = \"three\"\nwidth = 4");
        assert_eq!(error.path, "depth");
        let error = refuse("kind = \"mlp\"\ndepth = 3\nwidth = 4\nactivation = [\"relu\"]");
        assert!(error.message.contains("lists 1 for 2 hidden layers"), "{error}");
    }

    #[test]
    fn resolving_spells_out_every_default_and_is_stable() {
        let table = toml::from_str("kind = \"mlp\"\nwidths = [5]").expect("valid TOML");
        let once = models().resolve(table).expect("resolves");
        assert_eq!(once["activation"].as_str(), Some("linear"));
        assert_eq!(once["init"]["scale"].as_float(), Some(1.0));
        assert_eq!(models().resolve(once.clone()).expect("resolves"), once);
    }
}
