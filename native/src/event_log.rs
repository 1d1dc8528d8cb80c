//! Chunks of Windows event logs (EVTX) as lines of JSON.
//!
//! What is not as it should be is left to Python, chunk by chunk: it says what is wrong.

use evtx::{EvtxParser, ParserSettings};

pub const CHUNK: usize = 1 << 16;
const HEADER: usize = 4096;
/// The first record of a chunk is behind its header, and a record has at least so many bytes.
const FIRST: usize = 512;
const LEAST: usize = 28;
const BUCKETS: usize = 32;
const TEMPLATES: usize = 384;
const MOST_TEMPLATES: usize = 2_000;

/// A chunk of which every record is a line of JSON.
#[derive(Default)]
pub struct Lines {
    pub text: Vec<u8>,
    /// The records' own numbers.
    pub numbers: Vec<u64>,
}

/// What is told of a chunk: whether its checksums are right, and its lines where nothing is wrong.
pub type Chunk = (bool, Option<Lines>);

/// Convert chunks, one behind the other.
pub fn convert(data: &[u8]) -> Vec<Chunk> {
    let chunks: Vec<&[u8]> = data.chunks(CHUNK).collect();
    let mut converted: Vec<Chunk> = Vec::new();
    while converted.len() < chunks.len() {
        let begun = converted.len();
        let run: Vec<&[u8]> =
            chunks[begun..].iter().copied().take_while(|chunk| is_plain(chunk)).collect();
        if run.is_empty() {
            converted.push((is_intact(chunks[begun]), None));
            continue;
        }
        let all = lines_of(&run).unwrap_or_else(|| {
            // One of them is not as it should be; the others are.
            let alone = |chunk: &&[u8]| lines_of(&[chunk])?.pop();
            run.iter().map(|chunk| alone(chunk).unwrap_or_default()).collect()
        });
        for (chunk, lines) in run.iter().zip(all) {
            let lines = (!lines.numbers.is_empty()).then_some(lines);
            converted.push((is_intact(chunk), lines));
        }
    }
    converted
}

