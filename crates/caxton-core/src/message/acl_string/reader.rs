//! SC00070's grammar (2.2) as a recursive descent over the [`Cursor`].

use super::lexer::{Cursor, into_text, syntax};
use super::{NESTING_MAX, PARAMETERS, TEXT_BYTES_MAX, is_name_byte, is_user_name};
use crate::agent::AgentId;
use crate::error::{Code, Error, shown};
use crate::id::ConversationId;
use crate::manifest::nearest;
use crate::message::{
    Acl, Contact, IDENTIFIER_PARTS_MAX, Identifier, Performative, RECEIVERS_MAX,
    USER_PARAMETERS_MAX,
};
use crate::tenant::TenantId;
use crate::time::Timestamp;

pub(super) fn read(text: &[u8], home: &TenantId) -> Result<Acl, Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::new(
            Code::MessageTooLarge,
            format!(
                "the text has {} bytes, at most {TEXT_BYTES_MAX} are read",
                text.len()
            ),
        ));
    }
    let mut reader = Reader {
        cursor: Cursor::new(text),
        home,
    };
    let acl = reader.message()?;
    match reader.cursor.peek() {
        None => Ok(acl),
        Some(_) => Err(reader.cursor.expected("nothing after the message")),
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    home: &'a TenantId,
}

