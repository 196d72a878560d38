//! Follows a chunked body byte by byte where framing is concerned, in leaps where it is data.

use super::HeadRules;
use super::line::is_token;
use crate::edge::guard::Refusal;

/// Where in the chunked coding (RFC 9112 section 7.1) the body stands.
#[derive(Debug)]
pub(in crate::edge::guard) struct Chunked {
    state: State,
    /// Bytes spent on anything but data.
    overhead: u64,
    /// Bytes of data.
    data: u64,
    trailer_bytes: usize,
    trailer_lines: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the digits of a chunk's size.
    Size {
        value: u64,
        digits: u8,
    },
    /// Blanks between the size and `;` or the line's end.
    Blank {
        size: u64,
    },
    /// In a chunk extension, which is let through and never looked at.
    Extension {
        size: u64,
    },
    /// After the CR of the size line.
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunked {
    pub(in crate::edge::guard) const fn new() -> Self {
        Self { state: NEXT_SIZE, overhead: 0, data: 0, trailer_bytes: 0, trailer_lines: 0 }
    }

    pub(in crate::edge::guard) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many of `bytes` belong to the body and are in order, and the refusal that the next one earns.
    pub(in crate::edge::guard) fn follow(&mut self, bytes: &[u8], rules: &HeadRules) -> (usize, Option<Refusal>) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Done => break,
                State::Data { left } => {
                    let here = left.min((bytes.len() - at) as u64);
                    at += usize::try_from(here).unwrap_or(0);
                    self.data = self.data.saturating_add(here);
                    self.state = if here == left { State::DataCr } else { State::Data { left: left - here } };
                }
                state => match self.step(state, byte, rules) {
                    Ok(next) => {
                        self.state = next;
                        at += 1;
                    }
                    Err(refusal) => return (at, Some(refusal)),
                },
            }
        }
        (at, None)
    }

    fn step(&mut self, state: State, byte: u8, rules: &HeadRules) -> Result<State, Refusal> {
        self.overhead = self.overhead.saturating_add(1);
        if self.overhead > OVERHEAD_FREE.saturating_add(self.data.saturating_mul(OVERHEAD_RATIO)) {
            return Err(Refusal::ChunkOverhead);
        }
        match (state, byte) {
            (State::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16).ok_or(Refusal::Chunk)?;
                let value = (value << 4) | u64::from(digit);
                // The library counts in 63 bits.
                if value >> 63 != 0 { Err(Refusal::Chunk) } else { Ok(State::Size { value, digits: digits + 1 }) }
            }
            (State::Size { value: size, digits: 1.. } | State::Blank { size }, b' ' | b'\t') => {
                Ok(State::Blank { size })
            }
            (State::Size { value: size, digits: 1.. } | State::Blank { size }, b';') => Ok(State::Extension { size }),
            (State::Size { value: size, digits: 1.. } | State::Blank { size } | State::Extension { size }, b'\r') => {
                Ok(State::SizeLf { size })
            }
            (State::Extension { size }, b'\t' | 0x20..=0x7e | 0x80..) => Ok(State::Extension { size }),
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::TrailerStart),
            (State::SizeLf { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(NEXT_SIZE),
            (
                State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf | State::LastLf,
                byte,
            ) => self.trailer(state, byte, rules),
            _ => Err(Refusal::Chunk),
        }
    }

    fn trailer(&mut self, state: State, byte: u8, rules: &HeadRules) -> Result<State, Refusal> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > rules.bytes {
            return Err(Refusal::Trailer);
        }
        match (state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::TrailerStart, byte) if is_token(byte) && self.trailer_lines < rules.lines => {
                self.trailer_lines += 1;
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, byte) if is_token(byte) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(Refusal::Trailer),
        }
    }
}

const NEXT_SIZE: State = State::Size { value: 0, digits: 0 };

/// 64 bits in hexadecimal; more digits are only ever leading zeros or an overflow.
const SIZE_DIGITS: u8 = 16;

/// Framing bytes any body may spend, trailers included ...
const OVERHEAD_FREE: u64 = 16 * 1024;

/// ... and how many more per byte of data: one-byte chunks with a size line of one digit cost five.
const OVERHEAD_RATIO: u64 = 8;
