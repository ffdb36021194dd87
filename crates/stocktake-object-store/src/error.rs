//! What an error of `object_store` says about the world.
//!
//! Its variants don't tell a slow-down from a bad request, nor a missing bucket
//! from a missing object; the HTTP status and the store's own code do. Both stand
//! in the innermost message, which holds the answer and nothing else: the others
//! hold the name of the object as well, which may spell anything.

use std::error::Error as StdError;
use std::io::ErrorKind;

use object_store::Error as StoreError;
use stocktake_core::{Error, Location};

/// What a failed request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// No object has the name.
    NotFound,
    /// The bucket does not exist.
    NoBucket,
    /// The object must be thawed first.
    Archived,
    /// Credentials are missing, wrong or too weak.
    Denied,
    /// The name is taken.
    Exists,
    /// A condition of the request does not hold.
    Precondition,
    /// The store or the way to it is in trouble that may pass.
    Passing,
    /// Anything else.
    Refused,
}

impl Meaning {
    /// Reads an error.
    pub(crate) fn of(error: &StoreError) -> Self {
        let Answer { status, body } = Answer::of(error);
        let says = |code: &str| body.contains(&format!("<Code>{code}</Code>"));
        if says("NoSuchBucket") {
            return Self::NoBucket;
        }
        if says("InvalidObjectState") {
            return Self::Archived;
        }
        match (error, status) {
            // Another conditional request was under way: nothing is decided yet.
            (StoreError::AlreadyExists { .. }, Some(409)) => Self::Passing,
            (StoreError::AlreadyExists { .. }, _) => Self::Exists,
            (StoreError::NotFound { .. }, _) | (_, Some(404)) => Self::NotFound,
            (StoreError::Precondition { .. } | StoreError::NotModified { .. }, _) | (_, Some(412)) => {
                Self::Precondition
            }
            (StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }, _) => Self::Denied,
            (_, Some(401 | 403)) => Self::Denied,
            (_, Some(400)) if DENIED_CODES.iter().any(|code| says(code)) => Self::Denied,
            (_, Some(400)) if says("RequestTimeout") => Self::Passing,
            (_, Some(408 | 409 | 429 | 500 | 502 | 503 | 504)) => Self::Passing,
            (_, Some(_)) => Self::Refused,
            (_, None) if is_transport(error) => Self::Passing,
            (_, None) => Self::Refused,
        }
    }
}

/// Codes of refused credentials that come with status 400.
const DENIED_CODES: [&str; 4] = ["ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"];

/// The error for a failure that says nothing about one object.
///
/// `action` says what was tried, on which name.
pub(crate) fn failure(location: &Location, action: impl Into<String>, error: StoreError) -> Error {
    let (location, action) = (location.clone(), action.into());
    match Meaning::of(&error) {
        Meaning::NoBucket => Error::LocationNotFound { location },
        Meaning::Denied => Error::AccessDenied { location, action, source: error.into() },
        Meaning::Passing => Error::Unavailable { location, action, source: error.into() },
        _ => Error::Rejected { location, action, source: error.into() },
    }
}

/// What the store answered.
#[derive(Default)]
struct Answer {
    /// `None` when there was no answer.
    status: Option<u16>,
    body: String,
}

/// How messages begin that hold an answer: that of `object_store`, and that of our own requests.
const ANSWERS: [&str; 2] = ["Server returned non-2xx status code: ", "status code: "];

impl Answer {
    /// Looks for the answer among the causes of an error.
    fn of(error: &StoreError) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            if let Some(answer) = ANSWERS.iter().find_map(|begin| text.strip_prefix(begin)) {
                let status = answer.get(..3).and_then(|status| status.parse().ok());
                return Self { status, body: answer.to_owned() };
            }
            cause = error.source();
        }
        Self::default()
    }
}