impl Reader<'_> {
    fn message(&mut self) -> Result<Acl, Error> {
        self.cursor
            .expect(b'(', "`(`, with which a message begins")?;
        self.cursor.skip_space();
        let at = self.cursor.at();
        let act = self.cursor.take_run("a communicative act")?;
        let act = Performative::parse(act).map_err(|error| placed(at, None, error))?;
        let mut acl = Acl::new(act);
        let mut seen = Vec::new();
        while let Some((at, name)) = self.parameter_name()? {
            let name =
                known_parameter(&name).map_or_else(|| Err(unknown(at, &name, &PARAMETERS)), Ok)?;
            if seen.iter().any(|other: &Parameter| other.is(&name)) {
                return Err(syntax(at, &format!("`:{}` stands twice", name.shown())));
            }
            if seen.len() == PARAMETERS.len() + USER_PARAMETERS_MAX {
                return Err(syntax(
                    at,
                    "the message has more parameters than are allowed",
                ));
            }
            self.parameter(&mut acl, &name)?;
            seen.push(name);
        }
        Ok(acl)
    }

    /// The next `:name`, in lower case unless it is the user's own; `None` at the closing
    /// parenthesis, which is taken.
    fn parameter_name(&mut self) -> Result<Option<(usize, String)>, Error> {
        match self.cursor.peek() {
            Some(b')') => {
                self.cursor.expect(b')', "`)`")?;
                return Ok(None);
            }
            Some(b':') => self.cursor.expect(b':', "`:`")?,
            _ => {
                return Err(self
                    .cursor
                    .expected("a parameter, which begins with `:`, or `)`"));
            }
        }
        let at = self.cursor.at();
        let name = self.cursor.take_while(is_name_byte);
        if name.is_empty() {
            return Err(self.cursor.expected("a parameter's name after `:`"));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(Some((at, name)))
    }

    fn parameter(&mut self, acl: &mut Acl, name: &Parameter) -> Result<(), Error> {
        let name = match name {
            Parameter::User(name) => {
                let value = self.cursor.take_expression(NESTING_MAX)?;
                acl.user_parameters.push((name.clone(), value));
                return Ok(());
            }
            Parameter::Known(name) => *name,
        };
        match name {
            "sender" => acl.sender = Some(self.identifier(name, 0)?),
            "receiver" => acl.receivers = self.agents("set", name, RECEIVERS_MAX, 0)?,
            "reply-to" => acl.reply_to = self.agents("set", name, RECEIVERS_MAX, 0)?,
            "content" => acl.content = self.cursor.take_string()?.into(),
            "language" => acl.language = Some(self.expression()?),
            "encoding" => acl.encoding = Some(self.expression()?),
            "ontology" => acl.ontology = Some(self.expression()?),
            "protocol" => acl.protocol = Some(self.expression()?),
            "reply-with" => acl.reply_with = Some(self.expression()?),
            "in-reply-to" => acl.in_reply_to = Some(self.expression()?),
            "conversation-id" => {
                let (at, text) = self.placed_expression()?;
                let id =
                    ConversationId::parse(&text).map_err(|error| placed(at, Some(name), error))?;
                acl.conversation_id = Some(id);
            }
            // The last of PARAMETERS: reply-by.
            _ => acl.reply_by = Some(self.time()?),
        }
        Ok(())
    }

    fn expression(&mut self) -> Result<String, Error> {
        self.cursor.take_expression(NESTING_MAX)
    }

    fn placed_expression(&mut self) -> Result<(usize, String), Error> {
        self.cursor.skip_space();
        Ok((self.cursor.at(), self.expression()?))
    }

    fn time(&mut self) -> Result<Timestamp, Error> {
        self.cursor.skip_space();
        let at = self.cursor.at();
        let token = self.cursor.take_run("a time such as 20261122T050922049Z")?;
        if token.starts_with(['+', '-']) {
            return Err(Error::new(
                Code::TimeMalformed,
                format!(
                    "at byte {at}: :reply-by `{}` is relative; it must be an absolute time such as 20261122T050922049Z",
                    shown(token)
                ),
            ));
        }
        Timestamp::parse_fipa(token).map_err(|error| placed(at, Some("reply-by"), error))
    }

    /// `(set agent…)` or `(sequence agent…)`.
    fn agents(
        &mut self,
        kind: &str,
        field: &str,
        count_max: usize,
        depth: usize,
    ) -> Result<Vec<Identifier>, Error> {
        self.open(kind)?;
        let mut agents = Vec::new();
        while self.cursor.peek() != Some(b')') {
            if agents.len() == count_max {
                let what = format!(":{field} has more than {count_max} agents");
                return Err(syntax(self.cursor.at(), &what));
            }
            agents.push(self.identifier(field, depth)?);
        }
        self.cursor.expect(b')', "`)`")?;
        Ok(agents)
    }

    fn identifier(&mut self, field: &str, depth: usize) -> Result<Identifier, Error> {
        if depth == NESTING_MAX {
            let what = format!("agent identifiers are nested deeper than {NESTING_MAX}");
            return Err(syntax(self.cursor.at(), &what));
        }
        self.cursor.skip_space();
        let at = self.cursor.at();
        self.open("agent-identifier")?;
        let mut id = None;
        let mut addresses = None;
        let mut resolvers = None;
        while let Some((at, name)) = self.parameter_name()? {
            let twice = match name.to_ascii_lowercase().as_str() {
                "name" => id.replace(self.agent_name(field)?).is_some(),
                "addresses" => addresses.replace(self.addresses()?).is_some(),
                "resolvers" => {
                    let read = self.agents("sequence", field, IDENTIFIER_PARTS_MAX, depth + 1)?;
                    resolvers.replace(read).is_some()
                }
                // SC00070 allows them here; an agent's identity is its name, so nothing is lost
                // that a message is routed or answered by.
                other if is_user_name(other.as_bytes()) => {
                    self.cursor.take_expression(NESTING_MAX)?;
                    false
                }
                _ => return Err(unknown(at, &name, &["name", "addresses", "resolvers"])),
            };
            if twice {
                return Err(syntax(at, &format!("`:{}` stands twice", shown(&name))));
            }
        }
        let Some(id) = id else {
            return Err(syntax(at, "the agent identifier has no `:name`"));
        };
        let contact = Contact {
            addresses: addresses.unwrap_or_default(),
            resolvers: resolvers.unwrap_or_default(),
        };
        let bare = contact.addresses.is_empty() && contact.resolvers.is_empty();
        Ok(Identifier {
            id,
            contact: (!bare).then(|| Box::new(contact)),
        })
    }

    fn agent_name(&mut self, field: &str) -> Result<AgentId, Error> {
        let (at, text) = self.word_or_string("an agent's name")?;
        AgentId::parse(&text, self.home).map_err(|error| {
            let mut error = placed(at, Some(field), error);
            if let Some((_, platform)) = text.split_once('@') {
                error.detail = format!(
                    "{} (in the agent name `{}`: what follows the first `@` must be a tenant of this server, and `{}` is none; agents of other platforms cannot be named)",
                    error.detail,
                    shown(&text),
                    shown(platform),
                );
            }
            error
        })
    }

    fn addresses(&mut self) -> Result<Vec<String>, Error> {
        self.open("sequence")?;
        let mut addresses = Vec::new();
        while self.cursor.peek() != Some(b')') {
            if addresses.len() == IDENTIFIER_PARTS_MAX {
                let what = format!("`:addresses` has more than {IDENTIFIER_PARTS_MAX}");
                return Err(syntax(self.cursor.at(), &what));
            }
            addresses.push(self.word_or_string("an address")?.1);
        }
        self.cursor.expect(b')', "`)`")?;
        Ok(addresses)
    }

    /// A name or a URL: written as they are, or as a string.
    fn word_or_string(&mut self, expected: &str) -> Result<(usize, String), Error> {
        self.cursor.skip_space();
        let at = self.cursor.at();
        let text = match self.cursor.peek() {
            Some(b'"' | b'#') => into_text(self.cursor.take_string()?, at)?,
            _ => self.cursor.take_run(expected)?.to_owned(),
        };
        Ok((at, text))
    }

    /// `(keyword`, in any case.
    fn open(&mut self, keyword: &str) -> Result<(), Error> {
        let expected = format!("`({keyword} …)`");
        self.cursor.expect(b'(', &expected)?;
        self.cursor.skip_space();
        let at = self.cursor.at();
        let found = self.cursor.take_run(&format!("`{keyword}`"))?;
        if found.eq_ignore_ascii_case(keyword) {
            return Ok(());
        }
        let what = format!("expected `{keyword}`, found `{}`", shown(found));
        Err(syntax(at, &what))
    }
}

/// A parameter of a message: one of SC00061's, or the user's own.
enum Parameter {
    Known(&'static str),
    User(String),
}

impl Parameter {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a == b,
            (Self::User(a), Self::User(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Known(name) => (*name).to_owned(),
            Self::User(name) => shown(name),
        }
    }
}

fn known_parameter(name: &str) -> Option<Parameter> {
    if is_user_name(name.as_bytes()) {
        return Some(Parameter::User(name.to_owned()));
    }
    PARAMETERS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .map(Parameter::Known)
}

fn unknown(at: usize, name: &str, known: &[&str]) -> Error {
    let near = nearest(name, known.iter().copied())
        .map(|near| format!("; did you mean `:{near}`?"))
        .unwrap_or_default();
    let detail = format!(
        "at byte {at}: `:{}` is not a parameter here, and one's own begin with `X-`{near}",
        shown(name)
    );
    Error::new(Code::FieldUnknown, detail)
}

/// Adds to an error of a value where it stands, and in which parameter.
fn placed(at: usize, field: Option<&str>, mut error: Error) -> Error {
    let field = field.map(|field| format!(":{field} ")).unwrap_or_default();
    error.detail = format!("at byte {at}: {field}{}", error.detail);
    error
}
