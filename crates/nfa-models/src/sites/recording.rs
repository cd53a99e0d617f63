//! Remembers the maps of one forward pass.

use std::ops::Range;
use std::rc::Rc;

use burn::tensor::{DType, Device, Tensor};

use crate::sites::fault::SitesError;
use crate::sites::record::{Kept, Record, Site};
use crate::sites::used::{Input, Take, Use};

/// Remembers the maps of one forward pass.
#[derive(Debug)]
pub(super) struct Recording {
    /// How many times the batch is the same rows.
    pub(super) copies: usize,
    /// The names at which there are leaves; `None` for all.
    pub(super) only: Option<Vec<String>>,
    /// Whether what maps read is kept.
    pub(super) inputs: bool,
    /// Whether weights are kept.
    pub(super) weights: bool,
    /// What stands for a map's outputs.
    pub(super) replaced: Option<(String, Tensor<1>)>,
    /// Whether what is said of functions is held against them.
    pub(super) checks: bool,
    /// What was computed in a pass over the same rows.
    pub(super) kept: Option<Kept>,
    /// Which site reads which.
    pub(super) follows: Vec<(String, String)>,
    uses: Vec<Use>,
    /// Parts that stand for their map.
    parts: Vec<Site>,
    /// Parts beside what they are parts of.
    heads: Vec<(String, Site)>,
    skipped: Vec<(String, String)>,
    fault: Option<SitesError>,
}

/// A map that is to be remembered.
pub(super) struct Passing {
    pub(super) name: String,
    /// In paper layout; `None` for a value.
    pub(super) weight: Option<Tensor<2>>,
    pub(super) groups: usize,
    /// The axis of z that counts the outputs.
    pub(super) channels: usize,
}

impl Recording {
    pub(super) fn new(copies: usize) -> Self {
        Recording {
            copies,
            only: None,
            inputs: false,
            weights: false,
            replaced: None,
            checks: false,
            kept: None,
            follows: Vec::new(),
            uses: Vec::new(),
            parts: Vec::new(),
            heads: Vec::new(),
            skipped: Vec::new(),
            fault: None,
        }
    }

    /// A place without weights.
    pub(super) fn value<const D: usize>(&mut self, name: String, h: Tensor<D>) -> Tensor<D> {
        let passing = Passing { name, weight: None, groups: 1, channels: D - 1 };
        self.map(passing, h, |h| h, None, |_| None)
    }

    /// A map of tensors: z = f(h), and a leaf at z. `back` gives a known z the way back to h.
    pub(super) fn map<const D: usize>(
        &mut self,
        passing: Passing,
        h: Tensor<D>,
        f: impl FnOnce(Tensor<D>) -> Tensor<D>,
        back: Option<&dyn Fn(Tensor<D>, Tensor<D>) -> Tensor<D>>,
        input: impl FnOnce(Tensor<D>) -> Option<Input>,
    ) -> Tensor<D> {
        let rows = h.dims()[0];
        if !rows.is_multiple_of(self.copies) {
            self.fail(SitesError::NotRows(passing.name.clone()));
            return f(h);
        }
        // All copies are the same rows: where no leaf lies before, one of them says it all, and where z's way back is
        // known it needs no tape either.
        let once = self.copies > 1 || self.kept.is_some();
        let known = back.filter(|_| once && h.is_tracked()).map(|back| (back, h.clone()));
        let shared = self.copies > 1 && (known.is_some() || !h.is_tracked());
        let h = match (shared, known.is_some()) {
            (true, _) => h.inner().slice([0..rows / self.copies]),
            (false, true) => h.inner(),
            (false, false) => h,
        };
        let input = if self.inputs { input(h.clone()) } else { None };
        // Off the tape where it is computed once: weights that are trained would tie it to a tape that is used up.
        let z = match back.is_some() && once {
            true => self.keep(|| f(h).inner()),
            false => f(h),
        };
        let z = self.leave(passing, z, shared, input);
        match known {
            Some((back, h)) => back(h, z),
            None => z,
        }
    }

