//! What things cost, and what an order may ask for.

use crate::inventory::Item;
use crate::money::Amount;
use crate::reply::Reply;
use axum::http::StatusCode;

/// The price list, in euro cents.
const PRICES: [(&str, u64); 4] = [("A47", 2_100), ("B12", 550), ("C03", 9_900), ("Z99", 1_200)];

/// The most lines of one order, and the most of one thing: far above a person's order, and low enough
/// that no total overflows.
const ITEMS_MAX: usize = 100;
const QTY_MAX: u32 = 1_000;

/// What `items` cost together.
///
/// # Errors
/// A 400 that names the first line which cannot be ordered and what to order instead.
pub fn total(items: &[Item]) -> Result<Amount, Reply> {
    let bad = |error: String, hint: String| Err(Reply::problem(StatusCode::BAD_REQUEST, error, hint));
    if items.is_empty() || items.len() > ITEMS_MAX {
        return bad(format!("an order of {} items", items.len()), format!("order 1 to {ITEMS_MAX} items"));
    }
    let mut cents = 0;
    for (line, Item { sku, qty }) in items.iter().enumerate() {
        let Some((_, price)) = PRICES.iter().find(|(known, _)| known == sku) else {
            let known = PRICES.map(|(known, _)| known).join(", ");
            return bad(format!("items[{line}].sku: there is no `{sku}`"), format!("order one of {known}"));
        };
        if !(1..=QTY_MAX).contains(qty) {
            return bad(
                format!("items[{line}].qty: {qty} cannot be ordered"),
                format!("order 1 to {QTY_MAX}"),
            );
        }
        cents += price * u64::from(*qty);
    }
    Ok(Amount::euro_cents(cents))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sku: &str, qty: u32) -> Item {
        Item { sku: sku.into(), qty }
    }

    #[test]
    fn prices_add_up() {
        assert_eq!(total(&[item("A47", 2), item("B12", 1)]), Ok(Amount::euro_cents(4_750)));
    }

    #[test]
    fn what_cannot_be_ordered_is_named() {
        for (items, named) in [
            (vec![], "0 items"),
            (vec![item("A47", 1), item("X", 1)], "items[1].sku"),
            (vec![item("A47", 0)], "items[0].qty"),
            (vec![item("A47", 1_001)], "items[0].qty"),
        ] {
            let reply = total(&items).unwrap_err();
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
            assert!(reply.body.contains(named), "{}", reply.body);
        }
    }
}
