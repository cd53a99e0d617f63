//! Training of chains of dense layers on the CPU without Burn: [`fused`].
//!
//! The same steps as through Burn's autodiff (a test holds them equal), with every buffer allocated
//! once, activations vectorised and the update rule applied to a gradient that is still in the cache.
//! A step is two parallel passes: over blocks of rows, forward and backward; and over tiles of the
//! parameters, gradient and update. Neither depends on the number of threads.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_models::host::gemm::{Into, product};
use nfa_models::host::{Cores, Real};
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Parameters};
use rayon::prelude::*;

use crate::record::theory::DecayLaw;
use crate::train::decay::Decay;
use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};
use crate::train::first_order::slices;
use crate::train::host::block::{Block, Data};
use crate::train::host::shape::{Shape, Tile};
use crate::train::loss::criterion::Criterion;
use crate::train::objective::Objective;
use crate::train::problem::Problem;
use crate::train::rate::Rate;
use crate::train::rows::{Batches, HostRows};
use crate::train::setting::Setting;
use crate::train::solver::{Solver, State, StateError, Step, StepError, Stretch, Watch};

mod block;
pub(in crate::train) mod shape;

/// A first-order solver that trains the [`Problem`] of its setting on the host, where there is one. It
/// reads the rows that the problem was made with, whatever objective a step is given.
pub fn fused<R: Rule<N>, const N: usize>(rule: R, setting: &Setting<'_>) -> Option<Box<dyn Solver>> {
    let problem = setting.problem.as_ref()?;
    let rows = problem.training.host_rows()?;
    Some(match problem.dtype {
        DType::F64 => Box::new(Fused::<f64, R, N>::new(rule, setting, problem, rows)),
        _ => Box::new(Fused::<f32, R, N>::new(rule, setting, problem, rows)),
    })
}

/// Blocks of rows that a step is split into, at most.
const BLOCKS: usize = 16;
/// A block has at least so many rows: below, products lose more than a core brings.
const BLOCK_ROWS: usize = 250;
/// A step of fewer multiplications forward stays on one core: two would wait for each other as long as they work.
const ALONE: usize = 1 << 20;
/// Rows that are in flight at once: what they leave behind stays in the cache.
const WAVE_ROWS: usize = 4096;

struct Fused<T, R, const N: usize> {
    rule: R,
    rate: Rate,
    decay: Decay,
    shape: Shape,
    criterion: Criterion,
    names: Vec<String>,
    device: Device,
    rows: Rows<T>,
    blocks: Vec<Block<T>>,
    value: Vec<T>,
    /// Transposed weights, of the layers that want them.
    turned: Vec<Vec<T>>,
    gradient: Vec<T>,
    memory: [Vec<T>; N],
    steps: u64,
    /// Whether `value` is the network's.
    loaded: bool,
}

/// All rows, and buffers for those of a batch.
struct Rows<T> {
    inputs: Vec<T>,
    targets: Vec<T>,
    weights: Option<Vec<T>>,
    count: usize,
    batches: Option<Batches>,
    picked: (Vec<T>, Vec<T>, Option<Vec<T>>),
}

impl<T: Real> Rows<T> {
    fn new(rows: HostRows, inputs: usize, outputs: usize) -> Self {
        let narrow = |values: Vec<f64>| values.into_iter().map(T::from_f64).collect::<Vec<T>>();
        let size = rows.batches.as_ref().map_or(0, Batches::size);
        let zeros = |count: usize| vec![T::from_f64(0.0); count];
        Rows {
            picked: (zeros(size * inputs), zeros(size * outputs), rows.weights.is_some().then(|| zeros(size))),
            inputs: narrow(rows.inputs),
            targets: narrow(rows.targets),
            weights: rows.weights.map(narrow),
            count: rows.count,
            batches: rows.batches,
        }
    }

    /// The rows of a step, and how many.
    fn of(&mut self, step: u64, d: usize, c: usize) -> (Data<'_, T>, usize) {
        let Some(batches) = &mut self.batches else {
            let n = self.inputs.len() / d;
            let weights = self.weights.as_deref();
            let data = Data { inputs: &self.inputs, targets: &self.targets, weights, count: self.count };
            return (data, n);
        };
        let rows = batches.rows(step);
        let (inputs, targets, weights) = &mut self.picked;
        pick(inputs, &self.inputs, rows, d);
        pick(targets, &self.targets, rows, c);
        if let (Some(weights), Some(all)) = (weights.as_mut(), &self.weights) {
            pick(weights, all, rows, 1);
        }
        let n = rows.len();
        (Data { inputs, targets, weights: weights.as_deref(), count: n }, n)
    }
}