    /// A value of this pass: that of the pass before over the same rows, where there was one.
    pub(super) fn keep<V: Clone + 'static>(&mut self, value: impl FnOnce() -> V) -> V {
        let Some(kept) = &mut self.kept else { return value() };
        let known = kept.values.get(kept.at).map(|known| known.downcast_ref::<V>().cloned());
        kept.at += 1;
        match known {
            Some(Some(known)) => known,
            // Another value than before in its place: the passes differ.
            Some(None) => {
                self.fail(SitesError::Changing("between two maps".into()));
                value()
            }
            None => {
                let value = value();
                if let Some(kept) = &mut self.kept {
                    kept.values.push(Rc::new(value.clone()));
                }
                value
            }
        }
    }

    /// A leaf at z, which is of one copy where it is `shared`.
    pub(super) fn leave<const D: usize>(
        &mut self,
        passing: Passing,
        z: Tensor<D>,
        shared: bool,
        input: Option<Input>,
    ) -> Tensor<D> {
        let Passing { name, weight, groups, channels } = passing;
        let (mut shape, one) = (z.dims(), z.dims().iter().product::<usize>());
        if shared {
            shape[0] *= self.copies;
        }
        if let Some((_, numbers)) =
            self.replaced.as_ref().filter(|(own, numbers)| *own == name && numbers.dims() == [one])
        {
            return numbers.clone().reshape(shape);
        }
        let weight = weight.filter(|_| self.weights).map(Tensor::inner);
        let output = self.inputs.then(|| z.clone().inner().reshape([one]));
        let wanted = self.only.as_ref().is_none_or(|names| names.contains(&name));
        // Joined, not expanded: copying what is expanded is slower.
        let z = if shared { Tensor::cat(vec![z; self.copies], 0) } else { z };
        let (z, take) = match wanted {
            false => (z, None),
            true => {
                let (z, take) = leaf(z);
                (z, Some(take))
            }
        };
        self.uses.push(Use { name, weight, input, output, groups, take, shape: shape.to_vec(), channels });
        z
    }

    /// A map that is no site, and why.
    pub(super) fn skip(&mut self, name: String, why: String) {
        if !self.skipped.iter().any(|(own, _)| *own == name) {
            self.skipped.push((name, why));
        }
    }

    pub(super) fn split(&mut self, name: String, parts: &[(&str, usize)]) {
        let Some(outputs) = self.outputs("split", &name) else { return };
        let whole: usize = parts.iter().map(|(_, count)| count).sum();
        if whole != outputs {
            let said = parts.iter().map(|(part, count)| format!("{part} = {count}")).collect::<Vec<_>>().join(", ");
            return self.fail(SitesError::Uneven { name, said, outputs });
        }
        let mut from = 0;
        for (part, count) in parts {
            self.part(Site { name: format!("{name}.{part}"), map: name.clone(), rows: from..from + count, group: 0 });
            from += count;
        }
    }

    /// A part that stands for its map; the same again where a shared map passes again.
    pub(super) fn part(&mut self, site: Site) {
        if !self.parts.contains(&site) {
            self.parts.push(site);
        }
    }

    pub(super) fn heads(&mut self, name: String, count: usize) {
        let part = self.parts.iter().find(|part| part.name == name).cloned();
        let (map, rows) = match part {
            Some(part) => (part.map, part.rows),
            None => match self.outputs("heads", &name) {
                Some(outputs) => (name.clone(), 0..outputs),
                None => return,
            },
        };
        if count == 0 || !rows.len().is_multiple_of(count) {
            let said = format!("{count} heads");
            return self.fail(SitesError::Uneven { name, said, outputs: rows.len() });
        }
        let size = rows.len() / count;
        for i in 0..count {
            let rows: Range<usize> = rows.start + i * size..rows.start + (i + 1) * size;
            let head = (name.clone(), Site { name: format!("{name}.head{i}"), map: map.clone(), rows, group: 0 });
            if count > 1 && !self.heads.contains(&head) {
                self.heads.push(head);
            }
        }
    }

    /// The outputs of a map that has passed.
    fn outputs(&mut self, what: &'static str, name: &str) -> Option<usize> {
        let found = self.uses.iter().find(|used| used.name == name).map(Use::outputs);
        if found.is_none() && self.replaced.is_none() {
            self.fail(SitesError::Unknown { what, name: name.into() });
        }
        found
    }

    pub(super) fn fail(&mut self, fault: SitesError) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn finish(self) -> Result<Record, SitesError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut sites: Vec<Site> = Vec::new();
        for used in &self.uses {
            if sites.iter().any(|site| site.map == used.name) {
                continue;
            }
            let own = |part: &&Site| part.map == used.name;
            let mut parts: Vec<Site> = self.parts.iter().filter(own).cloned().collect();
            if parts.is_empty() {
                let (name, map) = (used.name.clone(), used.name.clone());
                parts.push(Site { name, map, rows: 0..used.outputs(), group: 0 });
            }
            for part in parts {
                let heads = self.heads.iter().filter(|(of, _)| *of == part.name).map(|(_, head)| head.clone());
                let heads: Vec<Site> = heads.collect();
                sites.push(part);
                sites.extend(heads);
            }
        }
        for (i, site) in sites.iter().enumerate() {
            // Lists of names stand in captures and on the command line.
            let plain = !site.name.is_empty() && !site.name.contains([',', ';']) && site.name.trim() == site.name;
            if !plain || site.name.contains(char::is_control) {
                return Err(SitesError::Name(site.name.clone()));
            }
            if sites[..i].iter().any(|before| before.name == site.name) {
                return Err(SitesError::Repeated(site.name.clone()));
            }
        }
        let place = |name: &String| sites.iter().position(|site| site.name == *name);
        let mut follows = Vec::with_capacity(self.follows.len());
        for (before, after) in &self.follows {
            let unknown = |name: &String| SitesError::Unknown { what: "follows", name: name.clone() };
            let pair = (place(before).ok_or_else(|| unknown(before))?, place(after).ok_or_else(|| unknown(after))?);
            if !follows.contains(&pair) {
                follows.push(pair);
            }
        }
        Ok(Record { uses: self.uses, sites, follows, skipped: self.skipped, kept: self.kept.unwrap_or_default() })
    }
}

/// z with a leaf behind it, whose gradient is z's.
fn leaf<const D: usize>(z: Tensor<D>) -> (Tensor<D>, Take) {
    if !z.is_tracked() {
        let leaf = z.inner().autodiff().require_grad();
        return (leaf.clone(), take(leaf));
    }
    let place: (Device, DType) = (z.device().inner(), z.dtype());
    // A zero of z's shape, in no memory.
    let zero: Tensor<D> = Tensor::<1>::zeros([1], (&place.0, place.1)).expand(z.dims());
    let leaf = zero.autodiff().require_grad();
    (z + leaf.clone(), take(leaf))
}

fn take<const D: usize>(leaf: Tensor<D>) -> Take {
    Box::new(move |gradients| {
        let gradient = leaf.grad_remove(gradients)?;
        let count: usize = gradient.dims().iter().product();
        Some(gradient.reshape([count]))
    })
}
