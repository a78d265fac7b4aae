//! Answers that the real authority of the whole tests does not give.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::io::clock;
use crate::model::http_date::http_date;

/// An authority that says the same to everybody who asks for the same path. Ends with the test process.
fn authority(answers: &'static [(&str, &str)], date_unix_s: u64) -> HttpsSettings {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = params.self_signed(&key).unwrap();
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], der.into());
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let directory = format!("{base}/dir");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = answers.iter().find(|(begins, _)| path.starts_with(begins));
            let (head, body) = found.map_or(("404 Not Found", ""), |(_, answer)| {
                answer.split_once('|').expect("a head and a body")
            });
            let (date, body) = (http_date(date_unix_s), body.replace("BASE", &base));
            let answer = format!(
                "HTTP/1.1 {head}\r\nDate: {date}\r\nReplay-Nonce: n\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _left = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _left = stream.flush();
        }
    });
    HttpsSettings {
        directory,
        directory_ca: own.pem(),
        ..HttpsSettings::default()
    }
}

const DIRECTORY: &str = "200 OK|{\"newNonce\":\"BASE/nonce\",\"newAccount\":\"BASE/account\",\"newOrder\":\"BASE/order\",\
                         \"renewalInfo\":\"BASE/renewal\"}";

/// The key of an account that the authority may know.
fn account_key() -> Vec<u8> {
    KeyPair::generate().unwrap().serialize_der()
}

/// A chain as an authority sends it: its certificate names the key of who has issued it.
fn chain() -> String {
    let issuer_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["ca.example".to_owned()]).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &issuer_key);
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, &issuer).unwrap().pem()
}

