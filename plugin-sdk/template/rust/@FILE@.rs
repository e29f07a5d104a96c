// @NAME@: what it fetches, in one line. Replace the API by yours; `restream-plugin check` tells what is still amiss.
#[macro_use]
#[allow(dead_code)]
mod restream {
    include!(env!("RESTREAM_RS"));
}
use restream::{percent_encode, Call, Failure, Json, Reply};

fn metadata() -> String {
    r#"{
        "name": "@NAME@",
        "description": "Things of one topic",
        "version": "0.1.0",
        "id_field": "id",
        "api_url": "https://api.example.com/things",
        "doc_url": "https://example.com/docs",
        "keys": [],
        "poll_interval": 60,
        "params": {"topic": {"default": "all", "pattern": "[a-z0-9-]+", "description": "what the things are about"}},
        "example_params": {"topic": "rockets"}
    }"#
    .to_string()
}

fn fetch(call: &Call, params: &Json, _keys: &Json) -> Result<Reply, Failure> {
    let url = format!("https://api.example.com/things?topic={}", percent_encode(params.text_of("topic")?));
    let answer = call.get(&url, &[])?;
    if !answer.ok() {
        return Ok(answer.failure());
    }
    let body = answer.json()?;
    let things = body.get("things").and_then(Json::list).ok_or_else(|| Failure::new("the answer has no list of things"))?;
    Ok(Reply::Items(things.to_vec()))
}

restream_fetcher!(metadata, fetch);
