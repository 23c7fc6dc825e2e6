//! The few messages of an ONNX model, written as protocol-buffer bytes. Field numbers are those of onnx.proto3.

/// Element types of ONNX tensors that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElemType {
    F32 = 1,
    U8 = 2,
    I64 = 7,
}

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    fn key(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    /// An integer field; negative numbers take ten bytes, as the format has it.
    pub(crate) fn int(mut self, field: u32, n: i64) -> Self {
        self.key(field, 0);
        self.varint(n as u64);
        self
    }

    pub(crate) fn float(mut self, field: u32, x: f32) -> Self {
        self.key(field, 5);
        self.bytes.extend_from_slice(&x.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(crate) fn message(self, field: u32, message: &Message) -> Self {
        self.bytes(field, &message.bytes)
    }
}

/// A named argument of a node.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Float(f32),
    Text(&'static str),
    Ints(Vec<i64>),
}

impl Attribute {
    fn message(&self, name: &str) -> Message {
        let m = Message::new().text(1, name);
        match self {
            Self::Float(x) => m.float(2, *x).int(20, 1),
            Self::Int(n) => m.int(3, *n).int(20, 2),
            Self::Text(s) => m.text(4, s).int(20, 3),
            Self::Ints(v) => v.iter().fold(m, |m, n| m.int(8, *n)).int(20, 7),
        }
    }
}

/// A node of the graph.
pub(crate) fn node(
    op: &str,
    name: &str,
    inputs: &[String],
    outputs: &[String],
    attributes: &[(&str, Attribute)],
) -> Message {
    let mut m = Message::new();
    for input in inputs {
        m = m.text(1, input);
    }
    for output in outputs {
        m = m.text(2, output);
    }
    m = m.text(3, name).text(4, op);
    for (key, value) in attributes {
        m = m.message(5, &value.message(key));
    }
    m
}

/// A tensor whose values stand in the model.
pub(crate) fn tensor_inline(name: &str, dims: &[usize], ty: ElemType, raw: &[u8]) -> Message {
    dims.iter()
        .fold(Message::new(), |m, d| m.int(1, *d as i64))
        .int(2, ty as i64)
        .text(8, name)
        .bytes(9, raw)
}

/// A tensor whose values lie in a file of the model's folder.
pub(crate) fn tensor_external(
    name: &str,
    dims: &[usize],
    ty: ElemType,
    location: &str,
    offset: usize,
    length: usize,
) -> Message {
    let entry = |key: &str, value: &str| Message::new().text(1, key).text(2, value);
    dims.iter()
        .fold(Message::new(), |m, d| m.int(1, *d as i64))
        .int(2, ty as i64)
        .text(8, name)
        .message(13, &entry("location", location))
        .message(13, &entry("offset", &offset.to_string()))
        .message(13, &entry("length", &length.to_string()))
        .int(14, 1)
}

/// One side of an input or output.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    Number(usize),
    Symbol(String),
}

/// An input or output of the graph.
pub(crate) fn value_info(name: &str, ty: ElemType, shape: &[Side]) -> Message {
    let dims = shape.iter().fold(Message::new(), |m, side| {
        let dim = match side {
            Side::Number(n) => Message::new().int(1, *n as i64),
            Side::Symbol(s) => Message::new().text(2, s),
        };
        m.message(1, &dim)
    });
    let tensor = Message::new().int(1, ty as i64).message(2, &dims);
    Message::new()
        .text(1, name)
        .message(2, &Message::new().message(1, &tensor))
}

/// A whole model around a graph.
pub(crate) fn model(graph: &Message, opset: i64) -> Vec<u8> {
    let operators = Message::new().text(1, "").int(2, opset);
    let m = Message::new().int(1, 10).text(2, "kinora");
    m.message(7, graph).message(8, &operators).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_format_has_them() {
        let bytes = Message::new()
            .int(1, 300)
            .text(2, "ab")
            .float(3, 1.0)
            .int(4, -1)
            .into_bytes();
        let mut want = vec![0x08, 0xac, 0x02, 0x12, 2, b'a', b'b', 0x1d, 0, 0, 0x80, 0x3f, 0x20];
        want.extend([0xff; 9]);
        want.push(1);
        assert_eq!(bytes, want);
    }
}
