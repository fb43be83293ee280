//! Draws a value of any type from a seed.
//!
//! A serde `Deserializer` that invents its input: the type says what it wants next, the stream answers. A
//! new field or variant is drawn the day it is declared, and no generator has to be kept in step by hand.
//! The same name and seed give the same value in every run and on every machine.

mod stack;

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::codec::Canonical;
use serde::Deserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor, value::Error};

pub(crate) use stack::Stack;

/// A type that refuses so many values in a row cannot be drawn blindly.
const MOST_ATTEMPTS: u64 = 10_000;

/// What types declared of themselves while they were drawn: names of fields and variants, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// Enums and their variants.
    pub(crate) enums: BTreeMap<&'static str, &'static [&'static str]>,
    /// Structs and their fields.
    pub(crate) structs: BTreeMap<&'static str, &'static [&'static str]>,
    /// Structs around one value, which have no bytes of their own.
    pub(crate) newtypes: BTreeSet<&'static str>,
    /// How they stood within each other.
    pub(crate) stack: Stack,
}

impl Declared {
    /// Adds what another value showed. One name never stands for two types.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.enums, &other.enums), (&mut self.structs, &other.structs)]
        {
            for (name, parts) in theirs {
                let known = mine.entry(name).or_insert(parts);
                assert_eq!(known, parts, "two types are called {name}");
            }
        }
        self.newtypes.extend(&other.newtypes);
        self.stack.merge(other.stack);
    }

    /// How many variants an enum has.
    pub(crate) fn variants(&self, of: &str) -> usize {
        self.enums.get(of).map_or(0, |variants| variants.len())
    }
}

/// Draws a value of `T` and says what stands in it.
///
/// A type's own checks may refuse a value (an unsorted list, a number out of range). Then another one is
/// drawn, with ever shorter lists, since the longer a list the rarer a good one.
#[track_caller]
pub(crate) fn draw<T: Canonical + DeserializeOwned>(seed: u64) -> (T, Declared) {
    let mut last = None;
    for attempt in 0..MOST_ATTEMPTS {
        let mut stream = Stream::new(T::NAME, seed, attempt);
        match T::deserialize(&mut stream) {
            Ok(value) => return (value, stream.declared),
            Err(error) => last = Some(error),
        }
    }
    panic!("{}: none of {MOST_ATTEMPTS} values drawn is one: {last:?}", T::NAME)
}

/// An endless stream of bytes, read as whatever is asked for.
struct Stream {
    bytes: blake3::OutputReader,
    longest: u64,
    /// Within an array that is long enough to be a digest or a key: its bytes look like one.
    in_array: bool,
    /// The types that are being read, the innermost last.
    open: Vec<&'static str>,
    declared: Declared,
}

impl Stream {
    /// The stream of a name and a seed.
    fn new(name: &str, seed: u64, attempt: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(name.as_bytes()).update(&[0]);
        hasher.update(&seed.to_le_bytes()).update(&attempt.to_le_bytes());
        let longest = match attempt {
            0..8 => 3,
            8..64 => 2,
            _ => 1,
        };
        Self {
            bytes: hasher.finalize_xof(),
            longest,
            in_array: false,
            open: Vec::new(),
            declared: Declared::default(),
        }
    }