fn pick<T: Copy>(into: &mut [T], all: &[T], rows: &[usize], width: usize) {
    for (to, &row) in into.chunks_exact_mut(width).zip(rows) {
        to.copy_from_slice(&all[row * width..(row + 1) * width]);
    }
}

/// How many blocks a wave of so many rows is split into: a function of the problem alone.
fn blocks_of(rows: usize, numbers: usize) -> usize {
    if rows * numbers < ALONE {
        return 1;
    }
    let most = (rows / BLOCK_ROWS).clamp(1, BLOCKS);
    // A power of two, so that they are shared out evenly.
    1 << most.ilog2()
}

impl<T: Real + Entry, R: Rule<N>, const N: usize> Fused<T, R, N> {
    fn new(rule: R, setting: &Setting<'_>, problem: &Problem<'_>, rows: HostRows) -> Self {
        let shape = Shape::new(&problem.widths, &problem.biases, &problem.activations, R::WHOLE);
        let rows = Rows::new(rows, shape.inputs(), shape.outputs());
        let most = rows.batches.as_ref().map_or(rows.inputs.len() / shape.inputs().max(1), Batches::size);
        let wave = most.min(WAVE_ROWS);
        let blocks = blocks_of(wave, shape.numbers);
        let zeros = || vec![T::from_f64(0.0); shape.numbers];
        Fused {
            rule,
            rate: setting.rate.clone(),
            decay: setting.decay,
            blocks: (0..blocks).map(|_| Block::new(&shape, wave.div_ceil(blocks))).collect(),
            value: zeros(),
            turned: shape
                .layers
                .iter()
                .map(|layer| if layer.turned { vec![T::from_f64(0.0); layer.out * layer.into] } else { Vec::new() })
                .collect(),
            gradient: zeros(),
            memory: std::array::from_fn(|_| zeros()),
            criterion: problem.criterion,
            names: problem.names.clone(),
            device: problem.device.clone(),
            rows,
            shape,
            steps: 0,
            loaded: false,
        }
    }

    fn load(&mut self, network: &dyn AnyNetwork) -> Result<(), StepError> {
        if self.loaded {
            return Ok(());
        }
        let mut at = 0;
        for parameter in network.parameters().iter() {
            let values = read::<T>(&parameter.value)?;
            self.value[at..at + values.len()].copy_from_slice(&values);
            at += values.len();
        }
        turn(&self.shape, &self.value, &mut self.turned);
        self.loaded = true;
        Ok(())
    }

    /// A flat vector as tensors.
    fn parameters(&self, flat: &[T]) -> Parameters {
        let mut names = self.names.iter();
        let mut entries = Vec::with_capacity(self.names.len());
        let mut push = |shape: Vec<usize>, values: &[T]| {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            let value = Tensor::from_data(data, (&self.device, T::DTYPE));
            entries.extend(names.next().map(|name| Parameter { name: name.clone(), shape, value }));
        };
        for layer in &self.shape.layers {
            push(vec![layer.out, layer.into], layer.weights(flat));
            if let Some(biases) = layer.biases(flat) {
                push(vec![layer.out], biases);
            }
        }
        Parameters::new(entries)
    }

