// The restream fetcher contract for Rust 1.63 and later, in one file and without crates.
//
//     #[macro_use]
//     mod restream { include!(env!("RESTREAM_RS")); }      // restream_rust_plugin() sets RESTREAM_RS
//     use restream::{Call, Failure, Json, Reply};
//
//     fn metadata() -> String { r#"{"name": "stars", …}"#.to_string() }
//     fn fetch(call: &Call, params: &Json, keys: &Json) -> Result<Reply, Failure> { … }
//     restream_fetcher!(metadata, fetch);
//
// fetch() runs on many threads at once and keeps nothing between calls. It may panic: no panic leaves the plugin, the
// poll fails. What is unsafe is in this file; a fetcher needs none of it. The layout is that of restream/fetcher.h.

use std::fmt::Write as _;
use std::os::raw::c_void;

pub const OK: i32 = 0;
pub const FAILED: i32 = 1;
pub const BAD_REQUEST: i32 = 2;
pub const REFUSED: i32 = 3;
pub const UNREACHABLE: i32 = 4;
pub const TIMEOUT: i32 = 5;
pub const TOO_LARGE: i32 = 6;
pub const CANCELLED: i32 = 7;

pub const DEBUG: i32 = 0;
pub const INFO: i32 = 1;
pub const WARNING: i32 = 2;
pub const ERROR: i32 = 3;

// Which contract the plugin was built for; restream reads it before it calls anything.
#[repr(C)]
pub struct Descriptor {
    magic: [u8; 8],
    size: u32,
    abi_major: u16,
    abi_minor: u16,
    flags: u32,
    sdk_version: [u8; 16],
}

impl Descriptor {
    pub const fn new() -> Descriptor {
        Descriptor {
            magic: *b"restream",
            size: std::mem::size_of::<Descriptor>() as u32,
            abi_major: 1,
            abi_minor: 0,
            flags: 0,
            sdk_version: *b"0.1.0-rust\0\0\0\0\0\0",
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Text {
    data: *const u8,
    size: usize,
}

#[repr(C)]
struct Header {
    name: Text,
    value: Text,
}

#[repr(C)]
struct HttpRequest {
    size: u32,
    header_count: u32,
    method: Text,
    url: Text,
    headers: *const Header,
    body: Text,
}

#[repr(C)]
struct HttpResponse {
    size: u32,
    header_count: u32,
    status: i32,
    reserved: i32,
    headers: *const Header,
    body: Text,
    error: Text,
}

#[repr(C)]
pub struct RawCall {
    size: u32,
    reserved: u32,
    request: Text,
    deadline_ns: i64,
    host: *mut c_void,
    emit: unsafe extern "C" fn(*const RawCall, *const u8, usize) -> i32,
    http: unsafe extern "C" fn(*const RawCall, *const HttpRequest, *mut HttpResponse) -> i32,
    log: unsafe extern "C" fn(*const RawCall, i32, *const u8, usize),
    cancelled: unsafe extern "C" fn(*const RawCall) -> bool,
}

fn text(of: &str) -> Text {
    Text { data: of.as_ptr(), size: of.len() }
}

// What the host says is there, it keeps until the function returns.
unsafe fn bytes<'a>(of: Text) -> &'a [u8] {
    if of.size == 0 || of.data.is_null() {
        return &[];
    }
    std::slice::from_raw_parts(of.data, of.size)
}

unsafe fn string(of: Text) -> String {
    String::from_utf8_lossy(bytes(of)).into_owned()
}

// Why a call came to nothing: a code of the contract, and a sentence for the log.
#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    pub text: String,
}

impl Failure {
    pub fn new(text: impl Into<String>) -> Failure {
        Failure { code: FAILED, text: text.into() }
    }
}

// What fetch() returns: items, or a status of 400 and up with a text.
pub enum Reply {
    Items(Vec<Json>),
    Error(u16, String),
}

// An answer of the API, whatever its status. Header names are in lower case.
pub struct Answer {
    pub status: i32,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
    pub fn json(&self) -> Result<Json, Failure> {
        let body = std::str::from_utf8(&self.body).map_err(|_| Failure::new("the API's answer is not UTF-8"))?;
        Json::parse(body).map_err(|why| Failure::new(format!("the API's answer is not JSON: {}", why)))
    }
    // The reply for a status that is not ok: 4xx and 5xx as they are, anything else as 502.
    pub fn failure(&self) -> Reply {
        let status = if (400..600).contains(&self.status) { self.status as u16 } else { 502 };
        Reply::Error(status, format!("the API answered with status {}", self.status))
    }
}

// One call, as the plugin sees it. It stays on its thread.
pub struct Call<'a> {
    raw: &'a RawCall,
}

impl Call<'_> {
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.request("GET", url, headers, "")
    }

    // One request through the daemon. A Failure when there was no answer: hand it on.
    pub fn request(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, Failure> {
        let list: Vec<Header> = headers.iter().map(|(name, value)| Header { name: text(name), value: text(value) }).collect();
        let ask = HttpRequest {
            size: std::mem::size_of::<HttpRequest>() as u32,
            header_count: list.len() as u32,
            method: text(method),
            url: text(url),
            headers: list.as_ptr(),
            body: text(body),
        };
        let nothing = Text { data: std::ptr::null(), size: 0 };
        let mut reply = HttpResponse {
            size: std::mem::size_of::<HttpResponse>() as u32,
            header_count: 0,
            status: 0,
            reserved: 0,
            headers: std::ptr::null(),
            body: nothing,
            error: nothing,
        };
        unsafe {
            let code = (self.raw.http)(self.raw, &ask, &mut reply);
            if code != OK {
                return Err(Failure { code, text: string(reply.error) });
            }
            let mut answer = Answer { status: reply.status, headers: Vec::new(), body: bytes(reply.body).to_vec() };
            for i in 0..reply.header_count as usize {
                let header = &*reply.headers.add(i);
                answer.headers.push((string(header.name), string(header.value)));
            }
            Ok(answer)
        }
    }

    // DEBUG, INFO, WARNING or ERROR. Never log a key.
    pub fn log(&self, level: i32, line: &str) {
        unsafe { (self.raw.log)(self.raw, level, line.as_ptr(), line.len()) }
    }

    // True once nobody waits for the result.
    pub fn cancelled(&self) -> bool {
        unsafe { (self.raw.cancelled)(self.raw) }
    }

    // When the call must be back, in nanoseconds of CLOCK_MONOTONIC.
    pub fn deadline_ns(&self) -> i64 {
        self.raw.deadline_ns
    }

    fn emit(&self, what: &str) -> i32 {
        unsafe { (self.raw.emit)(self.raw, what.as_ptr(), what.len()) }
    }
}

