//! Why a struct is its own field table: what the reader takes, what it suggests for a misspelt word
//! and what the JSON Schema says must never drift apart, so all three are made from one declaration.

/// Declares a mapping: a struct whose fields are the fields of the document.
///
/// A field's name in YAML is its Rust name in camel case, or what follows `as`. Its type says the rest:
/// `Option` may be absent, `Vec` and `BTreeMap` are empty when absent, everything else has to be there.
/// `checked by f` calls `f(&record, &place, &mut mistakes)` once all of its fields were read well.
macro_rules! record {
    ($(#[doc = $about:literal])* $vis:vis struct $record:ident {
        $($(#[doc = $doc:literal])* $field_vis:vis $field:ident $(as $name:literal)? : $type:ty),* $(,)?
    } $(checked by $check:path)?) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        $vis struct $record {
            $($(#[doc = $doc])* $field_vis $field: $type,)*
        }

        impl $record {
            fn fields() -> Vec<$crate::read::shape::Field> {
                vec![$($crate::read::shape::Field {
                    name: $crate::read::record::name!($field $($name)?),
                    about: &[$($doc),*],
                    required: <$type as $crate::read::reader::Read>::REQUIRED,
                    shape: <$type as $crate::read::reader::Read>::shape,
                }),*]
            }
        }

        impl $crate::read::reader::Read for $record {
            fn read(
                node: &$crate::read::tree::Node,
                reader: &mut $crate::read::reader::Reader<'_>,
            ) -> Option<Self> {
                let mut fields = $crate::read::reader::Fields::of(node, reader)?;
                $(let $field = fields.take::<$type>(&$crate::read::record::name!($field $($name)?), reader);)*
                let sound = fields.finish(Self::fields, reader);
                let record = Self { $($field: $field?),* };
                if sound {
                    $($check(&record, &reader.place(node.extent), reader.mistakes());)?
                }
                Some(record)
            }

            fn shape() -> $crate::read::shape::Shape {
                $crate::read::shape::Shape::Record($crate::read::shape::Record {
                    name: stringify!($record),
                    about: &[$($about),*],
                    fields: Self::fields,
                })
            }
        }
    };
}

/// A field's name in YAML.
macro_rules! name {
    ($field:ident) => {
        $crate::read::shape::camel(stringify!($field))
    };
    ($field:ident $name:literal) => {
        std::borrow::Cow::Borrowed($name)
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

        impl $words {
            /// The word, as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl $crate::read::reader::Read for $words {
            fn read(
                node: &$crate::read::tree::Node,
                reader: &mut $crate::read::reader::Reader<'_>,
            ) -> Option<Self> {
                $crate::read::reader::word(node, reader, &[$(($word, Self::$variant)),*])
            }

            fn shape() -> $crate::read::shape::Shape {
                $crate::read::shape::Shape::Words(&[$($word),*])
            }
        }
    };
}

/// Declares a mapping with exactly one field: an enum whose variants are the fields it may be.
///
/// Where it may be absent, an empty mapping is absent too.
macro_rules! either {
    ($(#[doc = $about:literal])* pub enum $either:ident {
        $($(#[doc = $doc:literal])* $variant:ident($type:ty) = $name:literal),* $(,)?
    } $(checked by $check:path)?) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub enum $either {
            $($(#[doc = $doc])* $variant($type),)*
        }

        impl $either {
            fn fields() -> Vec<$crate::read::shape::Field> {
                vec![$($crate::read::shape::Field {
                    name: std::borrow::Cow::Borrowed($name),
                    about: &[$($doc),*],
                    required: false,
                    shape: <$type as $crate::read::reader::Read>::shape,
                }),*]
            }
        }

        impl $crate::read::reader::Read for $either {
            fn read(
                node: &$crate::read::tree::Node,
                reader: &mut $crate::read::reader::Reader<'_>,
            ) -> Option<Self> {
                let (key, value) = $crate::read::reader::only_field(node, reader, Self::fields)?;
                let either = reader.field(&key.name, |reader| match &*key.name {
                    $($name => <$type as $crate::read::reader::Read>::read(value, reader).map(Self::$variant),)*
                    _ => None,
                })?;
                $($check(&either, &reader.place(node.extent), reader.mistakes());)?
                Some(either)
            }

            fn read_optional(
                node: &$crate::read::tree::Node,
                reader: &mut $crate::read::reader::Reader<'_>,
            ) -> Option<Option<Self>> {
                let empty = matches!(&node.value, $crate::read::tree::Value::Map(entries) if entries.is_empty());
                if empty || node.is_null() { Some(None) } else { Self::read(node, reader).map(Some) }
            }

            fn shape() -> $crate::read::shape::Shape {
                $crate::read::shape::Shape::Either($crate::read::shape::Record {
                    name: stringify!($either),
                    about: &[$($about),*],
                    fields: Self::fields,
                })
            }
        }
    };
}

pub(crate) use {either, name, record, words};
