use super::*;

#[test]
fn what_is_asked_is_what_etcd_understands() {
    let (path, body) = request(Asked::Cas {
        key: 1,
        expected: Some(2),
        new: 3,
    });
    assert_eq!(path, "/v3/kv/txn");
    let expected = r#"{"compare":[{"key":"MQ==","result":"EQUAL","target":"VALUE","value":"Mg=="}],"success":[{"request_put":{"key":"MQ==","value":"Mw=="}}]}"#;
    assert_eq!(body, serde_json::from_str::<Value>(expected).unwrap());
    let (_, body) = request(Asked::Cas {
        key: 1,
        expected: None,
        new: 3,
    });
    assert_eq!(body["compare"][0]["version"], "0");
}

#[test]
fn answers_are_what_etcd_says() {
    let read = Asked::Read { key: 1 };
    let answer = |text: &str| understood(200, text.as_bytes()).unwrap();
    let found = answer(r#"{"header":{"revision":"2"},"kvs":[{"key":"MQ==","value":"MjI="}],"count":"1"}"#);
    assert_eq!(returned(read, &found), Ok(Ret::Value(Some(22))));
    let nothing = answer(r#"{"header":{"revision":"2"}}"#);
    assert_eq!(returned(read, &nothing), Ok(Ret::Value(None)));
    let cas = Asked::Cas {
        key: 1,
        expected: None,
        new: 1,
    };
    assert_eq!(returned(cas, &nothing), Ok(Ret::Swapped(false)));
    let swapped = answer(r#"{"succeeded":true}"#);
    assert_eq!(returned(cas, &swapped), Ok(Ret::Swapped(true)));
}

#[test]
fn only_what_etcd_refuses_at_the_door_is_definite() {
    let refusal = |text: &str| understood(503, text.as_bytes()).unwrap_err();
    let definite = r#"{"error":"etcdserver: too many requests","code":14}"#;
    assert!(matches!(refusal(definite), Refusal::Definite(_)));
    for open in [
        r#"{"error":"etcdserver: request timed out","code":14}"#,
        r#"{"error":"etcdserver: leader changed","code":14}"#,
        r#"{"error":"context canceled","code":1}"#,
        "{}",
        "no JSON",
    ] {
        assert!(matches!(refusal(open), Refusal::Indefinite(_)), "{open}");
    }
}
