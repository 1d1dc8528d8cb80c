//! Threads that work through what they are given, in order, for the life of the process.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    /// The process that the threads are of: a forked one has none of them.
    process: u32,
    jobs: Sender<Job>,
    waiting: Arc<Mutex<Receiver<Job>>>,
    threads: usize,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// Do some work in one of so many threads; the receiver gets what comes of it, or nothing where the
/// work panics.
pub fn run<T: Send + 'static>(
    threads: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (done, result) = channel();
    let job: Job = Box::new(move || {
        let _ = done.send(work());
    });
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.as_ref().is_some_and(|pool| pool.process != std::process::id()) {
        *pool = None;
    }
    let pool = pool.get_or_insert_with(|| {
        let (jobs, waiting) = channel();
        Pool {
            process: std::process::id(),
            jobs,
            waiting: Arc::new(Mutex::new(waiting)),
            threads: 0,
        }
    });
    while pool.threads < threads.max(1) {
        let waiting = Arc::clone(&pool.waiting);
        if thread::Builder::new().spawn(move || work_through(&waiting)).is_err() {
            break;
        }
        pool.threads += 1;
    }
    if pool.threads == 0 {
        job();
    } else if let Err(refused) = pool.jobs.send(job) {
        (refused.0)();
    }
    result
}

fn work_through(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        // Whoever waits for it sees that nothing comes.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}
