//! How a part of the JSON form is declared once: its fields, what each holds, its protobuf twin, and the text in it.

use serde::{Deserialize, Deserializer};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::date::Date;
use crate::proto::registry as proto;

/// A part of the JSON form and what it is in protobuf, both ways and without loss.
pub(super) trait Form<P> {
    /// As protobuf.
    fn into_proto(self) -> P;
    /// From protobuf.
    fn from_proto(from: P) -> Self;
}

/// A part of the JSON form that may hold text.
pub trait Texts {
    /// Shows each text to the visitor, which may change it.
    fn texts(&mut self, visit: &mut dyn FnMut(&mut String));

    /// Brings all text into NFC, the form that the registry takes. True when something changed.
    fn normalise(&mut self) -> bool {
        let mut changed = false;
        self.texts(&mut |text| {
            if !is_nfc(text) {
                *text = text.nfc().collect();
                changed = true;
            }
        });
        changed
    }
}

/// What a field of the JSON form holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// A date, of any precision.
    Date,
    /// One of a few words.
    Word,
    /// A list of texts or words.
    List,
    /// Fields of its own.
    Part,
}

/// A part of the JSON form whose fields can be asked for by path, as in `relations[0].name`.
pub(super) trait Shape {
    /// What stands at a path inside it, itself at an empty one; `None` where there is no such field.
    fn kind_at(path: &str) -> Option<Kind>;
}

/// The first name of a path, and the rest.
pub(super) fn first(path: &str) -> (&str, &str) {
    match path.find(['.', '[']) {
        Some(end) => (&path[..end], path[end..].trim_start_matches('.')),
        None => (path, ""),
    }
}

/// Parts without fields, and what they hold.
macro_rules! holds {
    ($kind:ident: $($type:ty),+) => {$(
        impl $crate::cli::json::form::Shape for $type {
            fn kind_at(path: &str) -> Option<$crate::cli::json::form::Kind> {
                path.is_empty().then_some($crate::cli::json::form::Kind::$kind)
            }
        }
    )+};
}
pub(super) use holds;
holds!(Text: String);
holds!(Number: u64);
holds!(Flag: bool);
holds!(Date: Date);

impl<T: Shape> Shape for Option<T> {
    fn kind_at(path: &str) -> Option<Kind> {
        T::kind_at(path)
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn kind_at(path: &str) -> Option<Kind> {
        if path.is_empty() {
            return matches!(T::kind_at("")?, Kind::Text | Kind::Word).then_some(Kind::List);
        }
        let (position, rest) = path.strip_prefix('[')?.split_once(']')?;
        let number = position.parse::<u8>().ok()?;
        match rest.strip_prefix('.') {
            // Another way to write the same place would be taken for another place.
            _ if number.to_string() != position => None,
            Some(field) if !field.is_empty() && !field.starts_with(['.', '[']) => T::kind_at(field),
            None if rest.is_empty() => T::kind_at(""),
            _ => None,
        }
    }
}

impl Texts for String {
    fn texts(&mut self, visit: &mut dyn FnMut(&mut String)) {
        visit(self);
    }
}

/// Values that are the same in both forms; but for `String`, they hold no text.
macro_rules! same {
    ($($type:ty),+) => {$(
        impl Form<$type> for $type {
            fn into_proto(self) -> $type {
                self
            }

            fn from_proto(from: $type) -> Self {
                from
            }
        }
    )+};
}
same!(String, u64, bool);

/// Parts without text.
macro_rules! no_text {
    ($($type:ty),+) => {$(
        impl $crate::cli::json::form::Texts for $type {
            fn texts(&mut self, _visit: &mut dyn FnMut(&mut String)) {}
        }
    )+};
}
pub(super) use no_text;
no_text!(u64, bool, Date);

impl Form<proto::PartialDate> for Date {
    fn into_proto(self) -> proto::PartialDate {
        self.into()
    }

    fn from_proto(from: proto::PartialDate) -> Self {
        from.into()
    }
}

impl<P, T: Form<P>> Form<Option<P>> for Option<T> {
    fn into_proto(self) -> Option<P> {
        self.map(T::into_proto)
    }

    fn from_proto(from: Option<P>) -> Self {
        from.map(T::from_proto)
    }
}

impl<P, T: Form<P>> Form<Vec<P>> for Vec<T> {
    fn into_proto(self) -> Vec<P> {
        self.into_iter().map(T::into_proto).collect()
    }

    fn from_proto(from: Vec<P>) -> Self {
        from.into_iter().map(T::from_proto).collect()
    }
}

impl<T: Texts> Texts for Option<T> {
    fn texts(&mut self, visit: &mut dyn FnMut(&mut String)) {
        self.iter_mut().for_each(|part| part.texts(visit));
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn texts(&mut self, visit: &mut dyn FnMut(&mut String)) {
        self.iter_mut().for_each(|part| part.texts(visit));
    }
}

/// Whether a field is left out of the JSON form.
pub(super) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A value that is there, or an empty one for null: null says what leaving it out says.
pub(super) fn or_empty<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Declares a part of the JSON form, `of` its protobuf twin with the same fields, which the compiler compares. Every
/// field may be absent, is left out when it is empty, and no other is taken.
macro_rules! form {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(Debug))]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(skip_serializing_if = "form::is_empty", deserialize_with = "form::or_empty")]
                pub $field: $type,
            )+
        }

        impl form::Texts for $name {
            fn texts(&mut self, visit: &mut dyn FnMut(&mut String)) {
                $(self.$field.texts(visit);)+
            }
        }

        impl form::Shape for $name {
            fn kind_at(path: &str) -> Option<form::Kind> {
                let (field, rest) = form::first(path);
                match field {
                    "" => Some(form::Kind::Part),
                    $(_ if field == stringify!($field).trim_start_matches("r#") => {
                        <$type as form::Shape>::kind_at(rest)
                    })+
                    _ => None,
                }
            }
        }
    };
    ($(#[$doc:meta])* $name:ident of $proto:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)+
    }) => {
        form! { $(#[$doc])* $name { $($(#[$field_doc])* $field: $type,)+ } }

        impl From<$name> for proto::$proto {
            fn from(from: $name) -> Self {
                Self { $($field: form::Form::into_proto(from.$field)),+ }
            }
        }

        impl From<proto::$proto> for $name {
            fn from(from: proto::$proto) -> Self {
                Self { $($field: form::Form::from_proto(from.$field)),+ }
            }
        }

        impl form::Form<proto::$proto> for $name {
            fn into_proto(self) -> proto::$proto {
                self.into()
            }

            fn from_proto(from: proto::$proto) -> Self {
                from.into()
            }
        }
    };
}
pub(super) use form;
