//! AGOPs of any model at what it names in its forward pass.

use burn::tensor::Tensor;
use nfa_models::{Sites, SitesError};

use crate::matrix::psd::Psd;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::sites::SitesOnRows;
use crate::observe::layout::Layout;

/// AGOPs of a model's outputs at every site of its forward pass, in order of appearance: at a map, through this map
/// alone; at a value, of all that reads it.
///
/// Exact: about one forward and backward pass per output, for all sites together. With weights and laws too it is
/// [`observe_forward`](crate::observe_forward).
///
/// ```
/// use burn::tensor::{DType, Device, Tensor, activation};
/// let device = Device::flex();
/// let w = Tensor::<2>::from_data([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]], (&device, DType::F64));
/// let v = Tensor::<2>::from_data([[1.0, 0.0, 2.0]], (&device, DType::F64));
/// let x = Tensor::<2>::from_data([[0.3, 0.1], [1.0, 2.0]], (&device, DType::F64));
/// let sites = nfa_metrics::observe(&x, |x, at| {
///     let h = activation::tanh(at.dense("first", x, w.clone(), None));
///     at.value("hidden", h).matmul(v.clone().transpose())
/// })?;
/// assert_eq!(sites[1].0, "hidden");
/// assert!((sites[1].1.matrix()[(2, 2)] - 4.0).abs() < 1e-14); // VᵀV
/// # Ok::<(), nfa_metrics::SitesError>(())
/// ```
///
/// # Shapes
/// x: `[n, d]`, f: `[n, d]` → `[n, c]`
///
/// # Errors
/// A model that couples rows, names that don't add up: see [`SitesError`].
pub fn observe(
    x: &Tensor<2>,
    f: impl Fn(Tensor<2>, &mut Sites) -> Tensor<2> + Sync,
) -> Result<Vec<(String, Psd)>, SitesError> {
    let layout = Layout::new(&f, x)?;
    let options = AgopOptions { frames: false, ..AgopOptions::default() };
    let agops = SitesOnRows { forward: &f, layout: &layout, x, weights: None, options: &options }.agops()?;
    let named = layout.sites.iter().zip(agops).filter_map(|(placed, agop)| Some((placed.site.name.clone(), agop?)));
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::agop::network::observe_network;
    use crate::observe::jacobian::to_host;
    use burn::tensor::{DType, Device, TensorData, activation};
    use nfa_models::{Activation, Mlp, Stream};

    fn tensor(name: &str, rows: usize, cols: usize) -> Tensor<2> {
        let data = Stream::root(41).fork(name).normals(rows * cols);
        Tensor::from_data(TensorData::new(data, [rows, cols]), (&Device::flex(), DType::F64))
    }

    #[test]
    fn values_and_maps_of_a_chain_see_what_the_networks_layers_see() {
        let weights = vec![tensor("0", 6, 4), tensor("1", 5, 6), tensor("2", 3, 5)];
        let network = Mlp::new(weights.clone(), vec![None, None, None], vec![Activation::Tanh; 2]).expect("chains");
        let x = tensor("x", 9, 4);
        let sites = observe(&x, |x, at| {
            let mut h = x;
            for (l, w) in weights.iter().enumerate() {
                h = at.value(format!("value {l}"), h);
                h = at.dense(format!("map {l}"), h, w.clone(), None);
                if l < 2 {
                    h = activation::tanh(h);
                }
            }
            h
        })
        .expect("rows are independent");
        assert_eq!(sites.len(), 6);
        let whole = observe_network(&network, &x, None, &AgopOptions::default()).expect("has sites");
        for (l, layer) in whole.layers.iter().enumerate() {
            let expected = layer.agop.as_ref().expect("observed").matrix();
            for (name, agop) in &sites[2 * l..2 * l + 2] {
                let error = crate::matrix::squared_norm(&(agop.matrix() - expected)).sqrt();
                assert!(error <= 1e-12 * crate::matrix::squared_norm(expected).sqrt(), "{name}: {error:e}");
            }
        }
    }

    #[test]
    fn weights_that_are_trained_are_measured_as_others_are() {
        // On the tape's device parameters are tracked; passes over the same samples must not share a tape.
        use burn::module::Param;
        use burn::nn::{Linear, LinearConfig};
        let (tape, x) = (Device::flex().autodiff(), tensor("x", 700, 4).cast(DType::F32));
        let tracked = [LinearConfig::new(4, 5).init(&tape), LinearConfig::new(5, 3).init(&tape)];
        let found = |layers: [Linear; 2]| {
            let sites = observe(&x, move |x, at| {
                let z = at.linear("first", x, &layers[0]);
                let h = at.activation(z, activation::tanh);
                let z = at.linear("second", h, &layers[1]);
                z.clone() * z
            });
            sites.expect("rows are independent").into_iter().map(|(_, agop)| agop.matrix().clone()).collect::<Vec<_>>()
        };
        let off = |layer: &Linear| Linear {
            weight: Param::from_tensor(layer.weight.val().inner()),
            bias: layer.bias.as_ref().map(|bias| Param::from_tensor(bias.val().inner())),
        };
        let plain = found([off(&tracked[0]), off(&tracked[1])]);
        assert!(tracked.iter().all(|layer| layer.weight.val().is_tracked()));
        assert!(plain.iter().all(|agop| crate::matrix::squared_norm(agop) > 0.0));
        assert_eq!(found(tracked), plain);
    }

    #[test]
    fn positions_add_up_and_what_cannot_be_measured_is_refused() {
        // Two positions of width 2: f = sum of both through the same map.
        let (w, x) = (tensor("w", 3, 2), tensor("x", 5, 4));
        let sites = observe(&x, |x, at| {
            let n = x.dims()[0];
            let h: Tensor<3> = at.value("tokens", x.reshape([n, 2, 2]));
            at.dense("map", h, w.clone(), None).sum_dim(1).reshape([n, 3])
        })
        .expect("rows are independent");
        let gram = to_host(w.clone().transpose().matmul(w.clone()));
        for (_, agop) in &sites {
            assert!(crate::matrix::squared_norm(&(agop.matrix() - &gram * 2.0)).sqrt() < 1e-12);
        }
        let refused = |f: &(dyn Fn(Tensor<2>, &mut Sites) -> Tensor<2> + Sync)| observe(&x, f).err();
        let coupled = refused(&|x, at| at.value("x", x.clone()) - x.mean_dim(0));
        assert!(matches!(coupled, Some(SitesError::RowsCoupled { .. })));
        let (one, other, wide) = (tensor("a", 4, 4), tensor("b", 4, 4), tensor("c", 2, 8));
        let twice = refused(&|x, at| {
            let h = at.dense("a", x, one.clone(), None);
            at.dense("a", h, other.clone(), None)
        });
        assert_eq!(twice, Some(SitesError::Repeated("a".into())));
        assert_eq!(refused(&|x, _| x), Some(SitesError::NoSite));
        let uneven = refused(&|x, at| {
            let z = at.dense("qkv", x, one.clone(), None);
            at.split("qkv", &[("q", 2), ("k", 1)]);
            z
        });
        assert!(matches!(uneven, Some(SitesError::Uneven { outputs: 4, .. })));
        let unknown = refused(&|x, at| {
            at.heads("q", 2);
            at.value("x", x)
        });
        assert_eq!(unknown, Some(SitesError::Unknown { what: "heads", name: "q".into() }));
        // Noise: the same rows don't have the same outputs.
        let noisy = refused(&|x, at| {
            let [n, _] = x.dims();
            let each = (0..n * 4).map(|i| (i % 5 + 1) as f64 * 0.1).collect::<Vec<_>>();
            let noise = Tensor::<2>::from_data(TensorData::new(each, [n, 4]), (&x.device(), DType::F64));
            at.value("x", x) * noise
        });
        assert_eq!(noisy, Some(SitesError::CopiesDiffer));
        // Burn's batch normalisation takes the statistics of the batch where it is differentiated.
        let norm = burn::nn::BatchNormConfig::new(4).init(&Device::flex());
        let normed = refused(&|x, at| {
            let n = x.dims()[0];
            let h = norm.forward(at.value("x", x).reshape([n, 4, 1]).cast(DType::F32));
            h.reshape([n, 4])
        });
        assert_eq!(normed, Some(SitesError::CopiesDiffer));
        let width = refused(&|x, at| {
            let h = at.dense("a", x, one.clone(), None);
            let y = at.dense("b", Tensor::cat(vec![h.clone(), h], 1), wide.clone(), None);
            at.follows("a", "b");
            y
        });
        let misfit = SitesError::Misfit { before: "a".into(), writes: 4, after: "b".into(), reads: 8 };
        assert_eq!(width, Some(misfit));
        let summed = refused(&|x, at| {
            let h = at.value("x", x);
            at.activation(h, |h| activation::softmax(h, 1))
        });
        assert_eq!(summed, Some(SitesError::NotEntrywise));
        let listed = refused(&|x, at| at.value("a,b", x));
        assert_eq!(listed, Some(SitesError::Name("a,b".into())));
        let head = refused(&|x, at| {
            let z = at.dense("a", x, one.clone(), None);
            at.heads("a", 2);
            at.value("a.head1", z)
        });
        assert_eq!(head, Some(SitesError::Repeated("a.head1".into())));
        // Tokens first: the batch can't be told apart.
        let turned = refused(&|x, at| {
            let n = x.dims()[0];
            let h: Tensor<3> = x.reshape([n, 4, 1]).swap_dims(0, 1);
            at.value("h", h).swap_dims(0, 1).reshape([n, 4])
        });
        assert_eq!(turned, Some(SitesError::NotRows("h".into())));
    }
}
