// A list of a test server, like `list`, in Rust by rustc alone.
#[macro_use]
#[allow(dead_code)]
mod restream {
    include!(env!("RESTREAM_RS"));
}
use restream::{percent_encode, Call, Failure, Json, Reply};

fn metadata() -> String {
    r#"{"name": "list-rust", "description": "A list of a test server, in Rust", "id_field": "id",
        "api_url": "http://127.0.0.1:9/list/{}", "doc_url": "https://example.com/lists", "keys": [],
        "poll_interval": 1, "complete": true,
        "params": {"name": {"required": true, "pattern": ".*[^.].*"}}, "example_params": {"name": "a"}}"#
        .to_string()
}

fn fetch(call: &Call, params: &Json, _keys: &Json) -> Result<Reply, Failure> {
    let url = format!("http://127.0.0.1:9/list/{}", percent_encode(params.text_of("name")?));
    let answer = call.get(&url, &[("accept", "application/json")])?;
    if !answer.ok() {
        return Ok(answer.failure());
    }
    let body = answer.json()?;
    let items = body.get("items").and_then(Json::list).ok_or_else(|| Failure::new("the answer has no items"))?;
    if items.iter().any(|item| item.get("do").and_then(Json::text) == Some("panic")) {
        panic!("as it was told to");
    }
    Ok(Reply::Items(items.to_vec()))
}

restream_fetcher!(metadata, fetch);
