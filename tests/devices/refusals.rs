//! What a backend cannot do is an error that names the way out.

use nfa_train::machine::devices::{BACKENDS, Dtype, check, open};

#[test]
fn what_is_not_compiled_in_names_its_feature() {
    for backend in BACKENDS.into_iter().filter(|backend| !backend.compiled) {
        let refused = check(backend.name, Dtype::F32).unwrap_err();
        let feature = format!("--features nfa-train/{}", backend.name);
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains(&feature), "{refused}");
        assert!(backend.cards().is_empty());
    }
}

#[test]
fn f64_where_it_is_wrong_names_f32() {
    for backend in BACKENDS.into_iter().filter(|backend| backend.compiled && !backend.f64) {
        let refused = check(backend.name, Dtype::F64).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        for word in [backend.name, "--dtype f32", "--device flex"] {
            assert!(refused.to_string().contains(word), "{refused}");
        }
    }
}

#[test]
fn a_card_that_is_not_there_names_those_that_are() {
    for backend in BACKENDS.into_iter().filter(|backend| backend.compiled && backend.indexed) {
        let name = format!("{}:97", backend.name);
        let refused = open(&name, Dtype::F32).unwrap_err();
        assert_eq!(refused.exit_code(), 3, "it is the machine's, not the user's");
        for word in backend.cards().iter().map(|card| card.device.as_str()).chain([name.as_str(), "--device flex"]) {
            assert!(refused.to_string().contains(word), "{word}: {refused}");
        }
    }
}

#[test]
fn cards_are_what_open_takes() {
    for backend in BACKENDS.into_iter().filter(|backend| backend.compiled) {
        for card in backend.cards() {
            open(&card.device, Dtype::F32).unwrap();
            assert_eq!(card.name.is_some(), backend.indexed, "{card:?}");
        }
    }
}
