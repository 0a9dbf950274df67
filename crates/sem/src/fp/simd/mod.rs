//! MMX and SSE.
/// Stub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PackedOp {}
/// Stub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SseOp {}
impl PackedOp {
    /// Stub.
    pub fn eval(self, _: u8, _: u128, _: u128) -> u128 {
        match self {}
    }
}
impl SseOp {
    /// Stub.
    pub fn eval(self, _: &mut u32, _: u8, _: u128, _: u128) -> Option<u128> {
        match self {}
    }
}
