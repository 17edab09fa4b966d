//! Every code at both doors.
#![allow(clippy::unwrap_used)]

use caxton_core::error::TABLE;
use http_body_util::BodyExt;

use super::*;

async fn problem(error: ApiError) -> (http::response::Parts, Problem) {
    let (parts, body) = error.into_response().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn every_code_has_both_faces() {
    for (code, info) in TABLE {
        let error = ApiError::new(*code, "this time");
        let (parts, problem) = problem(error.clone()).await;
        assert!(
            parts.status.is_client_error() || parts.status.is_server_error(),
            "{code}"
        );
        assert_eq!(parts.headers[header::CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(problem.status, parts.status.as_u16());
        assert_eq!(
            (problem.code.as_str(), problem.title.as_str()),
            (info.code, info.title)
        );
        assert_eq!(problem.detail, "this time");

        let status = tonic::Status::from(error);
        assert_ne!(status.code(), tonic::Code::Ok);
        assert_ne!(status.code(), tonic::Code::Unknown);
        let reason = status.get_details_error_info().unwrap();
        assert_eq!(
            (reason.reason.as_str(), reason.domain.as_str()),
            (info.code, DOMAIN)
        );
    }
}

#[tokio::test]
async fn retry_after_is_rounded_up_and_told_at_both_doors() {
    let mut error = ApiError::new(Code::MailboxFull, "1024 wait");
    error.retry_after = Some(Duration::from_millis(1_200));
    let (parts, _) = problem(error.clone()).await;
    assert_eq!(parts.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(parts.headers[header::RETRY_AFTER], "2");
    let info = tonic::Status::from(error).get_details_retry_info().unwrap();
    assert_eq!(info.retry_delay, Some(Duration::from_millis(1_200)));
}

#[tokio::test]
async fn faulty_fields_are_named_at_both_doors() {
    let error =
        ApiError::new(Code::MessageMalformed, "1 fault").with_field("performative", "missing");
    let (_, problem) = problem(error.clone()).await;
    let [fault] = problem.fields.as_slice() else {
        panic!("{problem:?}")
    };
    assert_eq!(
        (fault.field.as_str(), fault.detail.as_str()),
        ("performative", "missing")
    );
    let details = tonic::Status::from(error)
        .get_details_bad_request()
        .unwrap();
    assert_eq!(details.field_violations[0].field, "performative");
}

#[tokio::test]
async fn a_missing_key_says_how_to_give_one() {
    let (parts, problem) = problem(ApiError::new(Code::Unauthenticated, "no key")).await;
    assert_eq!(parts.headers[header::WWW_AUTHENTICATE], "Bearer");
    assert!(problem.cure.unwrap().contains("Bearer"));
}
