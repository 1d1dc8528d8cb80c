//! Decides, for `carengine`, which lines of JSON no rule matches, and counts them.
//!
//! Python compiles rules and field maps to a plain program (`Core.extend`). A block of lines
//! (`Core.scan`) then comes back as the lines that Python has to read, each with what was counted
//! before it. A line that could be read in more than one way is always among them.

mod finder;
mod json;
mod lines;
mod matcher;
mod program;
mod text;
mod values;

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use lines::{Holding, Passed, Reason, Wanted, Worker};
use program::Program;

/// What was counted before a line: records, blank lines, numbers by leaf, the latest time.
type Before = (usize, usize, Vec<(usize, usize)>, Option<i64>);

/// A program, and the threads' memories of it.
#[pyclass(frozen)]
struct Core {
    program: Mutex<Arc<Program>>,
    workers: Mutex<Vec<Worker>>,
}

fn before(passed: Passed) -> Before {
    (passed.records, passed.blank, passed.counts, passed.time)
}

fn unpoisoned<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    fn program(&self) -> Arc<Program> {
        Arc::clone(&*unpoisoned(self.program.lock()))
    }
}

#[pymethods]
impl Core {
    #[new]
    fn new() -> Self {
        Core {
            program: Mutex::new(Arc::new(Program::new())),
            workers: Mutex::new(Vec::new()),
        }
    }

    /// Add to the program what is in some JSON. Raises `ValueError` for what is no program.
    fn extend(&self, py: Python<'_>, data: PyBackedBytes) -> PyResult<()> {
        py.detach(|| {
            let program = self.program();
            let extended = program.with(&data)?;
            *unpoisoned(self.program.lock()) = Arc::new(extended);
            Ok(())
        })
        .map_err(PyValueError::new_err::<String>)
    }

    /// Decide the lines of a block from an offset on, without holding Python's lock.
    ///
    /// Gives the lines that Python is to read, each as its bytes, what was counted before it, the
    /// reason, whether it is a sample and, where all is known, its node and the stages that hold; what was counted after them; and the offset behind the
    /// last line that was looked at.
    #[pyo3(signature = (block, start, *, whole, unmet, limit, sampling, last))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)]
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
    ) -> PyResult<(
        Vec<(Bound<'py, PyBytes>, Before, u8, bool, Option<Holding>)>,
        Before,
        usize,
    )> {
        let text = block
            .get(start..)
            .ok_or_else(|| PyValueError::new_err("the offset is behind the block"))?;
        let wanted = Wanted {
            whole,
            unmet,
            limit,
            sampling,
            last,
        };
        let scanned = py
            .detach(|| {
                let program = self.program();
                let worker = unpoisoned(self.workers.lock()).pop();
                let mut worker = worker.unwrap_or_else(Worker::new);
                let scan = std::panic::AssertUnwindSafe(|| worker.scan(&program, text, &wanted));
                let scanned = std::panic::catch_unwind(scan);
                if scanned.is_ok() {
                    unpoisoned(self.workers.lock()).push(worker);
                }
                scanned
            })
            .map_err(|_| PyRuntimeError::new_err("the native core failed"))?;
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
        Ok((undecided, before(scanned.after), start + scanned.end))
    }
}

#[pymodule]
fn carengine_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("PROGRAM", program::VERSION)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Core>()
}
