//! Tests that measure want the machine for themselves; all others may run side by side.
//!
//! Not a read-write lock: a test may hold two worlds, and must not wait for itself because somebody who wants quiet waits
//! in between. So whoever wants quiet waits until nobody else is there, which comes at the end at the latest.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static PRESENT: Mutex<Present> = Mutex::new(Present { many: 0, alone: false });
static CHANGED: Condvar = Condvar::new();

struct Present {
    many: usize,
    alone: bool,
}

fn present() -> MutexGuard<'static, Present> {
    PRESENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Being there, beside others or alone.
pub(super) enum Presence {
    Beside,
    Alone,
}

impl Presence {
    pub(super) fn beside_others() -> Presence {
        let mut present = CHANGED.wait_while(present(), |present| present.alone).unwrap_or_else(PoisonError::into_inner);
        present.many += 1;
        Presence::Beside
    }

    pub(super) fn alone() -> Presence {
        let taken = |present: &mut Present| present.alone || present.many > 0;
        CHANGED.wait_while(present(), taken).unwrap_or_else(PoisonError::into_inner).alone = true;
        Presence::Alone
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        match self {
            Presence::Beside => present().many -= 1,
            Presence::Alone => present().alone = false,
        }
        CHANGED.notify_all();
    }
}
