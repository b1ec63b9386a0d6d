//! The way forward: authorize the money, put the goods aside, take the money, tell the customer.

use super::Shop;
use super::order::{Debt, Order, State};
use super::peers::Trouble;
use super::rest::Creditor;
use crate::reply::Reply;
use crate::store::StoreError;
use bowline::Incoming;
use tokio::sync::oneshot;

/// Places `order` and answers as soon as it is known what becomes of it.
///
/// The work is a task of its own: a customer who hangs up must not leave an order half-way. On the way
/// forward the customer's deadline holds there too; what comes after the answer is under no deadline but
/// its own.
///
/// # Errors
/// The database did not answer; the order is settled at the next start.
pub async fn see_through(shop: Shop, order: Order) -> Result<Order, Reply> {
    let (tell, told) = oneshot::channel();
    let incoming = Incoming::current();
    tokio::spawn(async move {
        let placed = incoming.clone().scope(forward(&shop, order)).await;
        let finished = placed.as_ref().ok().cloned();
        if finished.as_ref().is_some_and(|order| !order.owes.is_empty()) {
            shop.debts.notify_one();
        }
        let _gone = tell.send(placed);
        // The customer has the answer. The message may come a little later, and may fail.
        if let Some(order) = finished {
            incoming.without_deadline().scope(shop.peers.notify(&order)).await;
        }
    });
    match told.await {
        Ok(placed) => Ok(placed?),
        Err(_) => Err(StoreError::Unknown.into()),
    }
}

/// The three steps. Every state is written down before the step that it announces.
async fn forward(shop: &Shop, order: Order) -> Result<Order, StoreError> {
    if let Err(trouble) = shop.peers.authorize(&order).await {
        // Surely refused: nobody holds anything, nothing to undo. A timeout is not that: the money
        // may be held, so the reversal is owed, and payment refuses the authorization if it comes late.
        let owes = if trouble.may_have_happened() { vec![Debt::Reversal] } else { vec![] };
        return give_up(shop, order.failed(trouble.into_problem(), owes)).await;
    }
    shop.rests.heard(Creditor::Payment);
    if let Err(trouble) = shop.peers.allocate(&order).await {
        let owes = if trouble.may_have_happened() {
            vec![Debt::Release, Debt::Reversal]
        } else {
            vec![Debt::Reversal]
        };
        return give_up(shop, order.failed(trouble.into_problem(), owes)).await;
    }
    shop.rests.heard(Creditor::Inventory);
    let order = Order { state: State::Capturing, ..order };
    shop.book.save(&order).await?;
    let asked = shop.peers.capture(&order).await;
    let order = captured(order, asked);
    shop.book.save(&order).await?;
    Ok(order)
}

/// What an order is after payment was asked to take the money: confirmed; failed, if payment holds nothing
/// for it; or still owing the capture.
pub(super) fn captured(order: Order, asked: Result<(), Trouble>) -> Order {
    match asked {
        Ok(()) => Order { state: State::Confirmed, owes: vec![], ..order },
        Err(trouble) if trouble.is_conflict() => {
            order.failed(trouble.into_problem(), vec![Debt::Release, Debt::Reversal])
        }
        Err(_) => Order { owes: vec![Debt::Capture], ..order },
    }
}

async fn give_up(shop: &Shop, order: Order) -> Result<Order, StoreError> {
    shop.book.save(&order).await?;
    Ok(order)
}
