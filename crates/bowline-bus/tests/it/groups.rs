//! Partitions change hands.

use crate::support::{SECOND, broker, group};
use bowline_bus::{Change, Log, Member, Start};

/// Partitions that a member is given, until nothing more comes for a second.
async fn given(member: &mut dyn Member) -> Vec<u32> {
    let mut given = Vec::new();
    while let Ok(change) = tokio::time::timeout(SECOND, member.changed()).await {
        match change.unwrap() {
            Change::Assigned { partition, .. } => given.push(partition),
            other => panic!("{other:?}"),
        }
    }
    given
}

#[tokio::test(start_paused = true)]
async fn what_is_not_let_go_of_in_time_is_taken() {
    let (broker, topic) = broker("t", 2).await;
    let mut slow = broker.join(&topic, &group("g"), Start::Earliest).await.unwrap();
    assert_eq!(given(slow.as_mut()).await, [0, 1]);
    let mut other = broker.join(&topic, &group("g"), Start::Earliest).await.unwrap();
    let Change::Revoking { partition, within } = slow.changed().await.unwrap() else {
        panic!("nothing is asked for")
    };
    let began = tokio::time::Instant::now();
    let Change::Assigned { partition: moved, epoch, .. } = other.changed().await.unwrap() else { panic!() };
    assert_eq!((moved, epoch, began.elapsed()), (partition, 2, within));
    assert_eq!(slow.changed().await.unwrap(), Change::Lost { partition });
}

#[tokio::test(start_paused = true)]
async fn a_member_without_work_waits_until_another_is_gone() {
    let (broker, topic) = broker("t", 1).await;
    let mut first = broker.join(&topic, &group("g"), Start::Earliest).await.unwrap();
    assert_eq!(given(first.as_mut()).await, [0]);
    let mut spare = broker.join(&topic, &group("g"), Start::Earliest).await.unwrap();
    assert!(given(spare.as_mut()).await.is_empty());
    drop(first);
    assert_eq!(given(spare.as_mut()).await, [0]);
}
