//! The way out: what an order owes is asked for until the other side says yes.
//!
//! A reversal sent once and forgotten is no reversal. Here it stands in the order's row until payment
//! has confirmed it, over timeouts, open breakers and restarts.

use super::Shop;
use super::order::{Debt, Order};
use crate::store::StoreError;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How often debts are looked for when nobody reports one: long enough not to hammer a service that is
/// down, short enough that whoever looks again sees the order settled.
const EVERY: Duration = Duration::from_secs(1);

/// The orders settled at the same time. The rest waits its turn in the table.
const TOGETHER: u32 = 16;

/// Pays debts until the service ends.
pub async fn settle_for_ever(shop: Shop) {
    loop {
        let paid = match settle_some(&shop).await {
            Ok(paid) => paid,
            Err(error) => {
                eprintln!("orders: cannot settle now: {error:?}");
                0
            }
        };
        // While debts are being paid there may be more of them; when not even one is, wait.
        if paid == 0 {
            let _ended_early = timeout(EVERY, shop.debts.notified()).await;
        }
    }
}

/// Pays some debts and answers how many.
async fn settle_some(shop: &Shop) -> Result<usize, StoreError> {
    let mut under_way = JoinSet::new();
    for order in shop.book.owing(TOGETHER).await? {
        under_way.spawn(settle(shop.clone(), order));
    }
    Ok(under_way.join_all().await.into_iter().sum())
}

/// Asks for everything that `order` owes. Each debt has the order's name as its key, so asking again
/// for one that was paid without our hearing of it changes nothing.
async fn settle(shop: Shop, mut order: Order) -> usize {
    let before = order.owes.len();
    for debt in order.owes.clone() {
        match debt {
            Debt::Capture => {
                order = shop.peers.captured(order).await;
                if order.owes != [Debt::Capture] {
                    shop.peers.notify(&order).await;
                }
            }
            Debt::Release if shop.peers.release(&order).await.is_ok() => order.owes.retain(|owed| *owed != debt),
            Debt::Reversal if shop.peers.reverse(&order).await.is_ok() => order.owes.retain(|owed| *owed != debt),
            Debt::Release | Debt::Reversal => {}
        }
    }
    match shop.book.save(&order).await {
        Ok(()) => before.abs_diff(order.owes.len()),
        Err(_) => 0,
    }
}
