//! A command's arguments, checked as QEMU checks them, and its error.

use serde_json::{Map, Value, json};

/// An error in QEMU's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QmpError {
    class: &'static str,
    description: String,
}

impl QmpError {
    /// Anything that went wrong.
    pub(crate) fn generic(description: impl ToString) -> QmpError {
        QmpError { class: "GenericError", description: description.to_string() }
    }

    /// No such command.
    pub(crate) fn command_not_found(name: &str) -> QmpError {
        QmpError { class: "CommandNotFound", description: format!("The command {name} has not been found") }
    }

    /// No such device.
    pub(crate) fn device_not_found(name: &str) -> QmpError {
        QmpError { class: "DeviceNotFound", description: format!("Device '{name}' not found") }
    }

    /// As it goes over the wire.
    pub(crate) fn to_value(&self) -> Value {
        json!({ "class": self.class, "desc": self.description })
    }
}

impl std::fmt::Display for QmpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.description)
    }
}

/// Arguments by name, each to be taken once.
pub(crate) struct Arguments {
    left: Map<String, Value>,
}

impl Arguments {
    /// The arguments of a command; what is no object is refused.
    pub(crate) fn new(value: Option<&Value>) -> Result<Arguments, QmpError> {
        match value {
            None => Ok(Arguments { left: Map::new() }),
            Some(Value::Object(left)) => Ok(Arguments { left: left.clone() }),
            Some(_) => Err(QmpError::generic("QMP input member 'arguments' must be an object")),
        }
    }

    fn wrong(name: &str, expected: &str) -> QmpError {
        QmpError::generic(format!("Invalid parameter type for '{name}', expected: {expected}"))
    }

    fn missing(name: &str) -> QmpError {
        QmpError::generic(format!("Parameter '{name}' is missing"))
    }

    /// A string that may be left out.
    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, QmpError> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(_) => Err(Self::wrong(name, "string")),
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, QmpError> {
        self.optional_text(name)?.ok_or_else(|| Self::missing(name))
    }

    /// A whole number that may be left out.
    pub(crate) fn optional_number(&mut self, name: &str) -> Result<Option<i64>, QmpError> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(v) => v.as_i64().map(Some).ok_or_else(|| Self::wrong(name, "integer")),
        }
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &str) -> Result<i64, QmpError> {
        self.optional_number(name)?.ok_or_else(|| Self::missing(name))
    }

    /// A truth value that may be left out.
    pub(crate) fn optional_truth(&mut self, name: &str) -> Result<Option<bool>, QmpError> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(b)),
            Some(_) => Err(Self::wrong(name, "boolean")),
        }
    }

    /// A truth value.
    pub(crate) fn truth(&mut self, name: &str) -> Result<bool, QmpError> {
        self.optional_truth(name)?.ok_or_else(|| Self::missing(name))
    }

    /// A list.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Value>, QmpError> {
        match self.left.remove(name) {
            None => Err(Self::missing(name)),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(Self::wrong(name, "array")),
        }
    }

    /// An object with arguments of its own.
    pub(crate) fn object(&mut self, name: &str) -> Result<Arguments, QmpError> {
        match self.left.remove(name) {
            None => Err(Self::missing(name)),
            Some(Value::Object(left)) => Ok(Arguments { left }),
            Some(_) => Err(Self::wrong(name, "object")),
        }
    }

    /// Nothing may be left that nobody asked for.
    pub(crate) fn end(self) -> Result<(), QmpError> {
        match self.left.keys().next() {
            Some(name) => Err(QmpError::generic(format!("Parameter '{name}' is unexpected"))),
            None => Ok(()),
        }
    }
}
