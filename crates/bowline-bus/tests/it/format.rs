//! Events on the wire: golden files, round trips, and what is no event.

use bowline_bus::format::{Binding, Message, Mode, Plain, json};
use bowline_bus::{Event, Value};
use bowline_model::{TraceContext, WallTime};
use bytes::Bytes;
use proptest::prelude::*;

const PLAIN: Plain<'static> = Plain { id: "orders/3/17", source: "/orders", kind: "plain" };

fn order() -> Event {
    Event::builder("7f3a-1", "/shop/orders", "order.placed")
        .subject("Bestellung für \"Zoë\" 100 %")
        .time(WallTime::from_unix_nanos(1_763_157_600_250_000_000))
        .data_schema("https://schemas.example/order/3")
        .json(r#"{"amount":12.50,"currency":"EUR","big":12345678901234567890}"#)
        .trace(TraceContext {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            parent: 0x00f0_67aa_0ba9_02b7,
            flags: 1,
        })
        .expiry(WallTime::from_unix_nanos(1_763_157_690_000_000_000))
        .correlation("checkout-9")
        .causation("cart-4")
        .partition_key("order-17")
        .extension("retries", Value::Integer(-3))
        .extension("test", Value::Boolean(true))
        .build()
        .unwrap()
}

/// Compares with the file, or writes it where `UPDATE_GOLDEN` is set.
fn golden(name: &str, found: &str) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{path} is another; if that is meant, run with UPDATE_GOLDEN=1");
}

#[test]
fn every_binding_writes_what_it_has_always_written() {
    for binding in Binding::ALL {
        golden(&format!("{}-binary", binding.as_str()), &binding.binary(&order()).to_string());
        golden(&format!("{}-structured", binding.as_str()), &binding.structured(&order()).to_string());
    }
    golden("stored-head", &json::head(&order()));
}