    /// One step; its loss.
    fn once(&mut self, step: u64) -> f64 {
        let Fused { rule, decay, shape, criterion, device, rows, blocks, value, turned, gradient, memory, .. } = self;
        let (data, n) = rows.of(step, shape.inputs(), shape.outputs());
        self.steps += 1;
        let (lr, t) = (self.rate.at(step), self.steps);
        let mut loss = 0.0;
        for start in (0..n).step_by(WAVE_ROWS) {
            let wave = start..(start + WAVE_ROWS).min(n);
            let (first, last) = (start == 0, wave.end == n);
            let each = wave.len().div_ceil(blocks.len());
            let of = |k: usize| (start + k * each).min(wave.end)..(start + (k + 1) * each).min(wave.end);
            on_cores(blocks, &|k, block| block.run(shape, value, turned, *criterion, data, of(k)));
            loss += blocks.iter().map(|block| block.loss).sum::<f64>();
            let (blocks, shape) = (&*blocks, &*shape);
            let numbers = Numbers { value, gradient, memory: memory.each_mut().map(Vec::as_mut_slice) };
            let alone = n * shape.numbers < ALONE || rayon::current_num_threads() == 1;
            numbers.each(&shape.tiles, alone, &|tile, Numbers { value, gradient, memory }| {
                differentiate(tile, gradient, blocks, shape, data, first);
                if last {
                    let matrix = (!tile.bias).then_some([shape.layers[tile.layer].out, shape.layers[tile.layer].into]);
                    let turn = Turn { lr, decay: decay.of(tile.bias), matrix, t };
                    slices::update(*rule, turn, device, value, gradient, memory);
                }
            });
        }
        turn(shape, value, turned);
        loss
    }
}

/// Columns of the transposed weights that are written together.
const TURN: usize = 32;

/// Brings the transposed weights up to date.
fn turn<T: Real>(shape: &Shape, value: &[T], turned: &mut [Vec<T>]) {
    for (layer, turned) in shape.layers.iter().zip(turned).filter(|(layer, _)| layer.turned) {
        let weights = layer.weights(value);
        let panel = |(k, panel): (usize, &mut [T])| {
            for start in (0..layer.out).step_by(TURN) {
                for (i, row) in panel.chunks_exact_mut(layer.out).enumerate() {
                    let column = k * TURN + i;
                    let end = (start + TURN).min(layer.out);
                    for (o, to) in (start..end).zip(&mut row[start..end]) {
                        *to = weights[o * layer.into + column];
                    }
                }
            }
        };
        if rayon::current_num_threads() == 1 {
            turned.chunks_mut(TURN * layer.out).enumerate().for_each(panel);
        } else {
            turned.par_chunks_mut(TURN * layer.out).with_min_len(4).enumerate().for_each(panel);
        }
    }
}

/// `f` of every block with its number, on the cores of the current pool.
fn on_cores<T: Real>(blocks: &mut [Block<T>], f: &(dyn Fn(usize, &mut Block<T>) + Sync)) {
    if blocks.len() == 1 || rayon::current_num_threads() == 1 {
        blocks.iter_mut().enumerate().for_each(|(k, block)| f(k, block));
    } else {
        blocks.par_iter_mut().enumerate().with_max_len(1).for_each(|(k, block)| f(k, block));
    }
}

/// Columns of a gradient that are formed together: a panel of the layer's input is packed once for all
/// rows of the tile.
const PANEL: usize = 128;

/// The gradient of a tile, added to what earlier waves left.
fn differentiate<T: Real>(
    tile: &Tile,
    gradient: &mut [T],
    blocks: &[Block<T>],
    shape: &Shape,
    data: Data<'_, T>,
    first: bool,
) {
    let width = shape.layers[tile.layer].into;
    for (k, block) in blocks.iter().enumerate() {
        let delta = block.delta(shape, tile.layer);
        let fresh = first && k == 0;
        if tile.bias {
            if fresh {
                gradient.fill(T::from_f64(0.0));
            }
            for row in delta.row_slices() {
                gradient.iter_mut().zip(row).for_each(|(sum, &term)| *sum += term);
            }
        } else {
            let how = if fresh { Into::Set } else { Into::Add };
            let delta = delta.columns(tile.rows.clone()).t();
            let input = block.input(shape, data, tile.layer);
            for start in (0..width).step_by(PANEL) {
                let columns = start..(start + PANEL).min(width);
                product(&mut gradient[start..], width, how, delta, input.columns(columns), Cores::One);
            }
        }
    }
}

/// What a step changes, whole or of some tiles.
struct Numbers<'a, T, const N: usize> {
    value: &'a mut [T],
    gradient: &'a mut [T],
    memory: [&'a mut [T]; N],
}

