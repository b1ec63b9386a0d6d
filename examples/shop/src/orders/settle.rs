//! The way out: what an order owes is asked for until the other side says yes.
//!
//! A reversal sent once and forgotten is no reversal. Here it stands in the order's row until payment
//! has confirmed it, over timeouts, open breakers and restarts. Asking until somebody says yes is not
//! asking all the time: [`rest`](super::rest) says when.

use super::Shop;
use super::order::{Debt, Order};
use super::peers::Trouble;
use super::place::captured;
use super::rest::{Creditor, Silence};
use crate::store::StoreError;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How often debts are looked for when nobody reports one: short enough that whoever looks again sees the
/// order settled.
const EVERY: Duration = Duration::from_secs(1);

/// Pays debts until the service ends.
pub async fn settle_for_ever(shop: Shop) {
    loop {
        let mut progress = false;
        for whom in Creditor::ALL {
            progress |= settle_some(&shop, whom).await.unwrap_or_else(|error| {
                eprintln!("orders: cannot settle now: {error:?}");
                false
            });
        }
        // While debts are being paid there may be more of them; when not even one is, wait.
        if !progress {
            let pause = shop.rests.left().map_or(EVERY, |left| left.min(EVERY));
            let _ended_early = timeout(pause, shop.debts.notified()).await;
        }
    }
}

/// Pays some debts to `whom`, as many as it may be asked for now, and answers whether there was any
/// progress.
async fn settle_some(shop: &Shop, whom: Creditor) -> Result<bool, StoreError> {
    let mut under_way = JoinSet::new();
    let allowed = shop.rests.allows(whom);
    if allowed > 0 {
        for order in shop.book.owing(whom.debts(), allowed).await? {
            under_way.spawn(settle(shop.clone(), whom, order));
        }
    }
    let asked = under_way.join_all().await;
    let some_answered = asked.iter().any(|(_, silence)| silence.is_none());
    let longest = asked.iter().filter_map(|(_, silence)| *silence).max_by_key(|silence| silence.retry_after);
    shop.rests.asked(whom, some_answered, longest);
    Ok(asked.iter().any(|(changed, _)| *changed))
}

/// Asks for what `order` owes `whom`, and answers whether anything changed. Each debt has the order's
/// name as its key, so asking again for one that was paid without our hearing of it changes nothing.
async fn settle(shop: Shop, whom: Creditor, order: Order) -> (bool, Option<Silence>) {
    let before = order.clone();
    let (order, silence) = match whom {
        Creditor::Payment if order.owes.contains(&Debt::Capture) => {
            let asked = shop.peers.capture(&order).await;
            let silence = asked.as_ref().err().and_then(Trouble::silence);
            (captured(order, asked), silence)
        }
        Creditor::Payment => struck_off(order.clone(), Debt::Reversal, shop.peers.reverse(&order).await),
        Creditor::Inventory => struck_off(order.clone(), Debt::Release, shop.peers.release(&order).await),
    };
    if order == before || shop.book.save(&order).await.is_err() {
        return (false, silence);
    }
    if order.state != before.state {
        shop.peers.notify(&order).await;
    }
    (true, silence)
}

/// The order without `debt`, if that was paid.
fn struck_off(mut order: Order, debt: Debt, asked: Result<(), Trouble>) -> (Order, Option<Silence>) {
    match asked {
        Ok(()) => order.owes.retain(|other| *other != debt),
        Err(trouble) => return (order, trouble.silence()),
    }
    (order, None)
}