#[tokio::test]
async fn an_authority_says_when_it_would_like_a_renewal() {
    let answers = &[
        ("/dir", DIRECTORY),
        (
            "/renewal/",
            "200 OK\r\nRetry-After: 21600|{\"suggestedWindow\":{\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2026-01-02T00:00:00Z\"}}",
        ),
    ];
    let settings = authority(answers, clock::unix_s());
    let known = Authority::log_in(&settings, "id", &account_key())
        .await
        .unwrap();
    let (window, again) = known.renewal_window(&chain()).await.unwrap();
    assert_eq!(window.start_unix_s, 1_767_225_600);
    assert_eq!(window.end_unix_s, 1_767_225_600 + DAY_S);
    assert!((21_590..=21_600).contains(&again.as_secs()), "{again:?}");
    assert_eq!(known.renewal_window("no PEM").await, None);
    let silent = authority(&[("/dir", DIRECTORY)], clock::unix_s());
    let known = Authority::log_in(&silent, "id", &account_key())
        .await
        .unwrap();
    assert_eq!(known.renewal_window(&chain()).await, None);
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_days_orders_nothing() {
    let late = authority(&[("/dir", DIRECTORY)], clock::unix_s() - 3 * DAY_S);
    let why = Authority::log_in(&late, "id", &account_key())
        .await
        .unwrap_err();
    let told = why.to_string();
    assert!(
        told.starts_with("the clock of this node is 3 days ahead of"),
        "{told}"
    );
    assert!(!why.is_of_the_order());
}

#[tokio::test]
async fn a_refusal_says_whether_a_new_account_helps_and_when_to_come_back() {
    const BEGUN: [(&str, &str); 2] = [("/dir", DIRECTORY), ("/nonce", "200 OK|")];
    let refusing = |refusal: &'static str| {
        let answers = vec![BEGUN[0], BEGUN[1], ("/order", refusal)];
        authority(Vec::leak(answers), clock::unix_s())
    };
    let names = ["a.example".parse().unwrap()];
    for (refusal, is_gone, wait, words) in [
        (
            "400 Bad Request|{\"type\":\"urn:ietf:params:acme:error:accountDoesNotExist\",\"detail\":\"who?\"}",
            true,
            None,
            "accountDoesNotExist: who?",
        ),
        (
            "429 Too Many Requests\r\nRetry-After: 60|{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"five a week\"}",
            false,
            Some(Duration::from_secs(60)),
            "the authority refuses: rateLimited: five a week",
        ),
        (
            "503 Service Unavailable\r\nRetry-After: 5|<html>",
            false,
            Some(Duration::from_secs(5)),
            "the authority is busy",
        ),
        (
            "400 Bad Request|{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"a\\u001b[31m\\nb\"}",
            false,
            None,
            "malformed: a[31m b",
        ),
    ] {
        let settings = refusing(refusal);
        let known = Authority::log_in(&settings, "id", &account_key())
            .await
            .unwrap();
        let why = known.begin(&names, None).await.unwrap_err();
        assert_eq!(
            (why.is_account_gone(), why.retry_after()),
            (is_gone, wait),
            "{why}"
        );
        assert!(why.to_string().contains(words), "{why}");
    }
}

#[tokio::test]
async fn a_stale_nonce_ends_no_order() {
    let order = "200 OK|{\"status\":\"ready\",\"authorizations\":[],\"finalize\":\"BASE/f\"}";
    let stale =
        "400 Bad Request|{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"old\"}";
    let refused =
        "400 Bad Request|{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"no\"}";
    for (answer, ends) in [(stale, false), (refused, true)] {
        let answers = vec![
            ("/dir", DIRECTORY),
            ("/nonce", "200 OK|"),
            ("/order", order),
            ("/f", answer),
        ];
        let settings = authority(Vec::leak(answers), clock::unix_s());
        let key = account_key();
        let known = Authority::log_in(&settings, "id", &key).await.unwrap();
        let url = settings.directory.replace("/dir", "/order/1");
        let mut order = known.resume(&url).await.unwrap();
        let names = ["a.example".parse().unwrap()];
        let why = order
            .issue(&names, &key::generate().unwrap())
            .await
            .unwrap_err();
        assert_eq!(why.is_of_the_order(), ends, "{why}");
    }
}

#[tokio::test]
async fn a_renewal_names_the_certificate_that_it_replaces() {
    let chain = chain();
    let id = identifier_of(&chain).unwrap();
    let id = format!("{}.{}", id.authority_key_identifier, id.serial);
    let order = "201 Created\r\nLocation: BASE/order/1|{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"BASE/f\"";
    let replacing = format!("{order},\"replaces\":\"{id}\"}}").leak();
    let plain = format!("{order}}}").leak();
    let names = ["a.example".parse().unwrap()];
    for (answer, replaced) in [
        (&*replacing, Some(&*chain)),
        (plain, None),
        // The library takes no order that does not say which certificate it replaces, if that was asked.
        (plain, Some(&*chain)),
    ] {
        let answers = vec![
            ("/dir", DIRECTORY),
            ("/nonce", "200 OK|"),
            ("/order", answer),
        ];
        let settings = authority(Vec::leak(answers), clock::unix_s());
        let key = account_key();
        let known = Authority::log_in(&settings, "id", &key).await.unwrap();
        let begun = known.begin(&names, replaced).await;
        assert!(begun.is_ok(), "{begun:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_replaced_is_ordered_all_the_same() {
    const OLD: &str = "200 OK|{\"newNonce\":\"BASE/nonce\",\"newAccount\":\"BASE/account\",\"newOrder\":\"BASE/order\"}";
    let order = "201 Created\r\nLocation: BASE/order/1|{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"BASE/f\"}";
    let settings = authority(
        Vec::leak(vec![
            ("/dir", OLD),
            ("/nonce", "200 OK|"),
            ("/order", order),
        ]),
        clock::unix_s(),
    );
    let (key, names) = (account_key(), ["a.example".parse().unwrap()]);
    let known = Authority::log_in(&settings, "id", &key).await.unwrap();
    let begun = known.begin(&names, Some(&chain())).await;
    assert!(begun.unwrap().url().ends_with("/order/1"));
}
