//! Why a struct is its own field table: what the reader takes, what it suggests for a misspelt word
//! and what the JSON Schema says must never drift apart, so all three are made from one declaration.

/// Declares a mapping: a struct whose fields are the fields of the document.
///
/// A field's name in YAML is its Rust name in camel case, or what follows `as`. Its type says the rest:
/// `Option` may be absent, `Vec` and `BTreeMap` are empty when absent, everything else has to be there.
macro_rules! record {
    ($(#[doc = $about:literal])* pub struct $record:ident {
        $($(#[doc = $doc:literal])* pub $field:ident $(as $name:literal)? : $type:ty),* $(,)?
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub struct $record {
            $($(#[doc = $doc])* pub $field: $type,)*
        }
    };
}

/// Declares a choice of words: an enum whose variants are the words a field accepts.
macro_rules! words {
    ($(#[doc = $about:literal])* pub enum $words:ident {
        $($(#[doc = $doc:literal])* $variant:ident = $word:literal),* $(,)?
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $words {
            $($(#[doc = $doc])* $variant,)*
        }
    };
}

/// Declares a mapping with exactly one field: an enum whose variants are the fields it may be.
macro_rules! either {
    ($(#[doc = $about:literal])* pub enum $either:ident {
        $($(#[doc = $doc:literal])* $variant:ident($type:ty) = $name:literal),* $(,)?
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub enum $either {
            $($(#[doc = $doc])* $variant($type),)*
        }
    };
}

pub(crate) use {either, record, words};
