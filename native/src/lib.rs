//! Decides, for `carengine`, which lines of JSON no rule matches, and counts them.
//!
//! Python compiles rules and field maps to a plain program (`Core.extend`). A block of lines
//! (`Core.scan`) then comes back as the lines that Python has to read, each with what was counted
//! before it. A line that could be read in more than one way is always among them.

mod anchors;
mod event_log;
mod finder;
mod json;
mod lines;
mod matcher;
mod pool;
mod program;
mod text;
mod values;

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use lines::{Holding, Passed, Reason, Scanned, Wanted, Worker};
use program::Program;

/// What was counted before a line: records, blank lines, numbers by leaf, the latest time, those
/// without fields by leaf, numbers by look of what is not recognised.
type Counts = Vec<(usize, usize)>;
type Before = (usize, usize, Counts, Option<i64>, Counts, Counts);

/// A line that Python is to read: its bytes, what was counted before it, the reason, whether it is a
/// sample and, where all is known, its node and the stages that hold.
type Line<'py> = (Bound<'py, PyBytes>, Before, u8, bool, Option<Holding>);
/// The lines of a block that Python is to read, what was counted after them, and the offset behind
/// the last line that was looked at.
type Lines<'py> = (Vec<Line<'py>>, Before, usize);

/// A program, and the threads' memories of it.
struct Shared {
    program: Mutex<Arc<Program>>,
    workers: Mutex<Vec<Worker>>,
}

#[pyclass(frozen)]
struct Core {
    shared: Arc<Shared>,
}

/// Lines that a thread decides.
#[pyclass(frozen)]
struct PendingLines {
    block: Arc<PyBackedBytes>,
    scanned: Mutex<Receiver<Option<Scanned>>>,
}

/// Chunks of an event log that a thread converts.
#[pyclass(frozen)]
struct PendingChunks {
    converted: Mutex<Receiver<Vec<event_log::Chunk>>>,
}

fn before(passed: Passed) -> Before {
    (passed.records, passed.blank, passed.counts, passed.time, passed.silent, passed.looks)
}

fn unpoisoned<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

fn failed() -> PyErr {
    PyRuntimeError::new_err("the native core failed")
}

impl Shared {
    fn program(&self) -> Arc<Program> {
        Arc::clone(&*unpoisoned(self.program.lock()))
    }

    /// Decide the lines of a text; nothing comes of it where that panics.
    fn scan(&self, program: &Program, text: &[u8], wanted: &Wanted) -> Option<Scanned> {
        let worker = unpoisoned(self.workers.lock()).pop();
        let mut worker = worker.unwrap_or_else(Worker::new);
        let scan = std::panic::AssertUnwindSafe(|| worker.scan(program, text, wanted));
        let scanned = std::panic::catch_unwind(scan).ok()?;
        unpoisoned(self.workers.lock()).push(worker);
        Some(scanned)
    }
}

fn lines<'py>(py: Python<'py>, text: &[u8], start: usize, scanned: Scanned) -> Lines<'py> {
    let undecided = scanned
        .undecided
        .into_iter()
        .map(|line| {
            let reason = match line.reason {
                Reason::Wanted => 0,
                Reason::Unmet => 1,
                Reason::Candidate => 2,
                Reason::Unusual => 3,
                Reason::Closed => 4,
            };
            (
                PyBytes::new(py, &text[line.start..line.end]),
                before(line.before),
                reason,
                line.sampled,
                line.known,
            )
        })
        .collect();
    (undecided, before(scanned.after), start + scanned.end)
}

#[pymethods]
impl Core {
    #[new]
    fn new() -> Self {
        Core {
            shared: Arc::new(Shared {
                program: Mutex::new(Arc::new(Program::new())),
                workers: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Add to the program what is in some JSON. Raises `ValueError` for what is no program.
    fn extend(&self, py: Python<'_>, data: PyBackedBytes) -> PyResult<()> {
        py.detach(|| {
            let program = self.shared.program();
            let extended = program.with(&data)?;
            *unpoisoned(self.shared.program.lock()) = Arc::new(extended);
            Ok(())
        })
        .map_err(PyValueError::new_err::<String>)
    }

    /// Decide the lines of a block from an offset on, without holding Python's lock: `Lines`.
    ///
    /// Where `record` is given they are records of an event log, and it is the number of the first.
    #[pyo3(signature = (block, start, *, whole, unmet, limit, sampling, last, record=None))]
    #[allow(clippy::too_many_arguments)]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        block: PyBackedBytes,
        start: usize,
        whole: usize,
        unmet: usize,
        limit: usize,
        sampling: bool,
        last: bool,
        record: Option<usize>,
    ) -> PyResult<Lines<'py>> {
        let text = block
            .get(start..)
            .ok_or_else(|| PyValueError::new_err("the offset is behind the block"))?;
        let wanted = Wanted {
            whole,
            unmet,
            limit,
            sampling,
            record,
            last,
        };
        let scanned = py
            .detach(|| self.shared.scan(&self.shared.program(), text, &wanted))
            .ok_or_else(failed)?;
        Ok(lines(py, text, start, scanned))
    }

    /// `scan` of a whole block by one of so many threads, with the program as it is now.
    fn submit(
        &self,
        block: PyBackedBytes,
        unmet: usize,
        limit: usize,
        last: bool,
        threads: usize,
    ) -> PendingLines {
        let wanted = Wanted {
            whole: 0,
            unmet,
            limit,
            sampling: true,
            record: None,
            last,
        };
        let block = Arc::new(block);
        let (shared, program, text) =
            (Arc::clone(&self.shared), self.shared.program(), Arc::clone(&block));
        let scanned = pool::run(threads, move || shared.scan(&program, &text, &wanted));
        PendingLines {
            block,
            scanned: Mutex::new(scanned),
        }
    }
}

#[pymethods]
impl PendingLines {
    /// What `Core.scan` gives; once.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Lines<'py>> {
        let scanned = py
            .detach(|| unpoisoned(self.scanned.lock()).recv().ok().flatten())
            .ok_or_else(failed)?;
        Ok(lines(py, &self.block, 0, scanned))
    }
}

/// Convert chunks of an event log, one behind the other, by one of so many threads.
#[pyfunction]
fn convert_chunks(chunks: PyBackedBytes, threads: usize) -> PendingChunks {
    PendingChunks {
        converted: Mutex::new(pool::run(threads, move || event_log::convert(&chunks))),
    }
}

#[pymethods]
impl PendingChunks {
    /// For each chunk whether its checksums are right, and the records as lines of JSON with their
    /// numbers; `None` in their place for a chunk that Python is to read.
    #[allow(clippy::type_complexity)]
    fn result<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(bool, Option<(Bound<'py, PyBytes>, Vec<u64>)>)>> {
        let converted = py
            .detach(|| unpoisoned(self.converted.lock()).recv().ok())
            .ok_or_else(failed)?;
        let given = converted.into_iter().map(|(intact, lines)| {
            (intact, lines.map(|lines| (PyBytes::new(py, &lines.text), lines.numbers)))
        });
        Ok(given.collect())
    }
}

#[pymodule]
fn carengine_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("PROGRAM", program::VERSION)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // The release of the package `evtx` that is made of the same crate.
    module.add("EVTX", "0.14.0")?;
    module.add_function(wrap_pyfunction!(convert_chunks, module)?)?;
    module.add_class::<PendingLines>()?;
    module.add_class::<PendingChunks>()?;
    module.add_class::<Core>()
}
