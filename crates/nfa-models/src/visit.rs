//! Walks over the parameters of a Burn module.

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::parameters::Parameter;

#[derive(Default)]
pub(crate) struct Collect {
    path: Vec<String>,
    pub(crate) entries: Vec<Parameter>,
}

impl Collect {
    fn push<const D: usize>(&mut self, value: Tensor<D>) {
        let shape = value.dims().to_vec();
        let count = shape.iter().product::<usize>();
        self.entries.push(Parameter { name: self.path.join("."), shape, value: value.reshape([count]) });
    }
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(param.val().inner());
    }
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

pub(crate) struct CollectGradients<'a> {
    pub(crate) gradients: &'a mut burn::tensor::Gradients,
    pub(crate) collect: Collect,
}

impl ModuleVisitor for CollectGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        // A parameter that the loss doesn't reach has gradient 0.
        let gradient = value.grad_remove(self.gradients).unwrap_or_else(|| value.inner().zeros_like());
        self.collect.push(gradient);
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.collect.enter_module(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.collect.exit_module(name, container);
    }
}

pub(crate) struct Replace {
    pub(crate) values: Vec<Parameter>,
    pub(crate) next: usize,
}

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = self.values[self.next].value.clone();
        self.next += 1;
        param.map(|old| {
            let (device, dtype, shape) = (old.device(), old.dtype(), old.dims());
            value.to_device(&device).cast(dtype).reshape(shape)
        })
    }
}

pub(crate) struct Track;

impl ModuleMapper for Track {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.inner().autodiff().require_grad())
    }
}