    /// The next bytes.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.bytes.fill(&mut bytes);
        bytes
    }

    /// A number below `bound`. The bias of the remainder is of no matter here.
    fn below(&mut self, bound: u64) -> u64 {
        u64::from_le_bytes(self.take()) % bound.max(1)
    }

    /// Reads a type that may hold others.
    fn within<V, T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.declared.stack.enter::<V>(&mut self.open);
        let value = read(self);
        self.open.pop();
        value
    }

    fn length(&mut self) -> usize {
        let most = self.longest + 1;
        usize::try_from(self.below(most)).expect("a small number")
    }

    /// The bits of an integer: in one case of three a value at an edge of its type or of a varint's length,
    /// else a uniform value of a uniform length, so that small and large ones are equally common.
    fn integer(&mut self, bits: u32) -> u128 {
        let mask = u128::MAX >> (128 - bits);
        let top = 1 << (bits - 1);
        let edges = [0, 1, 2, 127, 128, 16_383, 16_384, top - 1, top, mask - 1, mask];
        let raw = u128::from_le_bytes(self.take());
        if self.below(3) == 0 {
            let at = self.below(edges.len() as u64);
            edges[usize::try_from(at).expect("an index")] & mask
        } else {
            let length = u32::try_from(self.below(u64::from(bits))).expect("a bit length") + 1;
            raw & (mask >> (bits - length))
        }
    }

    /// A text that is also a valid `Name`.
    fn text(&mut self) -> String {
        const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789._-";
        let length = if self.below(8) == 0 { 64 } else { self.below(12) + 1 };
        let letter = |stream: &mut Self| {
            let at = stream.below(ALPHABET.len() as u64);
            char::from(ALPHABET[usize::try_from(at).expect("an index")])
        };
        let text: String = (0..length).map(|_| letter(self)).collect();
        // A name does not begin with a dot, a dash or a line.
        text.replacen(['.', '_', '-'], "n", usize::from(text.starts_with(['.', '_', '-'])))
    }

    /// A text that is lent, for types that look before they copy. A stream owns no input to lend it from, so
    /// it is never given back; a test run lends some megabytes.
    fn lent_text(&mut self) -> &'static str {
        self.text().leak()
    }

    fn lent_bytes(&mut self) -> &'static [u8] {
        self.bytes().leak()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(40)).map(|_| u8::from_le_bytes(self.take())).collect()
    }
}

/// What the wire has no form for.
fn no_form(what: &str) -> Error {
    de::Error::custom(format!("{what} has no form on the wire"))
}

macro_rules! integers {
    ($($deserialize:ident $visit:ident $type:ty),+ $(,)?) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.integer(<$type>::BITS) as $type)
        }
    )+};
}

macro_rules! without_form {
    ($($deserialize:ident),+ $(,)?) => {$(
        fn $deserialize<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(no_form(stringify!($deserialize)))
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Stream {
    type Error = Error;

    integers! {
        deserialize_i8 visit_i8 i8,
        deserialize_u16 visit_u16 u16, deserialize_i16 visit_i16 i16,
        deserialize_u32 visit_u32 u32, deserialize_i32 visit_i32 i32,
        deserialize_u64 visit_u64 u64, deserialize_i64 visit_i64 i64,
        deserialize_u128 visit_u128 u128, deserialize_i128 visit_i128 i128,
    }

    without_form! {
        deserialize_any, deserialize_f32, deserialize_f64, deserialize_char,
        deserialize_identifier, deserialize_ignored_any,
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.in_array {
            visitor.visit_u8(u8::from_le_bytes(self.take()))
        } else {
            visitor.visit_u8(self.integer(u8::BITS) as u8)
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.below(2) == 1)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.lent_text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text())
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.lent_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_byte_buf(self.bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.below(2) == 1 { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.declared.newtypes.insert(name);
        self.within::<V, _>(|stream| visitor.visit_newtype_struct(stream))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length();
        self.within::<V, _>(|stream| visitor.visit_seq(Items { stream, left }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let outer = std::mem::replace(&mut self.in_array, left >= 16);
        let value = visitor.visit_seq(Items { stream: self, left });
        self.in_array = outer;
        value
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.within::<V, _>(|stream| visitor.visit_seq(Items { stream, left }))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length();
        visitor.visit_map(Items { stream: self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.declared.structs.insert(name, fields);
        self.within::<V, _>(|stream| visitor.visit_seq(Items { stream, left: fields.len() }))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.declared.enums.insert(name, variants);
        let among = variants.len() as u64;
        self.within::<V, _>(|stream| visitor.visit_enum(Choice { among, stream }))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The items of a sequence, tuple, struct or map.
struct Items<'s> {
    stream: &'s mut Stream,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.stream).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.stream)
    }
}

/// A variant, every declared one equally likely.
struct Choice<'s> {
    stream: &'s mut Stream,
    among: u64,
}

impl<'de> de::EnumAccess<'de> for Choice<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let index = self.stream.below(self.among);
        let variant = seed.deserialize(index.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.stream)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { stream: self.stream, left })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { stream: self.stream, left: fields.len() })
    }
}