fn number(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn long(data: &[u8], at: usize) -> Option<u64> {
    let bytes = data.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// How many records a chunk says that it has; 0 where that cannot be.
fn expected(chunk: &[u8]) -> usize {
    let (Some(first), Some(last)) = (long(chunk, 8), long(chunk, 16)) else {
        return 0;
    };
    let records = last.checked_sub(first).and_then(|more| more.checked_add(1)).unwrap_or(0);
    match usize::try_from(records) {
        Ok(records) if records <= (CHUNK - FIRST) / LEAST => records,
        _ => 0,
    }
}

fn is_plain(chunk: &[u8]) -> bool {
    chunk.len() == CHUNK
        && chunk.starts_with(b"ElfChnk\0")
        && expected(chunk) > 0
        && !may_repeat(chunk)
}

fn is_intact(chunk: &[u8]) -> bool {
    let (Some(end), Some(records), Some(header)) =
        (number(chunk, 48), number(chunk, 52), number(chunk, 124))
    else {
        return false;
    };
    let Some(data) = chunk.get(FIRST..end as usize) else {
        return false;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&chunk[..120]);
    hasher.update(&chunk[128..FIRST]);
    crc32fast::hash(data) == records && hasher.finalize() == header
}

/// The header of a log of so many chunks.
fn own_header(chunks: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(b"ElfFile\0");
    header.extend_from_slice(&0u64.to_le_bytes());
    header.extend_from_slice(&0u64.to_le_bytes());
    header.extend_from_slice(&1u64.to_le_bytes());
    header.extend_from_slice(&128u32.to_le_bytes());
    for field in [1, 3, HEADER as u16, chunks as u16] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.resize(120, 0);
    let sum = crc32fast::hash(&header);
    header.extend_from_slice(&0u32.to_le_bytes());
    header.extend_from_slice(&sum.to_le_bytes());
    header.resize(HEADER, 0);
    header
}

/// The lines of some chunks; `None` where one of them does not give what it says.
fn lines_of(chunks: &[&[u8]]) -> Option<Vec<Lines>> {
    let mut log = own_header(chunks.len());
    for chunk in chunks {
        log.extend_from_slice(chunk);
    }
    let parsing = move || {
        let settings = ParserSettings::new().num_threads(1);
        let mut parser = EvtxParser::from_buffer(log).ok()?.with_configuration(settings);
        let records = parser.serialized_records(|record| {
            let record = record?;
            let place = record.binxml_offset;
            Ok((place, record.into_json_bytes()?))
        });
        let mut lines: Vec<Lines> = Vec::new();
        let mut last = u64::MAX;
        for record in records {
            let (place, record) = record.ok()?;
            if place <= last {
                lines.push(Lines::default());
            }
            last = place;
            let odd = memchr::memchr2(b'\n', b'\r', &record.data).is_some();
            if odd || std::str::from_utf8(&record.data).is_err() {
                return None;
            }
            let chunk = lines.last_mut()?;
            chunk.text.extend_from_slice(&record.data);
            chunk.text.push(b'\n');
            chunk.numbers.push(record.event_record_id);
        }
        Some(lines)
    };
    // The parser gives up on some damage.
    let lines = std::panic::catch_unwind(std::panic::AssertUnwindSafe(parsing)).ok()??;
    let as_said = lines.len() == chunks.len()
        && lines
            .iter()
            .zip(chunks)
            .all(|(lines, chunk)| lines.numbers.len() == expected(chunk));
    as_said.then_some(lines)
}

/// Whether a record may have two `Data` elements of one name, as `carengine.readers.event_log`
/// tells it.
fn may_repeat(chunk: &[u8]) -> bool {
    let mut seen: Vec<usize> = Vec::new();
    let mut waiting: Vec<usize> = (0..BUCKETS)
        .filter_map(|bucket| number(chunk, TEMPLATES + 4 * bucket))
        .map(|at| at as usize)
        .collect();
    while let Some(at) = waiting.pop() {
        if seen.len() >= MOST_TEMPLATES {
            break;
        }
        if !(FIRST..=CHUNK - 24).contains(&at) || seen.contains(&at) {
            continue;
        }
        seen.push(at);
        let (Some(following), Some(size)) = (number(chunk, at), number(chunk, at + 20)) else {
            continue;
        };
        waiting.push(following as usize);
        let end = (at + 24).saturating_add(size as usize).min(chunk.len());
        if has_twice(&chunk[(at + 24).min(end)..end]) {
            return true;
        }
    }
    let mut at = FIRST;
    while at <= CHUNK - LEAST {
        let (Some(mark), Some(size)) = (number(chunk, at), number(chunk, at + 4)) else {
            break;
        };
        let size = size as usize;
        if mark != 0x2A2A || size < LEAST {
            break;
        }
        // After the header of the record and of the fragment comes a template, nearly always.
        if chunk.get(at + 28) != Some(&0x0c) {
            let end = at.saturating_add(size).min(chunk.len());
            if has_twice(&chunk[(at + 24).min(end)..end]) {
                return true;
            }
        }
        at += size;
    }
    false
}

fn has_twice(binary: &[u8]) -> bool {
    let mut texts: Vec<&[u8]> = Vec::new();
    let mut from = 0;
    while let Some(found) = memchr::memmem::find(&binary[from..], b"\x05\x01") {
        let at = from + found;
        let Some(size) = binary.get(at + 2..at + 4) else {
            return false;
        };
        let size = 2 * usize::from(u16::from_le_bytes([size[0], size[1]]));
        let begin = at + 4;
        from = begin;
        let end = (begin + size).min(binary.len());
        let text = &binary[begin..end];
        if text.len() < size.max(2) {
            continue;
        }
        if texts.contains(&text) {
            return true;
        }
        texts.push(text);
    }
    false
}
