//! `nfa-train` with two models, a dataset and two laws of one's own.

mod conv_net;
mod diagonal_nfa;
mod gated_mlp;
mod products;
mod unit_balance;

use nfa_train::App;

fn main() -> std::process::ExitCode {
    App::standard()
        .models(|models| models.with::<gated_mlp::GatedMlpSpec>().with::<conv_net::ConvNetSpec>())
        .data(|data| data.with::<products::Products>())
        .laws(|laws| laws.with(unit_balance::LAW).with(diagonal_nfa::LAW))
        .main()
}
