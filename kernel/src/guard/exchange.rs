//! A request of one CPU to another, and its answer: one at a time, and each with a number, so that an
//! answer that comes too late is nobody's.

/// Whoever asks puts a question here and waits; whoever is asked takes it, and puts the answer here.
#[derive(Clone, Copy, Debug)]
pub enum Exchange<Q, A> {
    /// Nobody asks.
    Idle,
    /// This CPU is asked.
    Asked(u32, u64, Q),
    /// The CPU is at it.
    Taken(u64),
    /// It has answered.
    Answered(u64, A),
}

impl<Q: Copy, A> Exchange<Q, A> {
    /// Asks a CPU. `number` is no other question's; what was asked before is given up.
    pub fn ask(&mut self, (cpu, number): (u32, u64), question: Q) {
        *self = Self::Asked(cpu, number, question);
    }

    /// What `cpu` is asked, and its number: it is at it from now on.
    pub fn take(&mut self, cpu: u32) -> Option<(u64, Q)> {
        match *self {
            Self::Asked(asked, number, question) if asked == cpu => {
                *self = Self::Taken(number);
                Some((number, question))
            }
            Self::Idle | Self::Asked(..) | Self::Taken(_) | Self::Answered(..) => None,
        }
    }

    /// Answers the question of this number.
    ///
    /// # Errors
    /// Nobody waits for it any more: the answer comes back.
    pub fn answer(&mut self, number: u64, answer: A) -> Result<(), A> {
        match self {
            Self::Taken(taken) if *taken == number => {
                *self = Self::Answered(number, answer);
                Ok(())
            }
            Self::Idle | Self::Asked(..) | Self::Taken(_) | Self::Answered(..) => Err(answer),
        }
    }

    /// Whether the question of this number is answered.
    #[must_use]
    pub const fn is_answered(&self, number: u64) -> bool {
        matches!(self, Self::Answered(answered, _) if *answered == number)
    }

    /// Ends the question of this number: its answer, or `None` if there is none yet and none is waited
    /// for any more.
    pub fn end(&mut self, number: u64) -> Option<A> {
        let is_this = match self {
            Self::Idle => false,
            Self::Asked(_, asked, _) | Self::Taken(asked) | Self::Answered(asked, _) => {
                *asked == number
            }
        };
        if !is_this {
            return None;
        }
        match core::mem::replace(self, Self::Idle) {
            Self::Answered(_, answer) => Some(answer),
            Self::Idle | Self::Asked(..) | Self::Taken(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_taken_by_whom_it_is_for_and_once() {
        let mut exchange: Exchange<&str, u64> = Exchange::Idle;
        assert_eq!(exchange.take(1), None);
        exchange.ask((1, 2), "first");
        assert_eq!(exchange.take(0), None);
        assert_eq!(exchange.take(1), Some((2, "first")));
        assert_eq!(exchange.take(1), None);
        assert!(!exchange.is_answered(2));
        assert_eq!(exchange.answer(2, 7), Ok(()));
        assert!(exchange.is_answered(2));
        assert_eq!((exchange.end(2), exchange.end(2)), (Some(7), None));
    }

    #[test]
    fn an_answer_that_comes_late_is_not_the_next_question_s() {
        let mut exchange: Exchange<&str, u64> = Exchange::Idle;
        exchange.ask((1, 2), "first");
        assert_eq!(exchange.take(1), Some((2, "first")));
        assert_eq!(exchange.end(2), None);
        exchange.ask((1, 4), "second");
        assert_eq!(exchange.answer(2, 7), Err(7));
        assert!(!exchange.is_answered(4));
        assert_eq!(exchange.take(1), Some((4, "second")));
        assert_eq!(exchange.answer(2, 7), Err(7));
        assert_eq!(exchange.answer(4, 9), Ok(()));
        assert_eq!(exchange.answer(2, 7), Err(7));
        assert_eq!((exchange.end(2), exchange.end(4)), (None, Some(9)));
    }

    #[test]
    fn what_was_given_up_is_not_taken() {
        let mut exchange: Exchange<&str, u64> = Exchange::Idle;
        exchange.ask((1, 2), "first");
        assert_eq!(exchange.end(2), None);
        assert_eq!(exchange.take(1), None);
    }
}