#[test]
fn data_that_are_no_json_are_text_or_base64_in_a_document() {
    let event =
        |of: &str, data: &'static [u8]| Event::builder("1", "/s", "t").data(of, data).build().unwrap();
    let text = json::write(&event("text/plain", b"a \"b\""));
    assert!(text.ends_with(r#""datacontenttype":"text/plain","data":"a \"b\""}"#), "{text}");
    let bytes = json::write(&event("application/octet-stream", b"\xff\x00"));
    assert!(bytes.ends_with(r#","data_base64":"/wA="}"#), "{bytes}");
    let broken = json::write(&event("application/json", b"{"));
    assert!(broken.ends_with(r#","data_base64":"ew=="}"#), "{broken}");
}

#[test]
fn a_tombstone_stays_one() {
    let tombstone = Event::builder("1", "/s", "t").partition_key("k").build().unwrap();
    for binding in Binding::ALL {
        let message = binding.binary(&tombstone);
        assert_eq!(message.body, None);
        assert_eq!(binding.read(&message, PLAIN).unwrap().event, tombstone);
    }
}

#[test]
fn a_record_without_attributes_is_read_under_the_name_that_it_is_given() {
    let message = Message {
        key: Some(Bytes::from("order-17")),
        content_type: Some("application/json".to_owned()),
        headers: vec![
            (
                "traceparent".to_owned(),
                Bytes::from("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ),
            ("X-Weird Name".to_owned(), Bytes::from("dropped")),
            ("id".to_owned(), Bytes::from("no attribute")),
            ("bytes".to_owned(), Bytes::from_static(b"\xff")),
        ],
        body: Some(Bytes::from("{}")),
    };
    let read = Binding::Kafka.read(&message, PLAIN).unwrap();
    assert_eq!(read.mode, Mode::Plain);
    assert_eq!(
        (read.event.id(), read.event.source(), read.event.kind()),
        ("orders/3/17", "/orders", "plain")
    );
    assert_eq!(read.event.key().unwrap().as_bytes(), b"order-17");
    assert!(read.event.trace().is_some());
    assert_eq!(read.event.extensions().len(), 2);
    assert_eq!(read.event.data_content_type(), Some("application/json"));
}

#[test]
fn names_and_media_types_are_read_without_case() {
    let mut message = Binding::Http.binary(&order());
    for (name, _) in &mut message.headers {
        *name = name.to_ascii_uppercase();
    }
    assert_eq!(Binding::Http.read(&message, PLAIN).unwrap().mode, Mode::Binary);
    let mut message = Binding::Kafka.structured(&order());
    message.content_type = Some("Application/CloudEvents+JSON; charset=UTF-8".to_owned());
    assert_eq!(Binding::Kafka.read(&message, PLAIN).unwrap().event, order());
}

#[test]
fn every_prefix_that_is_in_use_over_amqp_is_read() {
    for prefix in ["cloudEvents_", "cloudEvents:", "ce-"] {
        let mut message = Binding::Amqp.binary(&order());
        for (name, _) in &mut message.headers {
            *name = name.replace("cloudEvents_", prefix);
        }
        assert_eq!(Binding::Amqp.read(&message, PLAIN).unwrap().mode, Mode::Binary, "{prefix}");
    }
}

#[test]
fn redis_fields_are_the_whole_message() {
    let message = Binding::Redis.binary(&order());
    assert_eq!(Message::from_fields(message.clone().into_fields()), message);
}

#[test]
fn what_says_that_it_is_an_event_and_is_none_is_refused_with_the_reason() {
    let structured = |body: &str| Message {
        content_type: Some("application/cloudevents+json".to_owned()),
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
        ..Message::default()
    };
    let reasons = |message: &Message| {
        let error = Binding::Http.read(message, PLAIN).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}; {cause}")
    };
    for (body, expected) in [
        ("[]", "no JSON object"),
        ("{", "no JSON object"),
        ("{}", "specversion"),
        (r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#, "`specversion` is `0.3`"),
        (r#"{"specversion":"1.0","source":"s","type":"t"}"#, "`id` is empty"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","x":{}}"#, "`x` is no text"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"noon"}"#, "RFC 3339"),
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"data_base64":"eA=="}"#,
            "one of them",
        ),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"?"}"#, "no base64"),
    ] {
        let found = reasons(&structured(body));
        assert!(found.contains(expected), "{body}: {found}");
    }
    let overlong = Message {
        headers: vec![("ce-specversion".into(), "1.0".into()), ("ce-id".into(), "%C0%80".into())],
        ..Message::default()
    };
    assert!(reasons(&overlong).contains("is not UTF-8"));
    let batch =
        Message { content_type: Some("application/cloudevents-batch+json".into()), ..Message::default() };
    assert!(reasons(&batch).contains("batch"));
    let avro = Message { content_type: Some("application/cloudevents+avro".into()), ..Message::default() };
    assert!(reasons(&avro).contains("+avro"));
}

fn text() -> impl Strategy<Value = String> {
    // Everything that CloudEvents calls a string: no control characters, no noncharacters.
    "[^\\p{Cc}\u{fdd0}-\u{fdef}\u{fffe}\u{ffff}]{1,20}"
        .prop_filter("noncharacters of the upper planes", |text| {
            text.chars().all(|c| !matches!(c as u32 & 0xffff, 0xfffe | 0xffff))
        })
}

prop_compose! {
    fn event()(
        names in prop::array::uniform3(text()),
        subject in prop::option::of(text()),
        time in prop::option::of(any::<u64>()),
        extensions in prop::collection::btree_map("x[a-z0-9]{1,10}", text(), 0..5),
        key in prop::option::of(text()),
        data in prop::option::of((
            prop_oneof![Just("application/json"), Just("text/plain"), Just("application/octet-stream")],
            prop::collection::vec(any::<u8>(), 0..50),
        )),
    ) -> Event {
        let [id, source, kind] = names;
        let mut builder = Event::builder(id, source, kind);
        if let Some(subject) = subject { builder = builder.subject(subject); }
        if let Some(time) = time { builder = builder.time(WallTime::from_unix_nanos(time)); }
        if let Some(key) = key { builder = builder.partition_key(key); }
        if let Some((of, data)) = data { builder = builder.data(of, data); }
        extensions.into_iter().fold(builder, |b, (name, value)| b.extension(name, Value::Text(value))).build().unwrap()
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(event in event()) {
        for binding in Binding::ALL {
            let binary = binding.read(&binding.binary(&event), PLAIN).unwrap();
            prop_assert_eq!((&binary.event, binary.mode), (&event, Mode::Binary));
            let structured = binding.read(&binding.structured(&event), PLAIN).unwrap();
            prop_assert_eq!(structured.mode, Mode::Structured);
            // Space around a JSON document is the one thing that is lost.
            let data = |event: &Event| event.data().map(|data| data.trim_ascii().to_vec());
            if data(&event) != event.data().map(|data| data.to_vec()) { continue; }
            prop_assert_eq!(&structured.event, &event);
        }
    }

    #[test]
    fn no_message_makes_the_reader_panic(
        names in prop::collection::vec(("(ce[-_]|cloudEvents:)?[ -~]{0,12}", prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        content_type in prop::option::of("(application/cloudevents(-batch)?(\\+json)?)?[ -~]{0,10}"),
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
    ) {
        let headers = names.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
        let message = Message { key: None, content_type, headers, body: body.map(Bytes::from) };
        for binding in Binding::ALL {
            let _ = binding.read(&message, PLAIN);
        }
    }
}
