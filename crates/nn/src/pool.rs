use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::Result;
use crate::executable::{Executable, Program};
use crate::runtime::Runtime;
use crate::{ExecutionReport, LoadOptions, TensorInfo};

/// The executables of one network: one for each worker that may run at once, each with its own threads.
#[derive(Debug)]
pub struct ExecutablePool {
    all: Vec<Mutex<Executable>>,
    free: Mutex<Vec<usize>>,
    returned: Condvar,
    report: ExecutionReport,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

/// An executable lent to one worker; it goes back when dropped.
#[derive(Debug)]
pub struct Lease<'p> {
    pool: &'p ExecutablePool,
    index: usize,
    executable: MutexGuard<'p, Executable>,
}

impl ExecutablePool {
    /// Loads a network `options.workers` times.
    pub fn load<'p>(runtime: &Runtime, program: impl Into<Program<'p>>, options: &LoadOptions) -> Result<Self> {
        let program = program.into();
        let first = Executable::load(runtime, program, options)?;
        let (report, inputs, outputs) = (
            first.report().clone(),
            first.inputs().to_vec(),
            first.outputs().to_vec(),
        );
        let mut all = vec![first];
        for _ in 1..options.workers.max(1) {
            all.push(Executable::load(runtime, program, options)?);
        }
        let free = Mutex::new((0..all.len()).collect());
        let all = all.into_iter().map(Mutex::new).collect();
        Ok(Self {
            all,
            free,
            returned: Condvar::new(),
            report,
            inputs,
            outputs,
        })
    }

    /// Borrows an executable; waits for one to come back if all are lent.
    pub fn lease(&self) -> Lease<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(index) = free.pop() {
                let executable = self.all[index].lock().unwrap_or_else(PoisonError::into_inner);
                return Lease {
                    pool: self,
                    index,
                    executable,
                };
            }
            free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Number of executables.
    pub fn workers(&self) -> usize {
        self.all.len()
    }

    /// What was chosen at load.
    pub fn report(&self) -> &ExecutionReport {
        &self.report
    }

    /// Inputs in order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// Outputs in order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }
}

impl Deref for Lease<'_> {
    type Target = Executable;

    fn deref(&self) -> &Executable {
        &self.executable
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Executable {
        &mut self.executable
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.index);
        self.pool.returned.notify_one();
    }
}

/// Loaded networks by (network, weights, precision, device, threads): asking twice gives the same pool while somebody
/// still holds it.
#[derive(Debug, Default)]
pub struct ExecutableCache {
    pools: Mutex<HashMap<Key, Weak<ExecutablePool>>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    program: u128,
    weights: u128,
    options: String,
}

impl ExecutableCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pool of a network, loaded if nobody holds it.
    pub fn get<'p>(
        &self,
        runtime: &Runtime,
        program: impl Into<Program<'p>>,
        options: &LoadOptions,
    ) -> Result<Arc<ExecutablePool>> {
        let program = program.into();
        let (program_hash, weights) = program.hashes()?;
        let options_text = format!(
            "{} {} {} {} {} {} {:?}",
            options.device,
            options.precision,
            options.weights,
            options.threads,
            options.workers,
            options.spinning,
            options.form
        );
        let key = Key {
            program: program_hash,
            weights,
            options: options_text,
        };
        // Held while loading: two callers of one network load it once.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&key).and_then(Weak::upgrade) {
            return Ok(pool);
        }
        let pool = Arc::new(ExecutablePool::load(runtime, program, options)?);
        pools.retain(|_, known| known.strong_count() > 0);
        pools.insert(key, Arc::downgrade(&pool));
        Ok(pool)
    }
}
