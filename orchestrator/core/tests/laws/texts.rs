//! Selectors and quantities.

use crate::draw::{corpus, damaged, hold};
use peapod_api::Quantity;
use peapod_api::selector::{FieldSelector, LabelSelector};
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

fn selector_law(bytes: &[u8]) -> Result<(), TestCaseError> {
    let text = String::from_utf8_lossy(bytes);
    for error in [LabelSelector::parse(&text).err(), FieldSelector::parse(&text, &["spec.nodeName"]).err()] {
        prop_assert!(error.as_ref().is_none_or(|error| error.code() == 400), "{error:?}");
    }
    Ok(())
}

#[test]
fn any_selector_is_read_or_refused() {
    corpus("selectors").iter().for_each(|text| selector_law(text).unwrap());
    hold(damaged(corpus("selectors")), |text| selector_law(&text));
}

#[test]
fn selectors_mean_what_their_parts_mean() {
    let labels = btree_map("[a-c]", "[x-z]{0,1}", 0..3);
    let part = "[a-c]|![a-c]|[a-c]=[x-z]|[a-c]!=[x-z]|[a-c] in \\([x-z],[x-z]\\)|[a-c] notin \\([x-z]\\)";
    hold((labels, part, part), |(labels, first, second)| {
        let matches = |text: &str| LabelSelector::parse(text).map(|selector| selector.matches(&labels));
        let whole = matches(&format!("{first},{second}")).unwrap();
        prop_assert_eq!(whole, matches(&first).unwrap() && matches(&second).unwrap());
        prop_assert_eq!(matches("a=x").unwrap(), matches("a in (x)").unwrap());
        prop_assert_eq!(matches("a!=x").unwrap(), matches("a notin (x)").unwrap());
        prop_assert_ne!(matches("a").unwrap(), matches("!a").unwrap());
        Ok(())
    });
}

fn quantity_law(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(quantity) = String::from_utf8_lossy(bytes).parse::<Quantity>() else { return Ok(()) };
    let canonical = quantity.to_string();
    let again: Quantity = canonical.parse().map_err(|_| TestCaseError::fail(canonical.clone()))?;
    prop_assert_eq!(again.to_string(), canonical);
    prop_assert!(again == quantity && again.value() == quantity.value());
    prop_assert_eq!(again.is_negative(), quantity.is_negative());
    Ok(())
}

#[test]
fn a_quantity_is_what_its_canonical_form_is() {
    corpus("quantities").iter().for_each(|text| quantity_law(text).unwrap());
    hold(damaged(corpus("quantities")), |text| quantity_law(&text));
}
