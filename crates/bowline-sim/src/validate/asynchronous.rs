//! What a consumer's death does to who published: nothing, which is why answers alone do not tell sync from
//! async apart.

use super::{Row, Tolerance, built, enter, ms, number, ratio, simulate};
use crate::fault::{FaultEvent, FaultKind};
use crate::model::{Do, EdgeSpec, EntryTo, ServiceId, ServiceSpec, SubscriptionSpec, TopicSpec};
use crate::run::at;
use crate::{Arrivals, Dist, Model};
use std::time::Duration;

pub(super) fn rows() -> Vec<Row> {
    vec![Row {
        id: "V20",
        title: "killed consumers do not show in answers (shape)",
        setting: "a checkout that publishes, or calls; whoever is told is dead for 10 s of every 60 s",
        source: "arXiv 2512.12314: at most 1e-5 of immediate availability between blocking and not",
        long: false,
        numbers: vec![
            number("lost availability, published", "", 1e-5, Tolerance::AtMost),
            number("lost availability, called", "", 0.1, Tolerance::AtLeast),
            number("records completed all the same", "", 1.0, Tolerance::Within(0.0)),
        ],
        measure: |seed| {
            let [published, called] = [true, false].map(|publishes| checkout(publishes, seed));
            vec![1.0 - published.0, 1.0 - called.0, published.1]
        },
    }]
}

/// The share of checkouts that were answered well, and of those that were completed.
fn checkout(publishes: bool, seed: u64) -> (f64, f64) {
    let mut model = Model::builder();
    let room = |name: &str| ServiceSpec { concurrency: u32::MAX, ..ServiceSpec::new(name) };
    let (told, asked) = (model.service(room("accounting")), model.service(room("checkout")));
    let book = model.serve(told, "book", vec![Do::Work(Dist::exponential(ms(5)))]);
    let edge = |name: &str, to| EdgeSpec { deadline: Some(ms(200)), ..EdgeSpec::new(name, to) };
    let topic = model.topic(TopicSpec::new("orders"));
    let tells = if publishes {
        let deliver = model.edge(edge("consumer", book));
        model.subscription(SubscriptionSpec {
            dead_letter_after: u32::MAX,
            ..SubscriptionSpec::new("accounting", topic, deliver)
        });
        Do::Publish(topic)
    } else {
        Do::Call(model.edge(edge("checkout -> accounting", book)))
    };
    let work = Do::Work(Dist::exponential(ms(5)));
    let buy = model.serve(asked, "buy", vec![work, tells]);
    let into = model.edge(EdgeSpec::new("in", buy));
    enter(&mut model, EntryTo::Call(into), Arrivals::Poisson { rate: 200.0 }, 1);
    let dies = |minute: u64| FaultEvent {
        at: at(Duration::from_secs(minute * 60 + 30)),
        length: Some(Duration::from_secs(10)),
        kind: FaultKind::Crash { service: ServiceId(0), replica: None, restart_after: Duration::ZERO },
    };
    let fates = simulate(built(model), seed, 0, 600, (0..10).map(dies).collect()).fates;
    (ratio(fates.acknowledged, fates.arrived), ratio(fates.completed, fates.arrived))
}
