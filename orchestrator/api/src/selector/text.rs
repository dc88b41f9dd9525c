//! The text form of selectors, as URLs and flags carry it, with Kubernetes' complaints.

use super::{Operator, Requirement};
use crate::names;

/// Longer ones first.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Symbol(&'a str),
    Word(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn literal(self) -> &'a str {
        match self {
            Token::Symbol(text) | Token::Word(text) => text,
            Token::End => "",
        }
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let special = |c: char| c.is_ascii_whitespace() || "=!(),><".contains(c);
        let length = symbol.map_or_else(|| rest.find(special).unwrap_or(rest.len()), |symbol| symbol.len());
        let (token, after) = rest.split_at(length);
        tokens.push(if symbol.is_some() { Token::Symbol(token) } else { Token::Word(token) });
        rest = after.trim_start();
    }
    tokens.push(Token::End);
    tokens
}

/// `a=b,c!=d,e in (f,g),h,!i`. Errors: what was found and what is expected.
pub(super) fn labels(text: &str) -> Result<Vec<Requirement>, String> {
    let (mut parser, mut found) = (Parser { tokens: tokens(text), at: 0 }, Vec::new());
    let begins = |token: Token<'_>| matches!(token, Token::Word(_) | Token::Symbol("!"));
    loop {
        match parser.peek() {
            Token::End => return Ok(found),
            token if !begins(token) => {
                return Err(format!(
                    "found '{}', expected: !, identifier, or 'end of string'",
                    token.literal()
                ));
            }
            _ => {}
        }
        let requirement = parser.requirement();
        found.push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
        match parser.next() {
            Token::End => return Ok(found),
            Token::Symbol(",") if begins(parser.peek()) => {}
            Token::Symbol(",") => {
                return Err(format!("found '{}', expected: identifier after ','", parser.peek().literal()));
            }
            other => {
                return Err(format!("found '{}', expected: ',' or 'end of string'", other.literal()));
            }
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Token::Symbol("!");
        if negated {
            self.at += 1;
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.literal())),
        };
        check_key(key)?;
        if negated {
            return Ok(Requirement { key: key.into(), operator: Operator::DoesNotExist });
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok(Requirement { key: key.into(), operator: Operator::Exists });
        }
        let operator = match self.next() {
            Token::Word("in") => Operator::In(self.values(key)?),
            Token::Word("notin") => Operator::NotIn(self.values(key)?),
            Token::Symbol("=" | "==") => Operator::In(vec![self.value(key)?]),
            Token::Symbol("!=") => Operator::NotIn(vec![self.value(key)?]),
            Token::Symbol(">") => Operator::GreaterThan(self.bound(key)?),
            Token::Symbol("<") => Operator::LessThan(self.bound(key)?),
            other => {
                return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.literal()));
            }
        };
        Ok(Requirement { key: key.into(), operator })
    }

    /// `(a,b)`; an empty place is the empty value.
    fn values(&mut self, key: &str) -> Result<Vec<String>, String> {
        match self.next() {
            Token::Symbol("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.literal())),
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek() {
                Token::Word(word) => {
                    self.at += 1;
                    word
                }
                _ => "",
            };
            check_value(key, values.len(), value)?;
            values.push(value.to_string());
            match self.next() {
                Token::Symbol(")") => return Ok(values),
                Token::Symbol(",") => {}
                other => return Err(format!("found '{}', expected: ',' or ')'", other.literal())),
            }
        }
    }

    fn value(&mut self, key: &str) -> Result<String, String> {
        let value = match self.peek() {
            Token::End | Token::Symbol(",") => return Ok(String::new()),
            Token::Word(value) => value,
            other => return Err(format!("found '{}', expected: identifier", other.literal())),
        };
        self.at += 1;
        check_value(key, 0, value)?;
        Ok(value.into())
    }

    fn bound(&mut self, key: &str) -> Result<i64, String> {
        let value = self.value(key)?;
        value.parse().map_err(|_| {
            format!("values[0][{key}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
        })
    }
}

fn check_key(key: &str) -> Result<(), String> {
    check("<nil>", key, &names::label_key(key))
}

fn check_value(key: &str, at: usize, value: &str) -> Result<(), String> {
    check(&format!("values[{at}][{key}]"), value, &names::label_value(value))
}

fn check(path: &str, text: &str, complaints: &[String]) -> Result<(), String> {
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!("{path}: Invalid value: {text:?}: {}", complaints.join("; ")))
}

/// `a=b,c!=d`, where values may hold `\\`, `\,` and `\=`: fields, whether they must equal, and values.
pub(super) fn fields(text: &str) -> Result<Vec<(String, bool, String)>, String> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms.into_iter().filter(|term| !term.is_empty()).map(|term| field(text, term)).collect()
}

fn field(text: &str, term: &str) -> Result<(String, bool, String), String> {
    let sign = term.char_indices().find_map(|(at, _)| {
        let signs = ["!=", "==", "="];
        signs.iter().find(|sign| term[at..].starts_with(**sign)).map(|sign| (at, *sign))
    });
    let (at, sign) = sign.ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
    let value = unescaped(&term[at + sign.len()..])?;
    Ok((term[..at].into(), sign != "!=", value))
}

fn unescaped(value: &str) -> Result<String, String> {
    let (mut plain, mut rest) = (String::new(), value.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            other => plain.push(other),
        }
    }
    Ok(plain)
}
