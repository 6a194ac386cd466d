//! `secret`, `guard`, `share`, `dataalias`: memory that somebody owns.

use blockmap::machine::PhysAddr;
use blockmap::vmsa::Change;
use blockmap_kernel::monitor::{Guard, Power, Secret, Share};

use super::{Monitor, say};
use crate::console::println;
use crate::cpus;
use crate::owners::guard::{self, Request};
use crate::owners::secret::{self, Sizes};
use crate::owners::{hotplug, share};

impl Monitor<'_> {
    pub(super) fn guard(&self, what: Guard) {
        let on = |cpu: Option<u32>| cpu.unwrap_or_else(cpus::own);
        match what {
            Guard::On => {
                let comes = self.command_line.options().guard_pool;
                say(self.counted(|| guard::begin(self.system, (comes, None))));
                Self::guard_state();
            }
            Guard::Off => say(self.counted(|| guard::end(self.system))),
            Guard::Alloc(bytes, cpu) => {
                match self.counted(|| guard::ask(on(cpu), Request::Take(bytes))) {
                    Ok(address) => println!("{address}"),
                    Err(error) => println!("refused: {error}"),
                }
            }
            Guard::Free(address, cpu) => {
                let freed = self.counted(|| guard::ask(on(cpu), Request::Give(address)));
                say(freed.map(drop));
            }
        }
    }

    pub(super) fn share(&self, what: Share) {
        match what {
            Share::Take(order, times) => {
                for _ in 0..times {
                    match self.counted(|| share::take(self.system, order)) {
                        Ok(number) => println!("share {number}"),
                        Err(error) => {
                            println!("refused: {error}");
                            break;
                        }
                    }
                }
            }
            Share::Free(number) => say(self.counted(|| share::free(self.system, number))),
            Share::List => {
                share::list().for_each(|(number, memory)| println!("share {number}: {memory}"));
                let (given, back) = share::called();
                println!("the hypervisor was given {given:#x} bytes, and gave back {back:#x}");
            }
            Share::Answer(host) => {
                share::answer(host);
                println!("done");
            }
        }
    }

    pub(super) fn hot_add(&self, memory: (PhysAddr, u64)) {
        say(self.counted(|| hotplug::add(self.system, memory)));
    }

    pub(super) fn data_alias(&self, power: Power) {
        let change = match power {
            Power::On => Change::Valid,
            Power::Off => Change::Invalid,
        };
        say(self.counted(|| self.system.change_data_alias(change)));
    }

    fn guard_state() {
        if let Some((memory, taken, objects)) = guard::state() {
            println!("guard pool: {memory}, {taken} of {objects} objects taken");
        }
    }

    pub(super) fn secret(&self, what: Secret) {
        match what {
            Secret::Take(count, order) => {
                let sizes = order.map_or(Sizes::Largest(count), |order| Sizes::Equal(count, order));
                match self.counted(|| secret::take(self.system, sizes)) {
                    Ok(secret) => say_secret(secret),
                    Err(error) => println!("refused: {error}"),
                }
            }
            Secret::Free(number) => say(self.counted(|| secret::free(self.system, number))),
            Secret::List => secret::list().for_each(say_secret),
        }
    }
}

/// A line for a secret, and one for each of its pieces.
fn say_secret(secret: secret::Secret) {
    let secret::Secret { number, view, pieces } = secret;
    match view {
        Some(view) => println!("secret {number}: {pieces} pieces, seen by its owner at {view}"),
        None => println!("secret {number}: empty"),
    }
    secret::pieces(number).for_each(|piece| println!("  gone from {piece}"));
}
