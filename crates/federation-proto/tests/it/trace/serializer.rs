//! The encoder behind a trace: postcard's rules, written down a second time.

use serde::ser::{self, Error as _, Serialize, Serializer};

use super::{Kind, Leaf, Trace, varint};

/// The error of an encoder that has no form for floats and sequences of unknown length.
type Error = serde::de::value::Error;

/// Encodes, and remembers where it is in the value.
#[derive(Default)]
pub(super) struct Tracer {
    trace: Trace,
    path: String,
}

impl Tracer {
    /// What was encoded.
    pub(super) fn into_trace(self) -> Trace {
        self.trace
    }

    fn leaf(&mut self, suffix: &str, kind: Kind, bytes: &[u8]) {
        let start = self.trace.bytes.len();
        self.trace.bytes.extend(bytes);
        let range = start..self.trace.bytes.len();
        let path = match (self.path.as_str(), suffix) {
            ("", "") => "self".into(),
            ("", suffix) => suffix.trim_start_matches('.').into(),
            (path, suffix) => format!("{path}{suffix}"),
        };
        self.trace.leaves.push(Leaf { path, range, kind });
    }

    fn length(&mut self, length: usize) {
        self.leaf(".len", Kind::Length, &varint(length as u128));
    }

    fn variant(&mut self, of: &'static str, index: u32, name: &'static str) {
        self.leaf("", Kind::Variant { of, name }, &varint(index.into()));
    }

    /// Encodes a part of the value below the current path.
    fn below<T: Serialize + ?Sized>(&mut self, segment: &str, value: &T) -> Result<(), Error> {
        let whole = self.path.len();
        if !self.path.is_empty() && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(segment);
        let done = value.serialize(&mut *self);
        self.path.truncate(whole);
        done
    }

    fn parts(&mut self, segment: Option<&str>) -> Parts<'_> {
        let whole = self.path.len();
        if let Some(segment) = segment {
            if whole > 0 {
                self.path.push('.');
            }
            self.path.push_str(segment);
        }
        let first = self.trace.leaves.len();
        Parts { tracer: self, whole, first, items: 0 }
    }
}

macro_rules! varints {
    ($($serialize:ident $type:ty),+ $(,)?) => {$(
        fn $serialize(self, value: $type) -> Result<(), Error> {
            self.leaf("", Kind::Unsigned(<$type>::BITS), &varint(value.into()));
            Ok(())
        }
    )+};
}

macro_rules! zigzags {
    ($($serialize:ident $type:ty, $unsigned:ty),+ $(,)?) => {$(
        fn $serialize(self, value: $type) -> Result<(), Error> {
            // 0, -1, 1, -2, … become 0, 1, 2, 3, …
            let zigzag = (value << 1 ^ value >> (<$type>::BITS - 1)) as $unsigned;
            self.leaf("", Kind::Signed(<$type>::BITS), &varint(zigzag.into()));
            Ok(())
        }
    )+};
}

impl<'t> Serializer for &'t mut Tracer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'t>;
    type SerializeTuple = Parts<'t>;
    type SerializeTupleStruct = Parts<'t>;
    type SerializeTupleVariant = Parts<'t>;
    type SerializeMap = Parts<'t>;
    type SerializeStruct = Parts<'t>;
    type SerializeStructVariant = Parts<'t>;

    varints! {
        serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128,
    }
    zigzags! {
        serialize_i16 i16, u16, serialize_i32 i32, u32,
        serialize_i64 i64, u64, serialize_i128 i128, u128,
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.leaf("", Kind::Byte, &[value]);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.leaf("", Kind::Byte, &value.to_le_bytes());
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.leaf("", Kind::Bool, &[value.into()]);
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Result<(), Error> {
        Err(Error::custom("no floats on the wire"))
    }

    fn serialize_f64(self, _: f64) -> Result<(), Error> {
        Err(Error::custom("no floats on the wire"))
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.length(text.len());
        self.leaf("", Kind::Text, text.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.length(bytes.len());
        self.leaf("", Kind::Bytes, bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.leaf("?", Kind::Option, &[0]);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.leaf("?", Kind::Option, &[1]);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.variant(of, index, name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(of, index, name);
        self.below(name, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<'t>, Error> {
        self.length(length.ok_or_else(|| Error::custom("a sequence of unknown length"))?);
        Ok(self.parts(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'t>, Error> {
        Ok(self.parts(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'t>, Error> {
        Ok(self.parts(None))
    }

    fn serialize_tuple_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts<'t>, Error> {
        self.variant(of, index, name);
        Ok(self.parts(Some(name)))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Parts<'t>, Error> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'t>, Error> {
        Ok(self.parts(None))
    }

    fn serialize_struct_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts<'t>, Error> {
        self.variant(of, index, name);
        Ok(self.parts(Some(name)))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a compound value.
pub(super) struct Parts<'t> {
    tracer: &'t mut Tracer,
    whole: usize,
    first: usize,
    items: usize,
}

impl Parts<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let segment = format!("[{}]", self.items);
        self.items += 1;
        self.tracer.below(&segment, value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.tracer.below(name, value)
    }

    fn done(self) {
        self.tracer.path.truncate(self.whole);
    }

    /// A sequence of bytes is one leaf: nobody speaks of the seventeenth field of a digest.
    fn done_joining_bytes(self, kind: Kind) {
        let Self { tracer, whole, first, items } = self;
        let leaves = &mut tracer.trace.leaves;
        let bytes_only = leaves[first..].iter().all(|leaf| leaf.kind == Kind::Byte);
        if items > 0 && leaves.len() - first == items && bytes_only {
            let start = leaves[first].range.start;
            leaves.truncate(first);
            leaves.push(Leaf {
                path: if tracer.path.is_empty() { "self".into() } else { tracer.path.clone() },
                range: start..tracer.trace.bytes.len(),
                kind,
            });
        }
        tracer.path.truncate(whole);
    }
}

impl ser::SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.done_joining_bytes(Kind::Bytes);
        Ok(())
    }
}

impl ser::SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        let kind = Kind::Array(self.items);
        self.done_joining_bytes(kind);
        Ok(())
    }
}

impl ser::SerializeTupleStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.done();
        Ok(())
    }
}

impl ser::SerializeTupleVariant for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.done();
        Ok(())
    }
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let segment = format!("[{}].key", self.items);
        self.tracer.below(&segment, key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let segment = format!("[{}].value", self.items);
        self.items += 1;
        self.tracer.below(&segment, value)
    }

    fn end(self) -> Result<(), Error> {
        self.done();
        Ok(())
    }
}

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.done();
        Ok(())
    }
}

impl ser::SerializeStructVariant for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.done();
        Ok(())
    }
}
