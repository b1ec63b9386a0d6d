//! Tokens that hold, and everything that keeps one from holding.

#[path = "../../tests/it/signing.rs"]
mod signing;

use super::*;
use bowline_design::Text;
use bowline_model::Instant;
use proptest::prelude::*;
use serde_json::{Value, json};
use signing::{Signer, encode, key_set};
use std::io;
use std::time::Duration;

/// Some second; what a token says of time is said beside it.
const NOW: u64 = 1_800_000_000;

#[derive(Debug)]
struct OneFile(String);

impl Source for OneFile {
    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

const ISSUERS: &str = "kind: Issuer
metadata: { name: accounts }
spec: { issuer: \"https://accounts.test\", audiences: [ shop, store ], keys: { file: keys }, leeway: 10s }
";

fn design(yaml: &str) -> Design {
    bowline_design::load(&[Text { name: "issuers.yaml".into(), text: yaml.to_owned() }]).unwrap()
}

/// Whose keys are in this set.
fn tokens(keys: String) -> Arc<Tokens> {
    let mut troubles = Vec::new();
    let tokens = Tokens::of(&design(ISSUERS), None, &OneFile(keys), &mut troubles);
    assert_eq!(troubles, []);
    tokens.unwrap()
}

fn claims() -> Value {
    json!({ "iss": "https://accounts.test", "aud": "shop", "sub": "ada", "exp": NOW + 60, "role": "clerk" })
}

/// The same with one claim changed, or without it where that is null.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn fault(tokens: &Tokens, text: &str) -> Option<TokenFault> {
    tokens.verify(text, NOW).err().map(|refused| refused.fault)
}

#[test]
fn a_token_of_each_kind_of_key_is_believed_and_says_who_it_is_about() {
    let signers = Signer::each();
    let tokens = tokens(key_set(&signers));
    for signer in &signers {
        let believed = tokens.verify(&signer.token(&claims()), NOW).unwrap();
        assert_eq!(believed.token.subject.as_deref(), Some("ada"), "{}", signer.name);
        assert_eq!((believed.token.issuer, believed.until), (IssuerId(0), NOW + 70));
        assert_eq!(believed.token.claims["role"], "clerk");
    }
}

#[test]
fn what_a_token_says_of_its_time_and_audience_has_to_hold_within_the_leeway() {
    let signer = Signer::ed25519("a");
    let tokens = tokens(key_set([&signer]));
    for (name, value, expected) in [
        ("exp", json!(NOW - 9), None),
        ("exp", json!(NOW - 10), Some(TokenFault::Expired)),
        ("exp", json!(NOW as f64 + 0.5), None),
        ("exp", json!(0), Some(TokenFault::Expired)),
        ("exp", json!(u64::MAX), None),
        ("exp", json!(-1), Some(TokenFault::Malformed)),
        ("exp", json!("tomorrow"), Some(TokenFault::Malformed)),
        ("exp", json!(1e300), Some(TokenFault::Malformed)),
        ("exp", Value::Null, Some(TokenFault::Endless)),
        ("nbf", json!(NOW + 10), None),
        ("nbf", json!(NOW + 11), Some(TokenFault::NotYet)),
        ("nbf", json!([]), Some(TokenFault::Malformed)),
        ("aud", json!(["elsewhere", "store"]), None),
        ("aud", json!("elsewhere"), Some(TokenFault::Audience)),
        ("aud", json!("SHOP"), Some(TokenFault::Audience)),
        ("aud", json!([]), Some(TokenFault::Audience)),
        ("aud", json!({ "shop": true }), Some(TokenFault::Audience)),
        ("aud", Value::Null, Some(TokenFault::Audience)),
        ("iss", json!("https://accounts.test/"), Some(TokenFault::UnknownIssuer)),
        ("iss", json!(["https://accounts.test"]), Some(TokenFault::UnknownIssuer)),
        ("iss", Value::Null, Some(TokenFault::UnknownIssuer)),
        ("sub", json!(7), Some(TokenFault::Malformed)),
        ("sub", Value::Null, None),
    ] {
        let text = signer.token(&with(name, value.clone()));
        assert_eq!(fault(&tokens, &text), expected, "{name} {value}");
    }
}

#[test]
fn how_a_token_is_signed_its_key_says_and_not_the_token() {
    let [rsa, p256, ed25519] = &Signer::each();
    let tokens = tokens(key_set([rsa, p256, ed25519]));
    let none = |alg: &str| {
        let head = json!({ "alg": alg, "kid": "rsa" }).to_string();
        format!("{}.{}.", encode(head), encode(claims().to_string()))
    };
    for alg in ["none", "None", "nOnE", ""] {
        assert_eq!(fault(&tokens, &none(alg)), Some(TokenFault::Algorithm), "{alg:?}");
    }
    // The public key, which everybody has, as the secret of an HMAC.
    for secret in [rsa.jwk()["n"].to_string(), rsa.jwk().to_string()] {
        let head = json!({ "alg": "HS256", "kid": "rsa" }).to_string();
        let signed = format!("{}.{}", encode(head), encode(claims().to_string()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let text = format!("{signed}.{}", encode(ring::hmac::sign(&key, signed.as_bytes())));
        assert_eq!(fault(&tokens, &text), Some(TokenFault::Algorithm));
    }
    // Signed by one key, in the name of another.
    for (signer, name) in [(rsa, "p256"), (p256, "rsa"), (ed25519, "rsa")] {
        let text = signer.token_with(&json!({ "alg": signer.algorithm(), "kid": name }), &claims());
        assert_eq!(fault(&tokens, &text), Some(TokenFault::Algorithm), "{name}");
    }
    for alg in ["RS384", "RS512", "PS256", "ES384", "ES256K", "rs256"] {
        let text = rsa.token_with(&json!({ "alg": alg, "kid": "rsa" }), &claims());
        assert_eq!(fault(&tokens, &text), Some(TokenFault::Algorithm), "{alg}");
    }
}

#[test]
fn a_signature_is_of_this_text_by_this_key_or_of_no_worth() {
    let signers = Signer::each();
    let tokens = tokens(key_set(&signers));
    for signer in &signers {
        let text = signer.token(&claims());
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let (head, _) = signed.split_once('.').unwrap();
        let other = encode(with("sub", json!("root")).to_string());
        for forged in [
            format!("{head}.{other}.{signature}"),
            format!("{signed}."),
            format!("{signed}.{}", encode([0_u8; 64])),
            format!("{signed}.{}", encode([0_u8; 256])),
            format!("{signed}.{}", &signature[..signature.len() / 4 * 4 - 4]),
        ] {
            assert_eq!(fault(&tokens, &forged), Some(TokenFault::Signature), "{} {forged}", signer.name);
        }
    }
    let stranger = Signer::p256("p256");
    assert_eq!(fault(&tokens, &stranger.token(&claims())), Some(TokenFault::Signature));
    let stranger = Signer::p256("unheard-of");
    assert_eq!(fault(&tokens, &stranger.token(&claims())), Some(TokenFault::UnknownKey));
}

#[test]
fn what_is_no_token_or_asks_for_what_nobody_understands_is_malformed() {
    let signer = Signer::ed25519("a");
    let tokens = tokens(key_set([&signer]));
    let good = signer.token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let head = |head: Value| signer.token_with(&head, &claims());
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b".to_owned(),
        "a.b.c".to_owned(),
        "%%%.%%%.%%%".to_owned(),
        signed.to_owned(),
        format!("{signed}.{signature}="),
        format!("{signed}. {signature}"),
        format!("{good}.{signature}"),
        format!("{good}.{signature}.{signature}"),
        format!("{}.{signature}", signed.replacen('.', "..", 1)),
        head(json!([])),
        head(json!({ "kid": "a" })),
        head(json!({ "alg": 5, "kid": "a" })),
        head(json!({ "alg": "EdDSA", "kid": 7 })),
        head(json!({ "alg": "EdDSA", "kid": "a", "crit": ["exp"] })),
        head(json!({ "alg": "EdDSA", "kid": "a", "typ": "logout+jwt" })),
        signer.token(&json!(["no", "object"])),
    ] {
        assert_eq!(fault(&tokens, &text), Some(TokenFault::Malformed), "{text}");
    }
    for kind in ["at+jwt", "application/at+jwt", "jwt"] {
        assert_eq!(fault(&tokens, &head(json!({ "alg": "EdDSA", "kid": "a", "typ": kind }))), None, "{kind}");
    }
    let huge = signer.token(&with("role", json!("x".repeat(8 * 1024))));
    assert_eq!(fault(&tokens, &huge), Some(TokenFault::TooLarge));
    let deep = encode(format!("{{\"iss\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000)));
    let (head, _) = signed.split_once('.').unwrap();
    assert_eq!(fault(&tokens, &format!("{head}.{deep}.{signature}")), Some(TokenFault::Malformed));
}

#[test]
fn a_token_that_names_no_key_is_tried_with_a_few_and_no_more() {
    let five: Vec<Signer> = ["a", "b", "c", "d", "e"].map(Signer::ed25519).into();
    let nameless = |signer: &Signer| signer.token_with(&json!({ "alg": "EdDSA" }), &claims());
    let four = tokens(key_set(&five[..4]));
    assert!(five[..4].iter().all(|signer| fault(&four, &nameless(signer)).is_none()));
    assert_eq!(fault(&four, &nameless(&five[4])), Some(TokenFault::Signature));
    assert_eq!(fault(&tokens(key_set(&five)), &nameless(&five[4])), Some(TokenFault::UnknownKey));
}

#[test]
fn a_key_set_is_taken_for_what_its_keys_are_for_and_refused_where_that_is_nothing() {
    let [rsa, p256, ed25519] = &Signer::each();
    let changed = |signer: &Signer, field: &str, value: Value| {
        let mut key = signer.jwk();
        key[field] = value;
        key
    };
    let unfit = [
        json!({ "kty": "oct", "kid": "rsa", "k": "c2VjcmV0" }),
        changed(rsa, "use", json!("enc")),
        changed(rsa, "alg", json!("RS512")),
        changed(rsa, "alg", json!("ES256")),
        changed(rsa, "key_ops", json!(["encrypt"])),
        changed(rsa, "n", json!(encode([255_u8; 128]))),
        changed(p256, "crv", json!("P-384")),
        changed(p256, "x", json!(encode([1_u8; 31]))),
        changed(ed25519, "crv", json!("X25519")),
        changed(ed25519, "x", json!("not base64!")),
        json!("no key"),
    ];
    for key in &unfit {
        let refused = Keys::parse(json!({ "keys": [key] }).to_string().as_bytes());
        assert!(refused.is_err(), "{key}");
    }
    let mut all: Vec<Value> = unfit.into();
    all.push(p256.jwk());
    assert_eq!(Keys::parse(json!({ "keys": all }).to_string().as_bytes()).unwrap().count(), 1);
    for set in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "<html>"] {
        assert!(Keys::parse(set.as_bytes()).is_err(), "{set}");
    }
    let many = json!({ "keys": vec![ed25519.jwk(); 65] }).to_string();
    assert!(Keys::parse(many.as_bytes()).unwrap_err().contains("65 keys"));
    let large = vec![b' '; KEY_SET_BYTES_MAX + 1];
    assert!(Keys::parse(&large).unwrap_err().contains("bytes"));
}

#[test]
fn a_token_is_looked_at_once_until_it_ends_or_its_keys_change() {
    let (signer, next) = (Signer::ed25519("a"), Signer::ed25519("b"));
    let tokens = tokens(key_set([&signer]));
    let mut verified = Verified::default();
    let text = signer.token(&claims());
    let mut known =
        |tokens: &Arc<Tokens>, text: &str, now| verified.verify(tokens, text, now).map(|(_, known)| known);
    assert!(!known(&tokens, &text, NOW).unwrap());
    assert!(known(&tokens, &text, NOW + 69).unwrap());
    assert_eq!(known(&tokens, &text, NOW + 70).unwrap_err().fault, TokenFault::Expired);
    assert!(known(&tokens, &text, NOW).unwrap());
    // The same set once more is no news; one without the key takes back whatever it signed.
    tokens.keyrings[0].learn(Keys::parse(key_set([&signer]).as_bytes()).unwrap());
    assert!(known(&tokens, &text, NOW).unwrap());
    tokens.keyrings[0].learn(Keys::parse(key_set([&next]).as_bytes()).unwrap());
    assert_eq!(known(&tokens, &text, NOW).unwrap_err().fault, TokenFault::UnknownKey);
    // What is not believed is not kept.
    assert!(known(&tokens, "a.b.c", NOW).is_err());
    assert_eq!(verified.count(), 1);
}

#[test]
fn what_is_remembered_has_a_limit_and_the_oldest_make_room() {
    let signer = Signer::ed25519("a");
    let tokens = tokens(key_set([&signer]));
    let mut verified = Verified::default();
    let text = |number: usize| signer.token(&with("sub", json!(format!("{number}{}", "x".repeat(5_000)))));
    let length = text(1_000).len();
    let room = (4 << 20) / length;
    for number in 1_000..=1_000 + room {
        assert!(verified.verify(&tokens, &text(number), NOW).is_ok());
    }
    assert_eq!(verified.count(), room);
    assert!(!verified.verify(&tokens, &text(1_000), NOW).unwrap().1, "the first has made room");
    assert!(verified.verify(&tokens, &text(1_000 + room), NOW).unwrap().1);
}

#[test]
fn a_design_with_other_audiences_looks_at_every_token_again() {
    let signer = Signer::ed25519("a");
    let tokens = tokens(key_set([&signer]));
    let (mut verified, text, mut troubles) = (Verified::default(), signer.token(&claims()), Vec::new());
    assert!(verified.verify(&tokens, &text, NOW).is_ok());
    let file = OneFile(key_set([&signer]));
    let same = Tokens::of(&design(ISSUERS), Some(&tokens), &file, &mut troubles).unwrap();
    assert!(Arc::ptr_eq(&same, &tokens), "nothing has changed");
    let other = design(&ISSUERS.replace("shop, store", "elsewhere"));
    let other = Tokens::of(&other, Some(&tokens), &file, &mut troubles).unwrap();
    assert!(Arc::ptr_eq(&other.keyrings[0], &tokens.keyrings[0]), "keys are known by where they come from");
    assert_eq!(verified.verify(&other, &text, NOW).unwrap_err().fault, TokenFault::Audience);
}

#[test]
fn a_broken_file_of_keys_keeps_those_of_before_and_says_so() {
    let signer = Signer::ed25519("a");
    let tokens = tokens(key_set([&signer]));
    let mut troubles = Vec::new();
    let broken = OneFile("{".to_owned());
    let after = Tokens::of(&design(ISSUERS), Some(&tokens), &broken, &mut troubles).unwrap();
    assert_eq!(fault(&after, &signer.token(&claims())), None);
    assert_eq!((troubles.len(), troubles[0].kept, &*troubles[0].user), (1, true, "issuer default/accounts"));
    let never = Tokens::of(&design(ISSUERS), None, &broken, &mut troubles).unwrap();
    assert_eq!(fault(&never, &signer.token(&claims())), Some(TokenFault::NoKeys));
    assert!(!troubles[1].kept);
}

#[test]
fn an_issuer_is_asked_once_an_interval_whatever_keys_are_named() {
    let url = ISSUERS.replace("file: keys", "url: \"http://127.0.0.1:1/keys\"");
    let tokens = Tokens::of(&design(&url), None, &OneFile(String::new()), &mut Vec::new()).unwrap();
    let (keyring, every) = (&tokens.keyrings[0], Duration::from_secs(30));
    let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
    let questions = keyring.questions();
    assert!(keyring.ask(at(100), every).is_some());
    assert!(keyring.ask(at(101), every).is_some(), "the answer is on its way");
    keyring.answered(*questions.borrow());
    assert!(keyring.ask(at(129), every).is_none(), "it has come, and the next is not due");
    assert_eq!(*questions.borrow(), 1);
    assert!(keyring.ask(at(130), every).is_some());
    assert_eq!(*questions.borrow(), 2);
}

proptest! {
    /// Whatever is written where a token should be: it is refused, and nothing breaks.
    #[test]
    fn no_text_is_believed_that_nobody_signed(text in "[ -~]{0,200}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let signer = Signer::ed25519("a");
        let tokens = tokens(key_set([&signer]));
        prop_assert!(fault(&tokens, &text).is_some());
        prop_assert!(fault(&tokens, &parts.join(".")).is_some());
        let head = encode(json!({ "alg": "EdDSA", "kid": "a" }).to_string());
        let text = format!("{head}.{}", parts.join("."));
        prop_assert!(fault(&tokens, &text).is_some());
    }

    /// A bit that is turned anywhere in a good token makes it a bad one.
    #[test]
    fn no_bit_of_a_token_may_change(at in any::<prop::sample::Index>(), bit in 0..7_u8) {
        let signer = Signer::ed25519("a");
        let tokens = tokens(key_set([&signer]));
        let mut bytes = signer.token(&claims()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(fault(&tokens, &text).is_some());
        }
    }
}
