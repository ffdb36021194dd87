//! Which calls fail, and how.
//!
//! Calls are counted from 0 in the order they are made, over all clones of a
//! wrapper, so that a test can walk through them: fail the first, the second, ...

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A plan of faults `F`, shared by its clones.
#[derive(Debug)]
pub struct FaultPlan<F> {
    state: Arc<Mutex<State<F>>>,
}

#[derive(Debug)]
struct State<F> {
    calls: usize,
    faults: Vec<Planned<F>>,
    stop_at: Option<usize>,
}

/// A fault, the calls it befalls by name, and how many of those go well first.
#[derive(Debug)]
struct Planned<F> {
    name_contains: String,
    skip: usize,
    times: usize,
    fault: F,
}

/// What a plan says about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict<F> {
    Pass,
    Fail(F),
    /// The process that made the call is thought to be gone.
    Stopped,
}

impl<F> FaultPlan<F> {
    /// No faults.
    pub fn none() -> Self {
        Self { state: Arc::new(Mutex::new(State { calls: 0, faults: Vec::new(), stop_at: None })) }
    }

    /// Befalls the `n`-th call from now on, counted from 0.
    pub fn fail(&self, n: usize, fault: F) {
        self.fail_on("", n, 1, fault);
    }

    /// Befalls `times` calls on names that contain `name`, after `skip` of them went well.
    pub fn fail_on(&self, name: &str, skip: usize, times: usize, fault: F) {
        self.state().faults.push(Planned { name_contains: name.to_owned(), skip, times, fault });
    }

    /// Stops everything: the call with the number `n`, counted from 0 from the beginning, and all after it, do nothing and fail.
    pub fn stop_at(&self, n: usize) {
        self.state().stop_at = Some(n);
    }

    /// Drops all faults, the stop included; the count goes on.
    pub fn clear(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.stop_at = None;
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Clone> FaultPlan<F> {
    /// Counts a call and says what befalls it. Of several faults, the first planned counts.
    pub(super) fn judge(&self, name: &str) -> Verdict<F> {
        let mut state = self.state();
        let number = state.calls;
        state.calls += 1;
        if state.stop_at.is_some_and(|stop| number >= stop) {
            return Verdict::Stopped;
        }
        state.faults.iter_mut().find_map(|planned| planned.befalls(name)).map_or(Verdict::Pass, Verdict::Fail)
    }
}

impl<F: Clone> Planned<F> {
    fn befalls(&mut self, name: &str) -> Option<F> {
        if !name.contains(&self.name_contains) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.fault.clone())
    }
}

impl<F> Clone for FaultPlan<F> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<F> Default for FaultPlan<F> {
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_befalls_the_call_it_was_planned_for() {
        let plan = FaultPlan::none();
        plan.fail(1, 'x');
        plan.fail_on("slot", 1, 1, 'y');
        let verdicts = ["a", "b", "slots/1", "slots/2", "slots/3"].map(|name| plan.judge(name));
        use Verdict::{Fail, Pass};
        assert_eq!(verdicts, [Pass, Fail('x'), Pass, Fail('y'), Pass]);
        assert_eq!(plan.calls(), 5);
    }

    #[test]
    fn after_a_stop_nothing_passes() {
        let plan = FaultPlan::<()>::none();
        plan.stop_at(1);
        assert_eq!([(); 3].map(|()| plan.judge("a")), [Verdict::Pass, Verdict::Stopped, Verdict::Stopped]);
        plan.clear();
        assert_eq!(plan.judge("a"), Verdict::Pass);
    }
}