// Everything outside RFC 3986's unreserved set becomes %XX: for params in URLs.
pub fn percent_encode(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{:02X}", byte);
        }
    }
    out
}

// JSON as a tree. A number keeps its text, so that no digit is lost; members keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Result<Json, String> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == reader.text.len() { Ok(value) } else { Err(reader.wrong()) }
    }

    // A member of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
    pub fn text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }
    pub fn list(&self) -> Option<&[Json]> {
        if let Json::List(list) = self { Some(list) } else { None }
    }
    // A member that is text: for params and keys, which always are.
    pub fn text_of(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).and_then(Json::text).ok_or_else(|| Failure::new(format!("there is no text '{}'", name)))
    }

    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => out.push_str(number),
            Json::Text(text) => write_text(text, out),
            Json::List(list) => {
                out.push('[');
                for (i, value) in list.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

// A host's threads have small stacks.
const DEEPEST: usize = 64;

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self) -> String {
        format!("byte {} is not what should be there", self.at + 1)
    }
    fn space(&mut self) {
        while self.at < self.text.len() && b" \t\r\n".contains(&self.text[self.at]) {
            self.at += 1;
        }
    }
    fn peek(&self) -> u8 {
        *self.text.get(self.at).unwrap_or(&0)
    }
    fn take(&mut self, what: &str) -> Result<(), String> {
        if !self.text[self.at..].starts_with(what.as_bytes()) {
            return Err(self.wrong());
        }
        self.at += what.len();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEEPEST {
            return Err("it is nested too deeply".to_string());
        }
        self.space();
        match self.peek() {
            b'n' => self.take("null").map(|_| Json::Null),
            b't' => self.take("true").map(|_| Json::Bool(true)),
            b'f' => self.take("false").map(|_| Json::Bool(false)),
            b'"' => self.string().map(Json::Text),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        self.take("[")?;
        let mut list = Vec::new();
        self.space();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(Json::List(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            self.space();
            if self.peek() == b']' {
                self.at += 1;
                return Ok(Json::List(list));
            }
            self.take(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.take("{")?;
        let mut members = Vec::new();
        self.space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(":")?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.peek() == b'}' {
                self.at += 1;
                return Ok(Json::Object(members));
            }
            self.take(",")?;
        }
    }

    fn digits(&mut self) -> Result<(), String> {
        if !self.peek().is_ascii_digit() {
            return Err(self.wrong());
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json, String> {
        let begin = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if self.peek() == b'e' || self.peek() == b'E' {
            self.at += 1;
            if self.peek() == b'+' || self.peek() == b'-' {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(String::from_utf8_lossy(&self.text[begin..self.at]).into_owned()))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|four| std::str::from_utf8(four).ok());
        let value = digits.filter(|four| four.bytes().all(|c| c.is_ascii_hexdigit()));
        let value = value.and_then(|four| u32::from_str_radix(four, 16).ok()).ok_or_else(|| self.wrong())?;
        self.at += 4;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, String> {
        self.take("\"")?;
        let mut out = Vec::new();
        loop {
            match self.text.get(self.at) {
                None => return Err(self.wrong()),
                Some(b'"') => break,
                Some(c) if *c < 0x20 => return Err(self.wrong()),
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.peek();
                    self.at += 1;
                    let c = match escaped {
                        b'"' | b'\\' | b'/' => escaped as char,
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.escape()?,
                        _ => return Err(self.wrong()),
                    };
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(c) => {
                    out.push(*c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        String::from_utf8(out).map_err(|_| self.wrong())
    }

    // What follows \u: one half of a pair brings the other along; half a pair alone becomes U+FFFD.
    fn escape(&mut self) -> Result<char, String> {
        let first = self.hex()?;
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let both = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(both).unwrap_or('\u{FFFD}'));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or('\u{FFFD}'))
    }
}

// Runs `work` so that no panic crosses the C boundary. The call is the host's, and good until this returns.
pub unsafe fn run(raw: *const RawCall, work: impl FnOnce(&Call) -> Result<String, Failure>) -> i32 {
    let call = Call { raw: &*raw };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&call)));
    match outcome {
        Ok(Ok(result)) => call.emit(&result),
        Ok(Err(failure)) => {
            call.log(ERROR, &failure.text);
            failure.code
        }
        Err(_) => {
            call.log(ERROR, "the plugin panicked");
            FAILED
        }
    }
}

pub unsafe fn run_fetch(raw: *const RawCall, fetch: impl FnOnce(&Call, &Json, &Json) -> Result<Reply, Failure>) -> i32 {
    run(raw, |call| {
        let request = std::str::from_utf8(bytes(call.raw.request)).map_err(|_| Failure::new("the request is not UTF-8"))?;
        let request = Json::parse(request).map_err(Failure::new)?;
        let part = |name: &str| request.get(name).ok_or_else(|| Failure::new(format!("the request lacks '{}'", name)));
        let reply = fetch(call, part("params")?, part("keys")?)?;
        let (status, result) = match reply {
            Reply::Items(items) => (200, Json::List(items)),
            Reply::Error(status, why) => (status, Json::Text(why)),
        };
        let mut out = format!("{{\"status_code\":{},\"result\":", status);
        result.write(&mut out);
        out.push('}');
        Ok(out)
    })
}

// Exports the plugin's three symbols. Once, in the crate's root.
macro_rules! restream_fetcher {
    ($metadata:ident, $fetch:ident) => {
        mod restream_exports {
            use super::restream::{run, run_fetch, Descriptor, RawCall};
            #[no_mangle]
            #[allow(non_upper_case_globals)]
            pub static restream_fetcher: Descriptor = Descriptor::new();
            #[no_mangle]
            pub unsafe extern "C" fn metadata(call: *const RawCall) -> i32 {
                run(call, |_| Ok(super::$metadata()))
            }
            #[no_mangle]
            pub unsafe extern "C" fn fetch(call: *const RawCall) -> i32 {
                run_fetch(call, super::$fetch)
            }
        }
    };
}