impl<T: Real, const N: usize> Numbers<'_, T, N> {
    /// `f` of every tile with its numbers, on the cores of the current pool or on this one.
    fn each(self, tiles: &[Tile], alone: bool, f: &(dyn Fn(&Tile, Numbers<'_, T, N>) + Sync)) {
        match tiles {
            [] => {}
            [tile] => f(tile, self),
            _ => {
                let (left, right) = tiles.split_at(tiles.len() / 2);
                let at = right[0].numbers.start - left[0].numbers.start;
                let (value, gradient) = (self.value.split_at_mut(at), self.gradient.split_at_mut(at));
                let mut rest = std::array::from_fn(|_| Default::default());
                let mut places = rest.iter_mut();
                let memory = self.memory.map(|slot| {
                    let (before, after) = slot.split_at_mut(at);
                    if let Some(place) = places.next() {
                        *place = after;
                    }
                    before
                });
                let a = Numbers { value: value.0, gradient: gradient.0, memory };
                let b = Numbers { value: value.1, gradient: gradient.1, memory: rest };
                if alone {
                    a.each(left, alone, f);
                    b.each(right, alone, f);
                } else {
                    rayon::join(|| a.each(left, alone, f), || b.each(right, alone, f));
                }
            }
        }
    }
}

pub(crate) fn read<T: Real>(value: &Tensor<1>) -> Result<Vec<T>, StepError> {
    value.clone().inner().try_into_vec_as::<T>().map_err(|error| StepError::Device(error.to_string()))
}

impl<T: Real + Entry, R: Rule<N>, const N: usize> Solver for Fused<T, R, N> {
    fn step(&mut self, network: &mut dyn AnyNetwork, objective: &dyn Objective, step: u64) -> Result<Step, StepError> {
        let mut loss = f64::NAN;
        let stretch = self.advance(network, objective, step..step + 1, &mut |_, value| {
            loss = value;
            true
        });
        let Stretch { gradient, lr, .. } = stretch.map_err(|(_, error)| error)?;
        let loss = Tensor::from_data(TensorData::new(vec![loss], [1]), (&self.device, T::DTYPE));
        Ok(Step { loss, gradient, lr, evaluations: 1, note: None })
    }

    fn advance(
        &mut self,
        network: &mut dyn AnyNetwork,
        _: &dyn Objective,
        steps: Range<u64>,
        watch: &mut Watch<'_>,
    ) -> Result<Stretch, (u64, StepError)> {
        let start = steps.start;
        self.load(network).map_err(|error| (start, error))?;
        let mut next = start;
        // Inside the pool a parallel pass costs a microsecond or two, from outside it twenty.
        rayon::scope(|_| {
            while next < steps.end {
                let loss = self.once(next);
                next += 1;
                if !watch(next - 1, loss) {
                    break;
                }
            }
        });
        network.set_parameters(&self.parameters(&self.value)).map_err(|error| (start, error.into()))?;
        Ok(Stretch {
            next,
            gradient: self.parameters(&self.gradient),
            lr: self.rate.at(next.saturating_sub(1)),
            evaluations: next - start,
            note: None,
        })
    }

    fn state(&self) -> State {
        let slots = R::SLOTS.iter().zip(&self.memory);
        let slots = slots.map(|(name, memory)| (name.to_string(), self.parameters(memory))).collect();
        State { steps: self.steps, numbers: Vec::new(), slots }
    }

    fn restore(&mut self, state: State) -> Result<(), StateError> {
        self.loaded = false;
        self.steps = state.steps;
        self.memory.iter_mut().for_each(|memory| memory.fill(T::from_f64(0.0)));
        if state.steps == 0 {
            return Ok(());
        }
        for (values, memory) in state.entries(&R::SLOTS)?.into_iter().zip(&mut self.memory) {
            let mut at = 0;
            for parameter in values.iter() {
                let values = read::<T>(&parameter.value)?;
                let place = memory.get_mut(at..at + values.len());
                let place = place.ok_or_else(|| StateError::Mismatch("an entry of another size".into()))?;
                place.copy_from_slice(&values);
                at += values.len();
            }
        }
        Ok(())
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn decay_law(&self) -> Option<DecayLaw> {
        R::LAW
    }

    fn decouples(&self) -> bool {
        R::DECOUPLED
    }

    fn takes_batches(&self) -> bool {
        R::BATCHES
    }

    fn has_host_form(&self) -> bool {
        true
    }

    fn engine(&self) -> &'static str {
        "host"
    }
}
