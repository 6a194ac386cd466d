//! The exceptions from the rules of form: each with its reason, and never with room to spare.

use super::{Check, Problem};

/// Every exception there is.
pub(super) const EXCEPTIONS: &[Exception] = &[];

/// An allowance for one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The rule.
    pub check: Check,
    /// The file, and `:` and a name in it for functions and dependencies.
    pub place: &'static str,
    /// The measure that is allowed: what is measured now. One for what is not measured.
    pub limit: usize,
    /// Why it is right here.
    pub reason: &'static str,
}

/// Drops the problems that an exception allows, and adds one for each exception that is too wide.
pub(super) fn apply(exceptions: &[Exception], problems: Vec<Problem>) -> Vec<Problem> {
    let mut largest = vec![0; exceptions.len()];
    let mut rest = Vec::new();
    for problem in problems {
        let at = exceptions.iter().position(|exception| {
            exception.check == problem.check && exception.place == problem.place
        });
        match at {
            Some(at) if problem.measure <= exceptions[at].limit => {
                largest[at] = problem.measure.max(largest[at]);
            }
            Some(at) => {
                largest[at] = exceptions[at].limit;
                rest.push(problem);
            }
            None => rest.push(problem),
        }
    }
    for (exception, largest) in exceptions.iter().zip(largest) {
        if largest < exception.limit {
            rest.push(too_wide(exception, largest));
        }
    }
    rest
}

fn too_wide(exception: &Exception, largest: usize) -> Problem {
    let what = match largest {
        0 => format!("its exception for {:?} is no longer needed: remove it", exception.check),
        now => format!("its exception for {:?} can be lowered to {now}", exception.check),
    };
    let place = exception.place.to_owned();
    Problem { check: Check::Exception, place, line: 0, measure: 1, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Exception =
        Exception { check: Check::FileLength, place: "a.rs", limit: 450, reason: "a table" };

    fn after(measure: usize) -> Vec<Check> {
        let problem = Problem {
            check: Check::FileLength,
            place: "a.rs".to_owned(),
            line: 0,
            measure,
            what: String::new(),
        };
        let left = apply(&[ALLOWED], vec![problem]);
        left.iter().map(|problem| problem.check).collect()
    }

    #[test]
    fn an_exception_fits_exactly() {
        assert_eq!(after(450), []);
        assert_eq!(after(451), [Check::FileLength]);
        assert_eq!(after(449), [Check::Exception]);
        assert_eq!(apply(&[ALLOWED], Vec::new())[0].check, Check::Exception);
    }
}
