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
        let progress = settle_some(&shop).await.unwrap_or_else(|error| {
            eprintln!("orders: cannot settle now: {error:?}");
            false
        });
        // While debts are being paid there may be more of them; when not even one is, wait.
        if !progress {
            let _ended_early = timeout(EVERY, shop.debts.notified()).await;
        }
    }
}

/// Pays some debts, and answers whether there was any progress.
async fn settle_some(shop: &Shop) -> Result<bool, StoreError> {
    let mut under_way = JoinSet::new();
    for order in shop.book.owing(TOGETHER).await? {
        under_way.spawn(settle(shop.clone(), order));
    }
    Ok(under_way.join_all().await.contains(&true))
}

/// Asks for everything that `order` owes, and answers whether anything changed. Each debt has the order's
/// name as its key, so asking again for one that was paid without our hearing of it changes nothing.
async fn settle(shop: Shop, order: Order) -> bool {
    let before = order.clone();
    let order = if order.owes.contains(&Debt::Capture) {
        shop.peers.captured(order).await
    } else {
        undone(&shop, order).await
    };
    if order == before || shop.book.save(&order).await.is_err() {
        return false;
    }
    if order.state != before.state {
        shop.peers.notify(&order).await;
    }
    true
}

/// Asks both sides to undo what may have happened, and strikes off what they confirm.
async fn undone(shop: &Shop, mut order: Order) -> Order {
    if order.owes.contains(&Debt::Release) && shop.peers.release(&order).await.is_ok() {
        order.owes.retain(|debt| *debt != Debt::Release);
    }
    if order.owes.contains(&Debt::Reversal) && shop.peers.reverse(&order).await.is_ok() {
        order.owes.retain(|debt| *debt != Debt::Reversal);
    }
    order
}