/// Whether the request, or the answer to it, was lost on the way.
fn is_transport(error: &StoreError) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return is_passing_io(error.kind());
        }
        #[cfg(feature = "s3")]
        if error.is::<object_store::client::HttpError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_passing_io(kind: ErrorKind) -> bool {
    use ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkUnreachable, NotConnected, TimedOut, UnexpectedEof,
    };
    matches!(
        kind,
        BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkUnreachable
            | NotConnected
            | TimedOut
            | UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as `object_store` nests it: the request with its address, and the answer in it.
    #[derive(Debug, thiserror::Error)]
    #[error("Error performing GET {address} in 1ms - {answer}")]
    struct Request {
        address: String,
        #[source]
        answer: Answered,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("Server returned non-2xx status code: {0}")]
    struct Answered(String);

    fn request(key: &str, status: &str, body: &str) -> Box<Request> {
        let answer = Answered(format!("{status}: {body}"));
        Box::new(Request { address: format!("http://s3/photos/{key}"), answer })
    }

    fn answered(status: &str, body: &str) -> StoreError {
        StoreError::Generic { store: "S3", source: request("x", status, body) }
    }

    #[test]
    fn a_status_and_its_code_decide() {
        let meaning = |status, body| Meaning::of(&answered(status, body));
        assert_eq!(meaning("503 Service Unavailable", "<Code>SlowDown</Code>"), Meaning::Passing);
        assert_eq!(meaning("500 Internal Server Error", ""), Meaning::Passing);
        assert_eq!(meaning("429 Too Many Requests", ""), Meaning::Passing);
        assert_eq!(meaning("501 Not Implemented", ""), Meaning::Refused);
        assert_eq!(meaning("400 Bad Request", "<Code>ExpiredToken</Code>"), Meaning::Denied);
        assert_eq!(meaning("400 Bad Request", "<Code>RequestTimeout</Code>"), Meaning::Passing);
        assert_eq!(meaning("400 Bad Request", "<Code>InvalidArgument</Code>"), Meaning::Refused);
        assert_eq!(meaning("403 Forbidden", "<Code>InvalidObjectState</Code>"), Meaning::Archived);
        assert_eq!(meaning("403 Forbidden", "<Code>AccessDenied</Code>"), Meaning::Denied);
        assert_eq!(meaning("404 Not Found", "<Code>NoSuchBucket</Code>"), Meaning::NoBucket);
        assert_eq!(meaning("412 Precondition Failed", ""), Meaning::Precondition);
    }

    #[test]
    fn the_name_of_an_object_decides_nothing() {
        for key in ["NoSuchBucket", "<Code>InvalidObjectState</Code>", "status code: 503", "InvalidObjectState.html"] {
            let source = request(key, "404 Not Found", "<Code>NoSuchKey</Code>");
            let error = StoreError::NotFound { path: key.to_owned(), source };
            assert_eq!(Meaning::of(&error), Meaning::NotFound, "{key}");
        }
        let source = request("status code: 409", "412 Precondition Failed", "");
        let taken = StoreError::AlreadyExists { path: "status code: 409".to_owned(), source };
        assert_eq!(Meaning::of(&taken), Meaning::Exists);
        let own =
            StoreError::Generic { store: "S3", source: "status code: 404 Not Found: <Code>NoSuchBucket</Code>".into() };
        assert_eq!(Meaning::of(&own), Meaning::NoBucket);
    }

    #[test]
    fn a_lost_connection_may_come_back_and_a_full_disk_does_not() {
        let lost = |kind| StoreError::Generic { store: "x", source: std::io::Error::from(kind).into() };
        assert_eq!(Meaning::of(&lost(ErrorKind::ConnectionReset)), Meaning::Passing);
        assert_eq!(Meaning::of(&lost(ErrorKind::StorageFull)), Meaning::Refused);
        assert_eq!(Meaning::of(&StoreError::Generic { store: "x", source: "odd".into() }), Meaning::Refused);
    }
}
