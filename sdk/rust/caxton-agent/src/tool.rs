//! Writing a tool: a component that offers functions to assistants and agents, instead of taking
//! messages.
//!
//! ```no_run
//! use caxton_agent::tool::{Answer, Function, Tool};
//!
//! struct Greetings;
//!
//! impl Tool for Greetings {
//!     fn functions() -> Vec<Function> {
//!         let input = r#"{"type": "object", "properties": {}, "additionalProperties": false}"#;
//!         vec![Function::new("hello", "Says good day.", input).reads()]
//!     }
//!
//!     fn call(_name: &str, _arguments: &str) -> Result<Answer, String> {
//!         Ok(Answer::text("good day"))
//!     }
//! }
//!
//! caxton_agent::export_tool!(Greetings);
//! ```
//!
//! Of the server a tool has [`log`](crate::log), [`clock`](crate::clock) and [`random`](crate::random),
//! and nothing else; every call has a fresh instance, so that a `static` never holds what an earlier
//! call left. What it logs is shown beside the reason of a call that fails.

pub use crate::bindings::caxton::agent::tool_types::{Content, Function, Image};
pub use crate::bindings::tool::exports::caxton::agent::tool_functions::Answer;

use crate::bindings::tool::exports::caxton::agent::tool_functions::Guest;

/// What a tool does.
pub trait Tool {
    /// What it offers: at least one function, no two of one name, the same each time.
    fn functions() -> Vec<Function>;

    /// Calls a function of that name. `arguments` is a JSON object that fits the function's schema: the
    /// server has checked it.
    ///
    /// # Errors
    /// A failure in the tool's own terms; whoever called reads it.
    fn call(name: &str, arguments: &str) -> Result<Answer, String>;
}

impl Function {
    /// A function that acts, and must not be repeated: say so where it is otherwise. `input_schema` is
    /// a JSON Schema of the arguments, an object.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            input_schema: input_schema.into(),
            output_schema: None,
            acts: true,
            repeatable: false,
        }
    }

    /// It only looks, and so can be repeated: nobody is asked before it is called.
    #[must_use]
    pub fn reads(mut self) -> Self {
        self.acts = false;
        self.repeatable = true;
        self
    }

    /// A call that may have happened may be made again without harm.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// The JSON Schema of [`Answer::structured`].
    #[must_use]
    pub fn output(mut self, schema: impl Into<String>) -> Self {
        self.output_schema = Some(schema.into());
        self
    }
}

impl Answer {
    /// An answer of one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![Content::Text(text.into())],
            structured: None,
        }
    }

    /// The same with structured content: JSON, as the function's output schema says.
    #[must_use]
    pub fn structured(mut self, json: impl Into<String>) -> Self {
        self.structured = Some(json.into());
        self
    }

    /// The same with an image.
    #[must_use]
    pub fn image(mut self, media_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        let (media_type, data) = (media_type.into(), data.into());
        self.content
            .push(Content::Image(Image { media_type, data }));
        self
    }
}

impl<T: Tool> Guest for T {
    fn describe() -> Vec<Function> {
        crate::agent::log_panics();
        <T as Tool>::functions()
    }

    fn call(name: String, arguments: String) -> Result<Answer, String> {
        crate::agent::log_panics();
        <T as Tool>::call(&name, &arguments)
    }
}

/// Makes a type (its plain name) that implements [`Tool`](crate::tool::Tool) the tool of the component;
/// once in a crate of type `cdylib`, and not beside [`export!`](crate::export).
#[macro_export]
macro_rules! export_tool {
    ($tool:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::tool::export_tool_functions!($tool with_types_in $crate::bindings::tool);
        #[cfg(not(target_family = "wasm"))]
        const _: fn(
            &str,
            &str,
        )
            -> ::std::result::Result<$crate::tool::Answer, ::std::string::String> =
            <$tool as $crate::tool::Tool>::call;
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_acts_unless_it_says_otherwise() {
        let function = Function::new("f", "", "{}");
        assert!(function.acts && !function.repeatable);
        let function = Function::new("f", "", "{}").repeatable();
        assert!(function.acts && function.repeatable);
        let function = Function::new("f", "", "{}").reads().output("{}");
        assert!(!function.acts && function.repeatable);
        assert_eq!(function.output_schema.as_deref(), Some("{}"));
    }

    #[test]
    fn an_answer_keeps_the_order_of_its_parts() {
        let answer = Answer::text("a").image("image/png", [1]).structured("{}");
        assert!(matches!(
            answer.content.as_slice(),
            [Content::Text(_), Content::Image(_)]
        ));
        assert_eq!(answer.structured.as_deref(), Some("{}"));
    }
}
